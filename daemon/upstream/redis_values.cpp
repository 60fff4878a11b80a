#include "daemon/upstream/redis_values.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <cmath>
#include <limits>

#include "daemon/token/json.hpp"
#include "daemon/upstream/session_values.hpp"

namespace authcached {

namespace json = boost::json;

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
// The last whole second that nanoseconds in 64 bits can hold. Milliseconds by mistake are beyond it, not a
// session for the next ten thousand years.
constexpr std::int64_t kSecondsMax = 9'223'372'035;

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

std::optional<std::string_view> any_text(const RedisField& field) {
  if (field.text) return field.text;
  if (field.json == nullptr || !field.json->is_string()) return std::nullopt;
  return view(field.json->get_string());
}

// ".5" of a second is half a second; digits beyond the nanosecond are dropped. -1 if it is no fraction.
std::int64_t fraction_of(std::string_view digits, std::int64_t unit_ns) {
  if (digits.empty()) return -1;
  std::int64_t fraction = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return -1;
    unit_ns /= 10;
    fraction += (c - '0') * unit_ns;
  }
  return fraction;
}

RedisTime whole(std::int64_t number, std::int64_t unit_ns, std::int64_t fraction_ns = 0) {
  if (number < 0 || number > kSecondsMax * (kNsPerSecond / unit_ns)) return {false};
  return {true, number * unit_ns + fraction_ns};
}

// Rounded down: an end comes no later, and a creation is no newer than it was.
RedisTime number_text(std::string_view text, std::int64_t unit_ns) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || text.front() == '-') return {false};
  if (rest == end) return whole(number, unit_ns);
  const std::int64_t fraction = *rest == '.' ? fraction_of({rest + 1, end}, unit_ns) : -1;
  return fraction < 0 ? RedisTime{false} : whole(number, unit_ns, fraction);
}

RedisTime real(double number, std::int64_t unit_ns) {
  const double ns = number * static_cast<double>(unit_ns);
  if (!(ns >= 0) || ns > static_cast<double>(kSecondsMax) * static_cast<double>(kNsPerSecond)) return {false};
  return {true, static_cast<std::int64_t>(std::floor(ns))};
}

}  // namespace

std::optional<std::string> redis_text(const RedisField& field) {
  if (field.absent()) return std::string();
  if (const auto text = any_text(field)) {
    if (text->size() > kSessionTextBytesMax) return std::nullopt;
    return std::string(*text);
  }
  if (field.json->is_int64()) return std::to_string(field.json->get_int64());
  if (field.json->is_uint64()) return std::to_string(field.json->get_uint64());
  return std::nullopt;
}

std::optional<std::vector<std::string>> redis_list(const RedisField& field) {
  if (field.absent()) return std::vector<std::string>();
  if (const auto text = any_text(field)) return session_list(*text);
  auto list = strings_of(*field.json);
  if (!list || list->size() > kSessionListMax) return std::nullopt;
  std::size_t bytes = 0;
  for (const std::string& entry : *list) bytes += entry.size() + 1;
  if (bytes > kSessionTextBytesMax) return std::nullopt;
  return list;
}

RedisTime redis_time(const RedisField& field, RedisTimeUnit unit) {
  const auto unit_ns = static_cast<std::int64_t>(unit);
  if (field.absent()) return {true};
  if (const auto text = any_text(field)) {
    if (text->empty()) return {true};  // a hash has no null
    if (const RedisTime number = number_text(*text, unit_ns); number.sound) return number;
    const auto wall_ns = utc_text_ns(*text);
    return {wall_ns.has_value(), wall_ns};
  }
  if (field.json->is_int64()) return whole(field.json->get_int64(), unit_ns);
  if (field.json->is_double()) return real(field.json->get_double(), unit_ns);
  return {false};
}

bool redis_revoked(const RedisField& field) {
  if (field.absent()) return false;
  if (const auto text = any_text(field)) return !(text->empty() || *text == "0" || *text == "false");
  const json::value& value = *field.json;
  if (value.is_bool()) return value.get_bool();
  if (value.is_int64()) return value.get_int64() != 0;
  if (value.is_uint64()) return value.get_uint64() != 0;
  if (value.is_double()) return value.get_double() != 0;
  return true;
}

RedisField redis_member(const json::object& object, std::string_view name) {
  if (!name.starts_with('/')) return {{}, object.if_contains(name)};
  // Here and not by Boost's find_pointer, which wants the whole value and tells errors we have no use for.
  const json::object* at = &object;
  const json::value* value = nullptr;
  std::string member;
  while (!name.empty()) {
    if (at == nullptr) return {};
    name.remove_prefix(1);
    const std::string_view part = name.substr(0, name.find('/'));
    name.remove_prefix(part.size());
    member.clear();
    for (std::size_t i = 0; i < part.size(); ++i) {
      const bool escaped =
          part[i] == '~' && i + 1 < part.size() && (part[i + 1] == '0' || part[i + 1] == '1');
      member.push_back(!escaped ? part[i] : part[i + 1] == '0' ? '~' : '/');
      i += escaped ? 1 : 0;
    }
    value = at->if_contains(member);
    at = value == nullptr ? nullptr : value->if_object();
    if (value == nullptr) return {};
  }
  return {{}, value};
}

}  // namespace authcached
