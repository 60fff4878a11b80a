// What a Redis server tells about a stream: ids, entries, and how much was ever added to it. Pure.
//
// Nothing that is read is believed to be well-formed: what cannot be an answer to the question is nothing.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/io/redis/redis_reply.hpp"

namespace authcached {

// Milliseconds by the server's clock when the entry was added, and a count within them.
struct StreamId {
  std::uint64_t ms = 0;
  std::uint64_t sequence = 0;

  auto operator<=>(const StreamId&) const = default;
  [[nodiscard]] std::string text() const;
};
[[nodiscard]] std::optional<StreamId> stream_id_of(std::string_view text);

struct StreamEntry {
  StreamId id;
  std::vector<std::pair<std::string, std::string>> fields;  // in the order in which they were written

  // The first of that name; null if there is none.
  [[nodiscard]] const std::string* field(std::string_view name) const;
};

// What XINFO STREAM says. entries_added counts every entry that the stream ever had, the deleted ones too:
// Redis 7.0 and newer. A key that is not there is an empty stream.
struct StreamInfo {
  StreamId last;
  std::uint64_t added = 0;
  std::uint64_t length = 0;
};
[[nodiscard]] std::optional<StreamInfo> stream_info_of(const RedisReply& reply);

// Of XREAD over one stream: no entries if its time passed.
[[nodiscard]] std::optional<std::vector<StreamEntry>> stream_entries_of(const RedisReply& reply);

// run_id in the text of INFO server: another one after every start of a server.
[[nodiscard]] std::optional<std::string> run_id_of(std::string_view info);

// Of TIME, in milliseconds.
[[nodiscard]] std::optional<std::uint64_t> server_ms_of(const RedisReply& reply);

}  // namespace authcached
