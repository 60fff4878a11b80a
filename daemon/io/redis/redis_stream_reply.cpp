#include "daemon/io/redis/redis_stream_reply.hpp"

#include <algorithm>
#include <charconv>

namespace authcached {
namespace {

using Kind = RedisReply::Kind;

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<StreamEntry> entry_of(const RedisReply& reply) {
  if (!reply.is(Kind::kArray) || reply.size() != 2 || !reply.first().is(Kind::kText)) return std::nullopt;
  const auto id = stream_id_of(reply.first().text());
  const RedisReply fields = reply.first().next();
  if (!id || !fields.is(Kind::kArray) || fields.size() == 0 || fields.size() % 2 != 0) return std::nullopt;
  StreamEntry entry;
  entry.id = *id;
  RedisReply name = fields.first();
  for (std::size_t i = 0; i < fields.size(); i += 2) {
    const RedisReply value = name.next();
    if (!name.is(Kind::kText) || !value.is(Kind::kText)) return std::nullopt;
    entry.fields.emplace_back(name.text(), value.text());
    if (i + 2 < fields.size()) name = value.next();
  }
  return entry;
}

}  // namespace

std::string StreamId::text() const { return std::to_string(ms) + "-" + std::to_string(sequence); }

std::optional<StreamId> stream_id_of(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto ms = number_of(text.substr(0, dash));
  const auto sequence = number_of(text.substr(dash + 1));
  if (!ms || !sequence) return std::nullopt;
  return StreamId{*ms, *sequence};
}

const std::string* StreamEntry::field(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &std::pair<std::string, std::string>::first);
  return found == fields.end() ? nullptr : &found->second;
}

std::optional<StreamInfo> stream_info_of(const RedisReply& reply) {
  if (reply.is(Kind::kError) && reply.text() == "ERR no such key") return StreamInfo{};
  if (!reply.is(Kind::kArray) || reply.size() < 2 || reply.size() % 2 != 0) return std::nullopt;
  std::optional<StreamId> last;
  std::optional<std::uint64_t> added, length;
  RedisReply name = reply.first();
  for (std::size_t i = 0; i < reply.size(); i += 2) {
    const RedisReply value = name.next();
    if (!name.is(Kind::kText)) return std::nullopt;
    if (name.text() == "last-generated-id" && value.is(Kind::kText)) last = stream_id_of(value.text());
    const bool count = value.is(Kind::kInteger) && value.integer() >= 0;
    if (name.text() == "entries-added" && count) added = static_cast<std::uint64_t>(value.integer());
    if (name.text() == "length" && count) length = static_cast<std::uint64_t>(value.integer());
    if (i + 2 < reply.size()) name = value.next();
  }
  if (!last || !added || !length) return std::nullopt;
  return StreamInfo{*last, *added, *length};
}

std::optional<std::vector<StreamEntry>> stream_entries_of(const RedisReply& reply) {
  if (reply.is(Kind::kNil)) return std::vector<StreamEntry>();
  if (!reply.is(Kind::kArray) || reply.size() != 1) return std::nullopt;
  const RedisReply stream = reply.first();
  if (!stream.is(Kind::kArray) || stream.size() != 2 || !stream.first().is(Kind::kText)) return std::nullopt;
  const RedisReply list = stream.first().next();
  if (!list.is(Kind::kArray) || list.size() == 0) return std::nullopt;
  std::vector<StreamEntry> entries;
  RedisReply element = list.first();
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto entry = entry_of(element);
    if (!entry || (!entries.empty() && entry->id <= entries.back().id)) return std::nullopt;
    entries.push_back(std::move(*entry));
    if (i + 1 < list.size()) element = element.next();
  }
  return entries;
}

std::optional<std::string> run_id_of(std::string_view info) {
  constexpr std::string_view kName = "run_id:";
  constexpr std::size_t kDigits = 40;
  std::size_t at = info.find(kName);
  if (at == std::string_view::npos || (at > 0 && info[at - 1] != '\n')) return std::nullopt;
  at += kName.size();
  const std::string_view id = info.substr(at, info.find_first_of("\r\n", at) - at);
  const bool hex = id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return id.size() == kDigits && hex ? std::optional(std::string(id)) : std::nullopt;
}

std::optional<std::uint64_t> server_ms_of(const RedisReply& reply) {
  constexpr std::uint64_t kMsPerSecond = 1'000, kUsPerMs = 1'000;
  if (!reply.is(Kind::kArray) || reply.size() != 2) return std::nullopt;
  const RedisReply seconds = reply.first(), microseconds = seconds.next();
  if (!seconds.is(Kind::kText) || !microseconds.is(Kind::kText)) return std::nullopt;
  const auto s = number_of(seconds.text()), us = number_of(microseconds.text());
  if (!s || !us || *s > UINT64_MAX / (2 * kMsPerSecond)) return std::nullopt;
  return *s * kMsPerSecond + *us / kUsPerMs;
}

}  // namespace authcached
