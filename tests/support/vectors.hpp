// Where published test vectors lie: the directory that AUTHCACHE_VECTORS names, else ../shared/vectors beside
// the source tree. They are not part of this repository, so a test that wants them skips with a sentence when
// they are absent.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace authcache_test {

[[nodiscard]] inline std::optional<std::filesystem::path> vectors_directory(const char* name) {
  std::filesystem::path root;
  if (const char* named = std::getenv("AUTHCACHE_VECTORS")) {
    root = named;
  } else {
#ifdef AUTHCACHE_SOURCE_DIR
    root = std::filesystem::path(AUTHCACHE_SOURCE_DIR) / "../shared/vectors";
#else
    return std::nullopt;
#endif
  }
  std::error_code ignored;
  const std::filesystem::path directory = root / name;
  if (!std::filesystem::is_directory(directory, ignored)) return std::nullopt;
  return directory;
}

inline constexpr const char* kNoVectors =
    "the published vectors are absent; set AUTHCACHE_VECTORS to the directory that holds them";

[[nodiscard]] inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace authcache_test
