// What a reply of the daemon comes to, for whoever asked: a thread that waited for it, or an event loop that
// collects it later. Any thread; no system call; nothing waits.
//
// Invariants
// 1. A reply never makes a token valid. It says where the record is; look() decides, at that place, at the
//    moment of this call. So what is judged after a revocation was acknowledged is never valid.
// 2. A reply counts only if it holds the token's digest.
#pragma once

#include <optional>

#include "libclient/attachment.hpp"
#include "libclient/lookup.hpp"
#include "shm/wire.hpp"

namespace authcache::client {

// How often one question is put to the daemon. A record may be moved or evicted between the reply and the
// look, and the profile may be reloaded; thrice in a row means a table under more pressure than another
// question would relieve.
inline constexpr int kAsksMax = 3;

inline constexpr const char* kNotBelievedSentence =
    "authcached answered for another token than the one that was asked about";
inline constexpr const char* kAlwaysGoneSentence =
    "the record that authcached named was gone each time it was looked up";

enum class Judged : std::uint8_t {
  kDecided,      // `answer` is the question's
  kAskAgain,     // moved, evicted, retired or reloaded since
  kNotBelieved,  // the reply is to something else; `answer` says unavailable
};

// The digest that the current table gives the question's token; empty without a table or such a profile.
[[nodiscard]] std::optional<shm::Digest> current_digest(const Attacher& attacher,
                                                        const Question& question) noexcept;

// `before` is what current_digest() was when the question was sent.
[[nodiscard]] Judged judge_reply(const Attacher& attacher, const Question& question,
                                 const std::optional<shm::Digest>& before,
                                 const shm::wire::ValidateReply& reply, Answer& answer) noexcept;

}  // namespace authcache::client
