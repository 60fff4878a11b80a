// A client process that asks the daemon for many tokens at once, by the frames that the library sends, from
// one blocking connection. One thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace authcache_bench {

// Returns when all are answered, with at most so many questions in flight; ends the program unless every one
// is valid.
void ask_all(const std::filesystem::path& miss_socket, std::string_view profile,
             std::span<const std::string> tokens, std::size_t in_flight);

}  // namespace authcache_bench
