#include "libclient/certificate.hpp"

#include <algorithm>
#include <string>

namespace authcache::client {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
constexpr std::string_view kBlanks = " \t\r\n";

// One SEQUENCE, its length in the one spelling that DER has (X.690 section 10.1), and nothing behind it.
bool is_der_sequence(std::string_view bytes) {
  constexpr unsigned kSequence = 0x30, kLongForm = 0x80, kShortFormMax = 0x7f;
  constexpr std::size_t kLengthBytesMax = 2;  // 64 KiB
  const auto at = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
  if (bytes.size() < 2 || at(0) != kSequence) return false;
  if (at(1) <= kShortFormMax) return bytes.size() == 2 + at(1) && at(1) > 0;
  const std::size_t length_bytes = at(1) - kLongForm;
  if (length_bytes == 0 || length_bytes > kLengthBytesMax || bytes.size() < 2 + length_bytes) return false;
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) length = length * 256 + at(2 + i);
  const bool shortest = length > kShortFormMax && at(2) != 0;
  return shortest && bytes.size() == 2 + length_bytes + length;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t from = std::min(text.find_first_not_of(kBlanks), text.size());
  text.remove_prefix(from);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// The bytes of base64 in lines (RFC 7468 section 3), padded, without unused bits.
std::optional<std::string> decode_lines(std::string_view text) {
  std::string out;
  unsigned bits = 0, held = 0;
  std::size_t characters = 0, padding = 0;
  for (const char c : text) {
    if (kBlanks.find(c) != std::string_view::npos) continue;
    ++characters;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int value = base64_value(c);
    if (value < 0 || padding > 0) return std::nullopt;
    bits = (bits << 6) | static_cast<unsigned>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>((bits >> held) & 0xff);
    bits &= (1U << held) - 1;
  }
  if (characters % 4 != 0 || padding > 2 || bits != 0) return std::nullopt;
  return out;
}

// The text between the marks, if the marks are there once.
std::optional<std::string_view> pem_body(std::string_view text) {
  text = trimmed(text);
  if (!text.starts_with(kBegin) || !text.ends_with(kEnd) || text.size() < kBegin.size() + kEnd.size())
    return std::nullopt;
  text.remove_prefix(kBegin.size());
  text.remove_suffix(kEnd.size());
  return text;  // a dash in it is no base64, so no second certificate hides there
}

}  // namespace

std::optional<shm::Digest> certificate_thumbprint(std::string_view certificate) {
  if (certificate.size() > kCertificateBytesMax) return std::nullopt;
  if (is_der_sequence(certificate)) return shm::plain_digest(certificate);
  const auto body = pem_body(certificate);
  const auto der = body ? decode_lines(*body) : std::nullopt;
  if (!der || !is_der_sequence(*der)) return std::nullopt;
  return shm::plain_digest(*der);
}

}  // namespace authcache::client
