#include "daemon/upstream/session_key.hpp"

#include <algorithm>

#include "daemon/base/sha256.hpp"
#include "daemon/token/base64url.hpp"

namespace authcached {

namespace {

std::string hex_of(const Sha256& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// Lower case only: a key in another spelling is no key of ours.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_b64token_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~' || c == '+' || c == '/';
}

// ID|SECRET. The id stays in the key: without it, one row would be good under any id before the bar.
std::optional<std::string> id_and_hash(std::string_view token) {
  const std::size_t bar = token.find('|');
  if (bar == std::string_view::npos || bar == 0 || bar + 1 == token.size()) return std::nullopt;
  return std::string(token.substr(0, bar + 1)) + hex_of(sha256(token.substr(bar + 1)));
}

}  // namespace

std::optional<std::string> session_key(std::string_view token, KeyEncoding encoding) {
  switch (encoding) {
    case KeyEncoding::kRaw: return std::string(token);
    case KeyEncoding::kHexSha256: return hex_of(sha256(token));
    case KeyEncoding::kIdHexSha256: return id_and_hash(token);
    case KeyEncoding::kBase64urlSha256:
    case KeyEncoding::kSha256: break;
  }
  const Sha256 digest = sha256(token);
  std::string bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
  return encoding == KeyEncoding::kBase64urlSha256 ? base64url_encode(bytes) : bytes;
}

std::optional<std::string> hash_of_session_key(std::string_view key, KeyEncoding encoding) {
  constexpr std::size_t kHashBytes = std::tuple_size_v<Sha256>;
  std::string hash;
  if (encoding == KeyEncoding::kHexSha256 && key.size() == 2 * kHashBytes) {
    for (std::size_t i = 0; i < key.size(); i += 2) {
      const int high = hex_digit(key[i]), low = hex_digit(key[i + 1]);
      if (high < 0 || low < 0) return std::nullopt;
      hash += static_cast<char>(high << 4 | low);
    }
    return hash;
  }
  if (encoding != KeyEncoding::kBase64urlSha256) return std::nullopt;
  const auto decoded = base64url_decode(key);
  if (!decoded || decoded->size() != kHashBytes) return std::nullopt;
  return *decoded;
}

bool is_b64token(std::string_view token) {
  const auto padding = std::ranges::find_if_not(token, is_b64token_char);
  return padding != token.begin() && std::all_of(padding, token.end(), [](char c) { return c == '='; });
}

bool is_visible_ascii(std::string_view token) {
  return !token.empty() && std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
}

bool could_be_session(std::string_view token, KeyEncoding encoding) {
  if (token.size() > kSessionTokenBytesMax) return false;
  if (encoding == KeyEncoding::kRaw) return is_visible_ascii(token);
  if (encoding == KeyEncoding::kIdHexSha256) return is_visible_ascii(token) && id_and_hash(token).has_value();
  return is_b64token(token);
}

}  // namespace authcached
