// The cnf claim (RFC 7800): to whose key a token is bound. A binding that is not understood cannot be
// enforced, so it makes the token unusable instead of making it a plain bearer token. Pure; any thread.
#pragma once

#include <boost/json/value.hpp>
#include <optional>

#include "daemon/base/proof.hpp"

namespace authcached {

// Nothing unless the value is an object with exactly one member, "jkt" (RFC 9449) or "x5t#S256" (RFC 8705),
// that is the strict base64url of 32 bytes.
[[nodiscard]] std::optional<Confirmation> parse_confirmation(const boost::json::value& cnf);

}  // namespace authcached
