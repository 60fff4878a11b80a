#include "tests/process/support/programs.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace authcache_test {

namespace {

std::string from_environment(const char* variable) {
  const char* const value = std::getenv(variable);
  if (value == nullptr)
    throw std::runtime_error(std::string(variable) + " is not set; run these tests through meson test");
  return value;
}

}  // namespace

std::string authcached_program() { return from_environment("AUTHCACHE_TEST_AUTHCACHED"); }
std::string authctl_program() { return from_environment("AUTHCACHE_TEST_AUTHCTL"); }
std::string meson_program() { return from_environment("AUTHCACHE_TEST_MESON"); }
std::filesystem::path build_directory() { return from_environment("AUTHCACHE_TEST_BUILD"); }
std::filesystem::path source_directory() { return from_environment("AUTHCACHE_TEST_SOURCE"); }

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& file, std::string_view text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

void replace_file(const std::filesystem::path& file, std::string_view text) {
  const std::filesystem::path fresh = file.string() + ".fresh";
  write_file(fresh, text);
  std::filesystem::rename(fresh, file);
}

}  // namespace authcache_test
