// Operating errors as values: a code that a caller can branch on and one sentence that a person can act on.
// Lookup outcomes are verdicts (verdict.hpp), never errors.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace authcache::shm {

enum class ErrorCode : std::uint8_t {
  kUsage,        // the caller asked for something that can't be meant
  kNotFound,     // the named thing is not there
  kRefused,      // it is there, and wrong: owner, mode, version, size
  kUnavailable,  // the other side can't answer now; asking again may help
  kCorrupt,      // bytes that no writer of ours leaves behind
  kSystem,       // the kernel said no; the sentence holds its words
};

struct Error {
  ErrorCode code;
  std::string message;  // one sentence: what was wrong, and the remedy where there is one
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

// "<what>: <strerror(error_number)>", code kSystem.
[[nodiscard]] std::unexpected<Error> system_error(std::string what, int error_number);

}  // namespace authcache::shm
