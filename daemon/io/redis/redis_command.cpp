#include "daemon/io/redis/redis_command.hpp"

#include <charconv>

#include "daemon/io/http/secret_text.hpp"

namespace authcached {
namespace {

void append_length(std::string& commands, char mark, std::size_t length) {
  char digits[24];
  digits[0] = mark;
  char* const end = std::to_chars(digits + 1, digits + sizeof digits - 2, length).ptr;
  end[0] = '\r';
  end[1] = '\n';
  append_secret(commands, {digits, static_cast<std::size_t>(end + 2 - digits)});
}

}  // namespace

void append_redis_argument(std::string& commands, std::string_view argument) {
  append_length(commands, '$', argument.size());
  append_secret(commands, argument);
  append_secret(commands, "\r\n");
}

void append_redis_command(std::string& commands, std::span<const std::string_view> arguments) {
  append_length(commands, '*', arguments.size());
  for (const std::string_view argument : arguments) append_redis_argument(commands, argument);
}

}  // namespace authcached
