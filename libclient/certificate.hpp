// The thumbprint of an X.509 certificate as RFC 8705 section 3.1 takes it: SHA-256 of the DER. Pure; any
// thread. May throw std::bad_alloc.
//
// The certificate is not parsed, but what is hashed must have the outer shape of one: a whole PEM text,
// hexadecimal digits or half a certificate would give a thumbprint too, and one that no token names.
#pragma once

#include <optional>
#include <string_view>

#include "shm/digest.hpp"

namespace authcache::client {

// Larger than any certificate that a TLS stack takes by default (16 KiB handshake messages), in PEM as well.
inline constexpr std::size_t kCertificateBytesMax = 64 * 1024;

// DER, or PEM with exactly one certificate. Nothing for anything else.
[[nodiscard]] std::optional<shm::Digest> certificate_thumbprint(std::string_view certificate);

}  // namespace authcache::client
