// An identity as the headers of an answer, and as the members of an introspection answer. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/control/face/face_backend.hpp"
#include "daemon/io/http_answer.hpp"

namespace authcached {

// X-Auth-Subject, ... for each part that is asked for and stated. False if a value cannot be written in this
// encoding so that a service reads what the upstream said; then the answer is of no use.
[[nodiscard]] bool append_identity(HttpAnswer& answer, std::string_view text,
                                   const std::vector<HttpIdentity>& wanted, HttpEncoding encoding);

// RFC 7662 section 2.2, "active" included.
[[nodiscard]] boost::json::object introspection_of(const Decision& decision);

// The one thumbprint that a record's text carries, if it carries one.
[[nodiscard]] std::optional<authcache::shm::Thumbprint> thumbprint_in(std::string_view text);

// What a proxy says of its client's certificate: the SHA-256 of the DER as 64 hex digits or in base64 or
// base64url, or the percent-encoded PEM, of which the first certificate counts. Nothing if it is none of
// these.
[[nodiscard]] std::optional<authcache::shm::Thumbprint> certificate_thumbprint(std::string_view header);

}  // namespace authcached
