// The keys of a profile with upstream = "redis": how each is read, and what must hold among them. Internal to
// the configuration's parser; one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/base/config_reader.hpp"

namespace authcached {

void read_redis_address(KeyReader& key, RedisConfig& redis);
inline void read_redis_address(KeyReader& key, ProfileConfig& profile) { read_redis_address(key, profile.redis); }
void read_redis_key_template(KeyReader& key, ProfileConfig& profile);
void read_redis_value(KeyReader& key, ProfileConfig& profile);
void read_redis_without_expiry(KeyReader& key, ProfileConfig& profile);
void read_redis_fields(KeyReader& key, ProfileConfig& profile);

// Nothing, or what is wrong among the keys of such a profile although each alone is right: the key, what, and
// what to write instead.
struct RedisConfigFault {
  std::string_view key;
  std::string what;
  std::string_view remedy;
};
[[nodiscard]] std::optional<RedisConfigFault> redis_fault(const ProfileConfig& profile);
// The same of the keys that say where a server is, whatever it is for.
[[nodiscard]] std::optional<RedisConfigFault> redis_place_fault(const RedisConfig& redis);

}  // namespace authcached
