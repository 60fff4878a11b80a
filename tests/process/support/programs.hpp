// Where the programs under test are, and waiting for what other processes do. Any thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>

namespace authcache_test {

// Meson puts these into the environment of every test program; std::runtime_error names the one that is
// missing.
[[nodiscard]] std::string authcached_program();
[[nodiscard]] std::string authctl_program();
[[nodiscard]] std::string meson_program();
[[nodiscard]] std::filesystem::path build_directory();
[[nodiscard]] std::filesystem::path source_directory();

// Long enough that only a hang takes it, on a machine that does other things as well.
inline constexpr std::chrono::seconds kPatience{20};

// Asks until the answer is yes; false when the time is over.
template <class Predicate>
[[nodiscard]] bool eventually(Predicate&& predicate, std::chrono::milliseconds within = kPatience) {
  const auto end = std::chrono::steady_clock::now() + within;
  for (;;) {
    if (predicate()) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// For how long an answer stays yes, at most `within`: true if it never was no.
template <class Predicate>
[[nodiscard]] bool throughout(Predicate&& predicate, std::chrono::milliseconds within) {
  return !eventually([&] { return !predicate(); }, within);
}

[[nodiscard]] std::string read_file(const std::filesystem::path& file);  // "" if it is not there
void write_file(const std::filesystem::path& file, std::string_view text);
// Under another name first, then renamed over: nobody sees a part of it.
void replace_file(const std::filesystem::path& file, std::string_view text);

}  // namespace authcache_test
