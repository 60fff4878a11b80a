// From the numbers of a JWK to an OpenSSL key, with the checks that OpenSSL does not make: it imports e = 1,
// moduli of any length, the point at infinity and Ed25519 points of small order. Sizes are judged before
// OpenSSL sees the number. Pure; any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "daemon/token/jwk.hpp"

namespace authcached {

// 2048: NIST SP 800-57 and RFC 7518 section 3.3. 8192: verification time grows with the square of the length.
inline constexpr std::size_t kRsaBitsMin = 2048;
inline constexpr std::size_t kRsaBitsMax = 8192;
// A small exponent lets badly padded signatures be forged; a large one makes verification as slow as signing.
inline constexpr std::uint64_t kRsaExponentMin = 65537;
inline constexpr std::uint64_t kRsaExponentEnd = std::uint64_t{1} << 33;

enum class Curve : std::uint8_t { kP256, kP384, kP521 };
[[nodiscard]] std::size_t coordinate_bytes(Curve curve);

// Big-endian numbers as RFC 7518 section 2 writes them (Base64urlUInt): no leading zero octet.
[[nodiscard]] std::expected<PkeyPointer, KeyRefusal> make_rsa_key(std::string_view modulus,
                                                                  std::string_view exponent);
[[nodiscard]] std::expected<PkeyPointer, KeyRefusal> make_ec_key(Curve curve, std::string_view x,
                                                                 std::string_view y);
[[nodiscard]] std::expected<PkeyPointer, KeyRefusal> make_ed25519_key(std::string_view point);

}  // namespace authcached
