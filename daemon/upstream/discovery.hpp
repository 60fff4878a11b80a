// Where an issuer publishes its metadata, and what of it is believed (RFC 8414, OpenID Connect Discovery 1.0). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "shm/result.hpp"

namespace authcached {

// The largest documents in use have some 10 KiB.
inline constexpr std::size_t kMetadataBytesMax = 64 * 1024;

// Both places, the one that more issuers have first. With a path in the issuer they differ in more than their last part:
// OpenID Connect appends to the path, RFC 8414 inserts before it.
[[nodiscard]] std::array<std::string, 2> metadata_urls(std::string_view issuer);

// The jwks_uri of metadata that names exactly this issuer, byte for byte: of any other, nothing may be used (RFC 8414
// section 3.3). It must be an https URL.
[[nodiscard]] authcache::shm::Result<std::string> jwks_uri_of(std::string_view metadata, std::string_view issuer);

}  // namespace authcached
