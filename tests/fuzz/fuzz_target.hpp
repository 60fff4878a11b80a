// What every fuzz target is written with. One target a file: FUZZ_TARGET(name) { ... input ... }. With clang
// and libFuzzer it becomes a program of its own; in the test suite it joins the others in one program that
// replays the corpora (replay_test.cpp).
//
// A target states properties by FUZZ_REQUIRE. A breach ends the process, so that libFuzzer keeps the input
// that caused it. Inputs may be any bytes of any length; a target must be deterministic and leave nothing
// behind.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace authcache_fuzz {

using Target = void (*)(std::string_view input);

// The targets of this program by name.
[[nodiscard]] inline std::map<std::string, Target>& targets() {
  static std::map<std::string, Target> all;
  return all;
}

[[noreturn]] inline void broken(const char* property, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken property: %s\n", file, line, property);
  std::abort();
}

// Takes typed values off the front of an input. Past its end everything is zero, so no input is too short.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  T take() {
    T value{};
    const std::string_view bytes = take_bytes(sizeof(T));
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::uint8_t byte() { return take<std::uint8_t>(); }
  std::string_view take_bytes(std::size_t size) {
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  // Bytes that an input's own length byte counts.
  std::string_view take_counted() { return take_bytes(byte()); }
  std::string_view rest() { return take_bytes(rest_.size()); }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace authcache_fuzz

#define FUZZ_REQUIRE(property) \
  ((property) ? static_cast<void>(0) : ::authcache_fuzz::broken(#property, __FILE__, __LINE__))

#ifdef AUTHCACHE_LIBFUZZER
#define FUZZ_TARGET(name)                                                             \
  static void fuzz_##name(std::string_view input);                                    \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    fuzz_##name({reinterpret_cast<const char*>(data), size});                         \
    return 0;                                                                         \
  }                                                                                   \
  static void fuzz_##name(std::string_view input)
#else
#define FUZZ_TARGET(name)                                                                           \
  static void fuzz_##name(std::string_view input);                                                  \
  static const bool name##_joined = ::authcache_fuzz::targets().emplace(#name, fuzz_##name).second; \
  static void fuzz_##name(std::string_view input)
#endif
