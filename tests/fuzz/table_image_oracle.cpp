#include "tests/fuzz/table_image_oracle.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

namespace authcache_fuzz {
namespace {

constexpr std::uint64_t kHeartbeatTimeout = 64, kState = 1024, kHeartbeat = 1032, kAllEpoch = 1040,
                        kConfig = 1048, kDictionaryWord = 1056, kIssuerEpochs = 4096, kKeyEpochs = 12288,
                        kDictionary = 208896, kProfiles = 230016;
constexpr std::uint64_t kProfileBytes = 96 + 16 * 256, kDictionaryBytes = 264;
constexpr char kScope = 1, kPermission = 2, kAudience = 3, kPattern = 4;
constexpr std::uint8_t kScopesField = 6, kPermissionsField = 7, kAudienceField = 8, kConfirmationField = 10,
                       kRoleGrantField = 11;

std::vector<std::string> fields(const std::string& text, std::uint8_t number) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at + 3 <= text.size();) {
    const auto low = static_cast<std::uint8_t>(text[at + 1]), high = static_cast<std::uint8_t>(text[at + 2]);
    const std::size_t size = low + 256u * high;
    if (at + 3 + size > text.size()) break;
    if (static_cast<std::uint8_t>(text[at]) == number) found.push_back(text.substr(at + 3, size));
    at += 3 + size;
  }
  return found;
}

bool holds(const std::vector<std::string>& list, const std::string& text) {
  return std::ranges::find(list, text) != list.end();
}

// Cut into segments and separators, so that two texts can be compared piece by piece.
std::vector<std::string> pieces(const std::string& text) {
  std::vector<std::string> all{""};
  for (const char c : text) {
    if (c == '/' || c == ':') {
      all.push_back(std::string(1, c));
      all.emplace_back();
    } else {
      all.back().push_back(c);
    }
  }
  return all;
}

bool covers(const std::string& grant, const std::string& permission) {
  const auto one = pieces(grant), other = pieces(permission);
  return std::ranges::equal(one, other, [](const std::string& a, const std::string& b) { return a == b || (a == "*" && !b.empty() && b != "/" && b != ":"); });
}

std::string key_bytes(std::uint64_t profile_id, const std::string& token) {
  std::string hashed(reinterpret_cast<const char*>(&profile_id), sizeof profile_id);
  hashed += token;
  unsigned char digest[32];
  SHA256(reinterpret_cast<const unsigned char*>(hashed.data()), hashed.size(), digest);
  return {reinterpret_cast<const char*>(digest), 24};
}

}  // namespace

std::uint64_t Image::word(std::uint64_t offset) const {
  std::uint64_t value;
  std::memcpy(&value, bytes_ + offset, sizeof value);
  return value;
}

std::string Image::bytes(std::uint64_t offset, std::uint64_t size) const {
  return {reinterpret_cast<const char*>(bytes_ + offset), size};
}

std::optional<Image::Profile> Image::profile(std::string_view name) const {
  for (std::uint64_t i = 0; i < 64; ++i) {
    const std::uint64_t entry = kProfiles + (word(kConfig) % 2 * 64 + i) * kProfileBytes;
    Profile found{.id = word(entry), .current = word(entry + 8) == 1};
    if (found.id == 0) return std::nullopt;
    const std::uint64_t sizes = word(entry + 16);
    if (bytes(entry + 32, std::min<std::uint64_t>(sizes & 0xff, 63)) != name) continue;
    for (std::uint64_t a = 0; a < std::min<std::uint64_t>(sizes >> 8 & 0xff, 16); ++a) {
      const std::string audience = bytes(entry + 96 + a * 256, 256);
      found.audiences.push_back(audience.substr(1, static_cast<std::uint8_t>(audience[0])));
    }
    return found;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Image::bit(char kind, std::string_view text) const {
  const std::uint64_t used = word(kDictionaryWord);
  const bool audience = kind == kAudience;
  const auto count = std::min<std::uint64_t>(audience ? used >> 32 : used & 0xffff'ffff, audience ? 16 : 64);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string entry =
        bytes(kDictionary + (audience ? 64 + i : i) * kDictionaryBytes, kDictionaryBytes);
    if (entry[0] == kind && entry.substr(2, static_cast<std::uint8_t>(entry[1])) == text) return i;
  }
  return std::nullopt;
}

bool Image::covered_by_bits(std::uint64_t grants, const std::string& permission) const {
  const auto count = std::min<std::uint64_t>(word(kDictionaryWord) & 0xffff'ffff, 64);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string entry = bytes(kDictionary + i * kDictionaryBytes, kDictionaryBytes);
    const bool held = (grants >> i & 1) != 0 && entry[0] == kPattern;
    if (held && covers(entry.substr(2, static_cast<std::uint8_t>(entry[1])), permission)) return true;
  }
  return false;
}

std::optional<std::string> Image::text(std::uint64_t slot) const {
  const std::uint64_t place = word(geometry_.cold + slot * 64);
  const std::uint64_t unit = place & 0xff'ffff'ffff, size = place >> 40;
  if (size > 16 * 1024 || unit > geometry_.text_bytes / 64) return std::nullopt;
  if (unit * 64 + size > geometry_.text_bytes) return std::nullopt;
  return bytes(geometry_.text + unit * 64, size);
}

bool Image::slot_permits(std::uint64_t slot, const Asked& asked, const Profile& of) const {
  const std::uint64_t at = geometry_.hot + slot * 64;
  const std::uint64_t facts = word(at + 40), principals = word(at + 48), grants = word(at + 56);
  if ((word(at) & 0xff) != 2 || bytes(at + 16, 24) != key_bytes(of.id, asked.token)) return false;
  if ((facts >> 48 & 0xf) != 0) return false;
  const std::uint64_t epoch = facts & 0xff'ffff'ffff, flags = facts >> 52;
  if (epoch < word(kAllEpoch) || epoch < word(kIssuerEpochs + (principals & 0x3ff) * 8) ||
      epoch < word(kKeyEpochs + (principals >> 12 & 0xfff) * 8)) {
    return false;
  }
  const auto read = text(slot);
  const bool has_text = read.has_value() && (flags & 8) == 0;
  const auto listed = [&](std::uint8_t field) {
    return has_text ? fields(*read, field) : std::vector<std::string>();
  };
  if ((flags & 1) != 0) {
    const auto bound = listed(kConfirmationField);
    if (asked.confirmation.empty() || !holds(bound, asked.confirmation)) return false;
  }
  const auto granted = [&](const std::vector<std::string>& wanted, char kind, std::uint8_t field) {
    return std::ranges::all_of(wanted, [&](const std::string& each) {
      const auto known = bit(kind, each);
      return (known && (grants >> *known & 1) != 0) || ((flags & 2) != 0 && holds(listed(field), each));
    });
  };
  if (!granted(asked.scopes, kScope, kScopesField)) return false;
  const auto by_role = [&](const std::string& each) {
    if (covered_by_bits(grants, each)) return true;
    const auto told = listed(kRoleGrantField);
    return (flags & (2 | 32)) != 0 && std::ranges::any_of(told, [&](const std::string& grant) { return covers(grant, each); });
  };
  for (const std::string& each : asked.permissions) {
    if (!granted({each}, kPermission, kPermissionsField) && !by_role(each) &&
        !((flags & 32) != 0 && holds(listed(kPermissionsField), each))) {
      return false;
    }
  }
  const auto& audiences = asked.audiences.empty() ? of.audiences : asked.audiences;
  return audiences.empty() || std::ranges::any_of(audiences, [&](const std::string& each) {
           const auto known = bit(kAudience, each);
           return (known && (principals >> 24 >> *known & 1) != 0) ||
                  ((flags & 4) != 0 && holds(listed(kAudienceField), each));
         });
}

bool Image::permits_valid(const Asked& asked, std::uint64_t from_ns, std::uint64_t to_ns) const {
  if (word(kState) == 0) return false;
  const std::uint64_t heartbeat = word(kHeartbeat);
  if (heartbeat > to_ns) return false;
  if (from_ns > heartbeat && from_ns - heartbeat > word(kHeartbeatTimeout)) return false;
  const auto of = profile(asked.profile);
  if (!of || !of->current) return false;
  for (std::uint64_t slot = 0; slot < geometry_.slots; ++slot) {
    if (word(geometry_.hot + slot * 64 + 8) > from_ns && slot_permits(slot, asked, *of)) return true;
  }
  return false;
}

}  // namespace authcache_fuzz
