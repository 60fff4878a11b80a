// What a verb came to: the process's exit status, and the sentence that goes with a failure. Every verb
// returns one of these six and nothing else, so that scripts can branch on them. Plain values for any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "shm/result.hpp"

namespace authctl {

enum class Exit : std::uint8_t {
  kYes = 0,          // done; valid; nothing wrong
  kNo = 1,           // invalid, forbidden, not found
  kUsage = 2,        // the command line cannot be meant
  kUnreachable = 3,  // no daemon answered, and nothing was asked of it
  kCannotTell = 4,   // asked, but the answer is missing: it may or may not have been done
  kFailed = 5,       // it was tried and did not work
};

struct Failure {
  Exit exit;
  std::string sentence;  // what was wrong, and the remedy where there is one; never a token
};

template <class T>
using Outcome = std::expected<T, Failure>;

[[nodiscard]] std::unexpected<Failure> failure(Exit exit, std::string sentence);

// An error of the shared libraries. What is not there is a "no"; what is there and wrong is a failure.
[[nodiscard]] Failure failure_of(const authcache::shm::Error& error);

// The `code` of a control reply that says "ok": false. One that this build does not know counts as failed.
[[nodiscard]] Exit exit_of_reply_code(std::string_view code);

// The name under which a failure stands in --json output: the codes of a control reply, and "unreachable".
[[nodiscard]] std::string_view code_of_exit(Exit exit);

}  // namespace authctl
