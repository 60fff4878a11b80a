// OpenID Connect Back-Channel Logout 1.0 section 2.6: from the bytes of a logout token to whom it logs out.
// Pure; any thread. May throw std::bad_alloc, nothing else.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/token/key_set.hpp"

namespace authcached {

struct LogoutPolicy {
  std::string issuer;                 // compared byte for byte
  std::vector<std::string> audience;  // our client ids; the token must name one
  std::vector<Algorithm> algorithms;
  std::int64_t leeway_ns = 0;
};

// At least one of sid and subject is there.
struct Logout {
  std::string sid;
  std::string subject;
  std::string jti;
  std::int64_t issued_wall_ns = 0;
  std::int64_t expires_wall_ns = 0;  // until then the jti is to be remembered
};

// Longer-lived ones are refused: the specification advises two minutes, and each is remembered that long.
inline constexpr std::int64_t kLogoutLifeMaxNs = 3'600'000'000'000;

// The one error that another set of keys may mend.
inline constexpr std::string_view kSignedByNoKey = "the signature is not by a key of the profile's issuer";

// The error is a constant that names what is wrong, and nothing of the token.
[[nodiscard]] std::expected<Logout, std::string_view> verify_logout_token(std::string_view token,
                                                                          const LogoutPolicy& policy,
                                                                          const KeySet& keys,
                                                                          std::int64_t wall_now_ns);

}  // namespace authcached
