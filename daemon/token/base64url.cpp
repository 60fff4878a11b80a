#include "daemon/token/base64url.hpp"

#include <array>
#include <cstdint>

namespace authcached {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}
constexpr auto kDigits = make_digits();

}  // namespace

bool is_base64url_char(char c) { return kDigits[static_cast<unsigned char>(c)] != kNoDigit; }

std::optional<std::string> base64url_decode(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;  // six bits cannot hold a byte
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  for (const char c : text) {
    const std::uint8_t digit = kDigits[static_cast<unsigned char>(c)];
    if (digit == kNoDigit) return std::nullopt;
    pending = (pending << 6) | digit;
    pending_bits += 6;
    if (pending_bits < 8) continue;
    pending_bits -= 8;
    bytes.push_back(static_cast<char>((pending >> pending_bits) & 0xff));
    pending &= (1u << pending_bits) - 1;
  }
  if (pending != 0) return std::nullopt;  // unused bits carry a value: a second spelling of the same bytes
  return bytes;
}

std::string base64url_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  for (const char c : bytes) {
    pending = (pending << 8) | static_cast<unsigned char>(c);
    pending_bits += 8;
    while (pending_bits >= 6) {
      pending_bits -= 6;
      text.push_back(kAlphabet[(pending >> pending_bits) & 0x3f]);
    }
    pending &= (1u << pending_bits) - 1;
  }
  if (pending_bits > 0) text.push_back(kAlphabet[(pending << (6 - pending_bits)) & 0x3f]);
  return text;
}

}  // namespace authcached
