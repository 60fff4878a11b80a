#include "daemon/base/config_redis.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace authcached {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kPlace = "{key}";
constexpr std::size_t kSocketBytesMax = 107;  // sun_path is 108, with a NUL
constexpr std::size_t kAddressBytesMax =
    300;  // a host name of 253 bytes, or a socket, and what stands around it

constexpr std::pair<std::string_view, bool> kValues[] = {{"hash", false}, {"json", true}};
constexpr std::pair<std::string_view, bool> kWithoutExpiry[] = {{"refuse", false}, {"accept", true}};

bool is_address(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool is_name(std::string_view host) {
  constexpr std::size_t kNameBytesMax = 253;  // RFC 1035 section 2.3.4
  return !host.empty() && host.size() <= kNameBytesMax && host.front() != '.' && host.front() != '-' &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") == std::string_view::npos;
}

// 127.0.0.0/8, ::1, or the name localhost.
bool is_this_host(const RedisConfig& redis) {
  if (!redis.literal) return redis.host == "localhost";
  return redis.host == "::1" || (redis.host.starts_with("127.") && redis.host.find(':') == std::string::npos);
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// host:port, address:port or [address]:port
bool take_host(std::string_view text, RedisConfig& redis) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const auto port = port_of(text.substr(colon + 1));
  std::string host(text.substr(0, colon));
  std::ranges::transform(host, host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool literal = is_address(host);
  const bool v6 = host.find(':') != std::string::npos;
  // A dotted number that is no address would be resolved as a name: 127.1 means 127.0.0.1 to some.
  const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
  if (!port || v6 != bracketed || (!literal && (v6 || numeric || !is_name(host)))) return false;
  redis.host = std::move(host);
  redis.literal = literal;
  redis.port = *port;
  return true;
}

constexpr std::pair<RedisFact, RedisFact> kOneMoment[] = {
    {RedisFact::kCreated, RedisFact::kCreatedMs},   {RedisFact::kCreated, RedisFact::kCreatedNs},
    {RedisFact::kCreatedMs, RedisFact::kCreatedNs}, {RedisFact::kExpires, RedisFact::kExpiresMs},
    {RedisFact::kExpires, RedisFact::kExpiresNs},   {RedisFact::kExpiresMs, RedisFact::kExpiresNs}};

}  // namespace

const std::array<std::string_view, kRedisFactCount>& redis_facts() {
  static constexpr std::array<std::string_view, kRedisFactCount> kFacts{
      "subject", "client_id",   "sid",        "jti",     "issuer",     "scopes",
      "roles",   "permissions", "audience",   "created", "created_ms", "created_ns",
      "expires", "expires_ms",  "expires_ns", "revoked"};
  return kFacts;
}

std::array<std::string, kRedisFactCount> RedisConfig::default_fields() {
  std::array<std::string, kRedisFactCount> fields;
  for (std::size_t i = 0; i < kRedisFactCount; ++i) {
    const std::string_view word = redis_facts()[i];
    if (!word.ends_with("_ms") && !word.ends_with("_ns")) fields[i] = word;
  }
  return fields;
}

std::string RedisConfig::address() const {
  if (!socket.empty()) return std::string(kUnix) + socket.native();
  const bool bracketed = literal && host.find(':') != std::string::npos;
  return (bracketed ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

void read_redis_address(KeyReader& key, RedisConfig& redis) {
  std::string text;
  key.text(text, kAddressBytesMax);
  if (text.empty()) return;
  if (!text.starts_with(kUnix)) {
    if (take_host(text, redis)) return;
    return key.fail(
        "names no server",
        "write \"unix:/run/redis/redis.sock\", \"redis.internal:6379\" or \"[::1]:6379\", without redis://");
  }
  const std::string path = text.substr(kUnix.size());
  if (path.starts_with('/') && path.size() <= kSocketBytesMax) {
    redis.socket = path;
    return;
  }
  key.fail("names no socket",
           "write unix: and an absolute path of at most " + std::to_string(kSocketBytesMax) + " bytes");
}

void read_redis_key_template(KeyReader& key, ProfileConfig& profile) {
  std::string text;
  key.text(text, kRedisTemplateBytesMax);
  if (text.empty()) return;
  const std::size_t at = text.find(kPlace);
  if (at == std::string::npos || text.find(kPlace, at + 1) != std::string::npos) {
    return key.fail(
        "does not hold {key} once",
        "write the name of a session's key with {key} in the token's place, such as \"session:{key}\"");
  }
  profile.redis.key_prefix = text.substr(0, at);
  profile.redis.key_suffix = text.substr(at + kPlace.size());
}

void read_redis_value(KeyReader& key, ProfileConfig& profile) { key.choice(profile.redis.json, kValues); }

void read_redis_without_expiry(KeyReader& key, ProfileConfig& profile) {
  key.choice(profile.redis.endless, kWithoutExpiry);
}

void read_redis_fields(KeyReader& key, ProfileConfig& profile) {
  key.text_table(redis_facts(), profile.redis.fields, kRedisFieldBytesMax);
}

std::optional<RedisConfigFault> redis_place_fault(const RedisConfig& redis) {
  const bool has_host = !redis.host.empty();
  if (redis.tls && !redis.socket.empty())
    return RedisConfigFault{"tls", "says nothing here",
                            "remove it: a unix socket leads to this host and needs no TLS"};
  if (has_host && !redis.tls && !is_this_host(redis))
    return RedisConfigFault{
        "address", "leads to another host without TLS: what it answers could come from anybody on the way",
        "write tls = true, or the address of a tunnel on this host"};
  return std::nullopt;
}

std::optional<RedisConfigFault> redis_fault(const ProfileConfig& profile) {
  const RedisConfig& redis = profile.redis;
  if (auto fault = redis_place_fault(redis)) return fault;
  if (redis.field(RedisFact::kSubject).empty())
    return RedisConfigFault{"fields", "names nothing for subject",
                            "write the name under which a session keeps its user: subject = \"user_id\""};
  for (const auto& [one, other] : kOneMoment) {
    if (redis.field(one).empty() || redis.field(other).empty()) continue;
    return RedisConfigFault{"fields", "names one moment in two units",
                            "keep the one that a session always has"};
  }
  return std::nullopt;
}

}  // namespace authcached
