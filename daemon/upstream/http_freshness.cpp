#include "daemon/upstream/http_freshness.hpp"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace authcached {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kSecondsMax = kFreshMaxNs / kNsPerSecond;
constexpr std::size_t kEntityTagBytesMax = 256;  // it goes into every request

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool same_word(std::string_view one, std::string_view lower) {
  return std::ranges::equal(one, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

// delta-seconds, quoted or not. A number too great is as good as the greatest; anything else is none.
std::optional<std::int64_t> seconds(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return kSecondsMax * 2;
  if (error != std::errc()) return std::nullopt;
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value, static_cast<std::uint64_t>(kSecondsMax) * 2));
}

// IMF-fixdate, the one form that may be sent (RFC 9110 section 5.6.7).
std::optional<std::int64_t> http_date(std::string_view text) {
  const std::string date(text);
  struct tm parts {};
  const char* end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return ::timegm(&parts);
}

struct Directives {
  bool never = false;                      // no-store, no-cache
  std::optional<std::int64_t> max_age_s;
};

void read_directives(std::string_view list, Directives& directives) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view directive = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    const std::size_t equals = std::min(directive.find('='), directive.size());
    const std::string_view name = directive.substr(0, equals);
    if (same_word(name, "no-store") || same_word(name, "no-cache")) directives.never = true;
    if (!same_word(name, "max-age")) continue;
    const auto value = seconds(trimmed(directive.substr(std::min(equals + 1, directive.size()))));
    directives.max_age_s = std::min(directives.max_age_s.value_or(kSecondsMax * 2), value.value_or(0));
  }
}

std::optional<std::string_view> only(std::span<const HttpHeader> headers, std::string_view name) {
  std::optional<std::string_view> found;
  for (const HttpHeader& header : headers) {
    if (header.name != name) continue;
    if (found) return std::nullopt;
    found = trimmed(header.value);
  }
  return found;
}

std::int64_t said_s(std::span<const HttpHeader> headers) {
  Directives directives;
  for (const HttpHeader& header : headers) {
    if (header.name == "cache-control") read_directives(header.value, directives);
  }
  if (directives.never) return 0;
  const auto age = only(headers, "age");
  const std::int64_t age_s = age ? seconds(*age).value_or(kSecondsMax * 2) : 0;
  if (directives.max_age_s) return *directives.max_age_s - age_s;
  const auto expires = only(headers, "expires");
  if (!expires) return kFreshUnsaidNs / kNsPerSecond;
  const auto end = http_date(*expires);
  const auto date = only(headers, "date");
  const auto begin = date ? http_date(*date) : std::nullopt;
  // Without the server's own idea of now, its idea of then says nothing.
  return end && begin ? std::clamp<std::int64_t>(*end - *begin, 0, kSecondsMax) - age_s : 0;
}

}  // namespace

std::int64_t freshness_ns(std::span<const HttpHeader> headers) {
  const std::int64_t seconds = std::clamp<std::int64_t>(said_s(headers), 0, kSecondsMax);
  return std::clamp(seconds * kNsPerSecond, kFreshMinNs, kFreshMaxNs);
}

std::optional<std::string_view> entity_tag(std::span<const HttpHeader> headers) {
  const auto tag = only(headers, "etag");
  if (!tag || tag->size() > kEntityTagBytesMax) return std::nullopt;
  std::string_view opaque = *tag;
  if (opaque.starts_with("W/")) opaque.remove_prefix(2);
  const bool sound = opaque.size() >= 2 && opaque.front() == '"' && opaque.back() == '"' &&
                     std::ranges::all_of(opaque.substr(1, opaque.size() - 2), [](char c) { return c > 0x20 && c < 0x7f && c != '"'; });
  return sound ? tag : std::nullopt;
}

}  // namespace authcached
