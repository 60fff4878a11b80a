// Public keys that are well-formed and prove nothing, because anybody can sign for them. OpenSSL imports all
// of these. Pure; any thread.
#pragma once

#include <string_view>

namespace authcached {

// CVE-2017-15361: the modulus has the structure that Infineon's RSALib gave its primes, and can be factored.
// modulus: big-endian.
[[nodiscard]] bool has_roca_fingerprint(std::string_view modulus);

// A point whose order divides 8 (every such key accepts signatures made without a secret), or a y that is not
// reduced modulo the field's prime (a second spelling of another key). point: the 32 bytes of RFC 8032
// section 5.1.2.
[[nodiscard]] bool is_degenerate_ed25519_point(std::string_view point);

}  // namespace authcached
