#include "daemon/token/weak_keys.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace authcached {
namespace {

// The odd primes up to 167 divide the primorial that RSALib used for every key size it offered from 512 bits
// on.
constexpr std::array<std::uint32_t, 38> kRocaPrimes{
    3,  5,  7,  11, 13, 17,  19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
    73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};

constexpr std::uint32_t kRocaGenerator = 65537;

std::uint32_t remainder(std::string_view number, std::uint32_t divisor) {
  std::uint32_t rest = 0;
  for (const char digit : number) rest = ((rest << 8) | static_cast<unsigned char>(digit)) % divisor;
  return rest;
}

bool is_power_of_generator(std::uint32_t value, std::uint32_t prime) {
  const std::uint32_t generator = kRocaGenerator % prime;
  std::uint32_t power = 1;
  do {
    if (power == value) return true;
    power = power * generator % prime;
  } while (power != 1);
  return false;
}

using FieldElement = std::array<std::uint8_t, 32>;  // little-endian

// The field's prime, 2^255 - 19.
constexpr FieldElement kPrime{0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};

// The y of every point whose order divides 8; each but the first and the last stands for two points, x and
// -x.
constexpr std::array<FieldElement, 5> kSmallOrderY{{
    {1},  // order 1
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
     0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},  // order 8
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
     0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},  // order 8
    {0},                                                                                         // order 4
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},  // order 2
}};

bool is_below(const FieldElement& left, const FieldElement& right) {
  return std::lexicographical_compare(left.rbegin(), left.rend(), right.rbegin(), right.rend());
}

}  // namespace

// Every prime's residue lies in the generated group by chance too, but for all of them at once only in one
// modulus of about 2^28: an unlucky honest key is refused with a sentence and can be replaced.
bool has_roca_fingerprint(std::string_view modulus) {
  return std::ranges::all_of(kRocaPrimes, [&](std::uint32_t prime) {
    return is_power_of_generator(remainder(modulus, prime), prime);
  });
}

bool is_degenerate_ed25519_point(std::string_view point) {
  FieldElement y{};
  if (point.size() != y.size()) return true;
  std::ranges::transform(point, y.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  y.back() &= 0x7f;  // the top bit is the sign of x
  return !is_below(y, kPrime) || std::ranges::find(kSmallOrderY, y) != kSmallOrderY.end();
}

}  // namespace authcached
