// What an introspection endpoint says of a token (RFC 7662, and signed: RFC 9701), turned into a Proof or into the reason
// why it says nothing. An answer that is not understood is never a refusal of the token: an error, and nothing is known.
// Pure; any thread. May throw std::bad_alloc, nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/token/jwt.hpp"
#include "daemon/token/key_set.hpp"
#include "shm/result.hpp"

namespace authcached {

// Of a whole answer. A directory's group lists fit; what is longer is no answer about one token.
inline constexpr std::size_t kIntrospectionBytesMax = 64 * 1024;
// How far the time at which an answer was signed may be from ours, either way: an old one may have been true once.
inline constexpr std::int64_t kSignedAnswerAgeMaxNs = 60'000'000'000;

struct IntrospectionPolicy {
  std::string issuer;              // empty: any
  std::int64_t leeway_ns = 0;
  std::int64_t max_lifetime_ns = 0;
  bool token_type_required = true;  // else a refresh token, of which some endpoints say no token_type, passes for an access token

  // Signed answers only.
  std::string client_id;              // for whom they are
  std::vector<Algorithm> algorithms;  // allow-list
};

// The body of a plain answer. kInvalid with kUnknown for a token that is not active: no other member is then looked at.
[[nodiscard]] authcache::shm::Result<Proof> judge_introspection(std::string_view body, const IntrospectionPolicy& policy,
                                                                std::int64_t wall_now_ns);

// The body of a signed answer. kInvalid with kUnknownKey if its key is not in the set, and for nothing else.
[[nodiscard]] authcache::shm::Result<Proof> judge_signed_introspection(std::string_view body, const IntrospectionPolicy& policy,
                                                                       const KeySet& keys, std::int64_t wall_now_ns);

}  // namespace authcached
