// What a token grants: scopes (RFC 6749 section 3.3), permissions, and roles (RFC 9068 section 2.2.3.1) under
// the name "role:<name>". Pure; any thread. May throw std::bad_alloc, nothing else.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/config.hpp"

namespace authcached {

struct Grants {
  std::vector<std::string> scopes;       // without repetitions, in the token's order
  std::vector<std::string> permissions;  // likewise
};

// Nothing if a claim has the wrong type, too many entries, or an entry that is too long or not a name.
[[nodiscard]] std::optional<Grants> read_grants(const boost::json::object& claims, TokenType type);

}  // namespace authcached
