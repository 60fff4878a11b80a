#include "daemon/cache/fleet_entry.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>

#include "daemon/base/sha256.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr char kVersion = 1;
constexpr std::string_view kPurpose = "authcache fleet entry";
constexpr std::size_t kPlaceDigits = 32;  // 128 bits of a hash: nobody finds two rules of one place

void put(std::string& out, std::uint64_t number, unsigned bytes) {
  for (unsigned i = bytes; i-- > 0;) out.push_back(static_cast<char>(number >> (8 * i)));
}
void put(std::string& out, std::int64_t number) { put(out, static_cast<std::uint64_t>(number), 8); }
void put(std::string& out, std::string_view text) {
  put(out, text.size(), 2);
  out.append(text);
}

// Reads from the front; once something is missing, everything is.
class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}

  std::uint64_t number(unsigned bytes) {
    std::uint64_t number = 0;
    for (const char byte : take(bytes)) number = number << 8 | static_cast<unsigned char>(byte);
    return number;
  }
  std::int64_t signed_number() { return static_cast<std::int64_t>(number(8)); }
  std::string text() { return std::string(take(number(2))); }
  std::string_view take(std::size_t bytes) {
    whole_ = whole_ && bytes <= rest_.size();
    if (!whole_) return {};
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  [[nodiscard]] bool at_end() const { return whole_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool whole_ = true;
};

std::string hex_of(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace

std::string host_id_text(const HostId& host) { return hex_of(host); }

bool FleetEntry::operator==(const FleetEntry& other) const {
  return host == other.host && change == other.change && rule.kind == other.rule.kind &&
         rule.scope == other.rule.scope && rule.value == other.rule.value &&
         rule.not_before_ns == other.rule.not_before_ns && rule.life_ns == other.rule.life_ns;
}

shm::Result<FleetSeal> FleetSeal::load(const std::filesystem::path& key_file, std::string name) {
  auto secret = read_client_secret(key_file);
  if (!secret) return std::unexpected(secret.error());
  if (secret->view().size() < kSecretBytesMin) {
    return shm::fail(
        shm::ErrorCode::kRefused,
        key_file.native() + " holds fewer than " + std::to_string(kSecretBytesMin) +
            " characters; write what `openssl rand -hex 32` prints into it, on every host the same");
  }
  return FleetSeal(std::move(*secret), std::move(name));
}

Sha256 FleetSeal::signature(std::string_view payload) const {
  std::string text(kPurpose);
  put(text, std::string_view(name_));
  text.append(payload);
  Sha256 mac{};
  unsigned size = 0;
  ::HMAC(EVP_sha256(), secret_.view().data(), static_cast<int>(secret_.view().size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size);
  return mac;
}

std::string FleetSeal::seal(const FleetEntry& entry) const {
  const Rule& rule = entry.rule;
  std::string out(1, kVersion);
  out.append(reinterpret_cast<const char*>(entry.host.data()), entry.host.size());
  put(out, entry.change, 8);
  put(out, entry.previous, 8);
  put(out, static_cast<std::uint64_t>(rule.kind), 1);
  put(out, rule.not_before_ns);
  put(out, rule.created_wall_ns);
  put(out, rule.life_ns);
  put(out, std::string_view(rule.scope));
  put(out, std::string_view(rule.value));
  const Sha256 mac = signature(out);
  out.append(reinterpret_cast<const char*>(mac.data()), mac.size());
  return out;
}

shm::Result<FleetEntry> FleetSeal::open(std::string_view sealed) const {
  constexpr std::size_t kMac = std::tuple_size_v<Sha256>;
  if (sealed.size() <= kMac) return shm::fail(shm::ErrorCode::kRefused, "it is too short to be signed");
  const std::string_view payload = sealed.substr(0, sealed.size() - kMac);
  const Sha256 wanted = signature(payload);
  if (CRYPTO_memcmp(wanted.data(), sealed.data() + payload.size(), kMac) != 0)
    return shm::fail(shm::ErrorCode::kRefused, "it is not signed with this fleet's key");
  Cursor cursor(payload);
  if (cursor.take(1) != std::string_view(&kVersion, 1))
    return shm::fail(shm::ErrorCode::kRefused, "it is of another version of this program");
  FleetEntry entry;
  const std::string_view host = cursor.take(entry.host.size());
  if (!host.empty()) std::memcpy(entry.host.data(), host.data(), host.size());
  entry.change = cursor.number(8);
  entry.previous = cursor.number(8);
  entry.rule.change = entry.change;
  entry.rule.kind = static_cast<RuleKind>(cursor.number(1));
  entry.rule.not_before_ns = cursor.signed_number();
  entry.rule.created_wall_ns = cursor.signed_number();
  entry.rule.life_ns = cursor.signed_number();
  entry.rule.scope = cursor.text();
  entry.rule.value = cursor.text();
  if (!cursor.at_end()) return shm::fail(shm::ErrorCode::kRefused, "its own lengths do not explain it");
  if (const auto fault = rule_fault(entry.rule))
    return shm::fail(shm::ErrorCode::kRefused, std::string(*fault));
  return entry;
}

std::string copy_place(const HostId& host, const Rule& rule) {
  std::string identity(1, static_cast<char>(rule.kind));
  put(identity, std::string_view(rule.scope));
  put(identity, std::string_view(rule.value));
  return hex_of(sha256(identity)).substr(0, kPlaceDigits) + "@" + host_id_text(host);
}

}  // namespace authcached
