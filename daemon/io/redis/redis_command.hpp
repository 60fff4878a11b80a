// Commands as they go to a Redis server: every argument by its length, so that no byte of it means anything
// to the protocol. Pure.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace authcached {

// One argument of a command whose beginning stands in `commands` already.
void append_redis_argument(std::string& commands, std::string_view argument);

// Behind what stands in `commands` already; growing leaves no copy behind.
void append_redis_command(std::string& commands, std::span<const std::string_view> arguments);
inline void append_redis_command(std::string& commands, std::initializer_list<std::string_view> arguments) {
  append_redis_command(commands, std::span(arguments.begin(), arguments.size()));
}

}  // namespace authcached
