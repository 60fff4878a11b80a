// What a profile with upstream = "redis" says: where the server is, how to come in, and what a session looks
// like in it. Read by config_redis.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace authcached {

// What may be known about a session. The words in the file are those of redis_facts().
enum class RedisFact : std::uint8_t {
  kSubject,
  kClientId,
  kSid,
  kJti,
  kIssuer,
  kScopes,
  kRoles,
  kPermissions,
  kAudience,
  kCreated,
  kCreatedMs,
  kCreatedNs,
  kExpires,
  kExpiresMs,
  kExpiresNs,
  kRevoked,
};
inline constexpr std::size_t kRedisFactCount = 16;

struct RedisConfig {
  std::filesystem::path socket;  // address = "unix:..."
  std::string host;              // address = "host:port": in lower case; an address stands without brackets
  bool literal = false;          // host is an address, not a name
  std::uint16_t port = 0;
  bool tls = false;
  std::string username;                 // empty: the user "default"
  std::filesystem::path password_file;  // empty: none is sent
  std::uint32_t database_index = 0;
  std::string key_prefix, key_suffix;  // of key_template, around the token's key
  bool json = false;                   // value = "json"
  bool endless = false;                // without_expiry = "accept"
  // The name under which the value keeps each fact; empty: it keeps none.
  std::array<std::string, kRedisFactCount> fields = default_fields();

  [[nodiscard]] const std::string& field(RedisFact fact) const {
    return fields[static_cast<std::size_t>(fact)];
  }
  // As it stands in the file.
  [[nodiscard]] std::string address() const;

  // Each fact under its own word; times in seconds.
  [[nodiscard]] static std::array<std::string, kRedisFactCount> default_fields();
  bool operator==(const RedisConfig&) const = default;
};

// In the order of RedisFact: "subject", ...
[[nodiscard]] const std::array<std::string_view, kRedisFactCount>& redis_facts();

}  // namespace authcached
