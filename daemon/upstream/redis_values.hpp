// The facts of one session as a Redis value holds them: the fields of a hash, which are texts, or the members
// of a JSON object, which have types. Read strictly. Pure; any thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace authcached {

// What stands under one name. Neither: nothing does, or nil or null.
struct RedisField {
  std::optional<std::string_view> text{};  // of a hash
  const boost::json::value* json = nullptr;

  [[nodiscard]] bool absent() const { return !text && (json == nullptr || json->is_null()); }
};

enum class RedisTimeUnit : std::int64_t {
  kSeconds = 1'000'000'000,
  kMilliseconds = 1'000'000,
  kNanoseconds = 1
};

// Nothing where the field is of a kind that it may not have, or beyond its bounds.
[[nodiscard]] std::optional<std::string> redis_text(const RedisField& field);  // absent: empty
[[nodiscard]] std::optional<std::vector<std::string>> redis_list(const RedisField& field);

struct RedisTime {
  bool sound;
  std::optional<std::int64_t> wall_ns{};  // none if absent or an empty text
};
[[nodiscard]] RedisTime redis_time(const RedisField& field, RedisTimeUnit unit);

// In force only if absent, "", "0", "false", 0 or false: everything else says revoked.
[[nodiscard]] bool redis_revoked(const RedisField& field);

// The member of that name; of a name that begins with a slash, what the JSON pointer (RFC 6901) leads to.
// Absent where there is none.
[[nodiscard]] RedisField redis_member(const boost::json::object& object, std::string_view name);

}  // namespace authcached
