#include "daemon/base/config_reader.hpp"

#include <limits>

#include "daemon/base/config_values.hpp"
#include "daemon/base/nearest_name.hpp"

namespace authcached {
namespace {

constexpr std::size_t kShownNameBytesMax = 80;  // the longest key we know is under 60; a fault stays one line

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a section";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a text";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a fraction";
    case toml::node_type::boolean: return "true or false";
    default: return "a date or a time";
  }
}

// The known section that has a key of this name, if the file put it elsewhere.
std::optional<std::string_view> section_with(std::string_view key) {
  for (const ConfigKey& known : config_keys()) {
    const std::size_t dot = known.name.rfind('.');
    if (dot == std::string_view::npos ? known.name == key : known.name.substr(dot + 1) == key) {
      return dot == std::string_view::npos ? std::string_view() : known.name.substr(0, dot);
    }
  }
  return std::nullopt;
}

template <class T>
bool outside(std::int64_t number, const ConfigRange<T>& range) {
  return std::cmp_less(number, range.low) || std::cmp_greater(number, range.high);
}

template <class T>
std::string number_remedy(const ConfigRange<T>& range) {
  return "write a whole number from " + std::to_string(range.low) + " to " + std::to_string(range.high) +
         ": " + std::string(range.reason);
}

template <class T>
std::string duration_remedy(const ConfigRange<T>& range) {
  return "write a duration from \"" + format_duration(range.low) + "\" to \"" + format_duration(range.high) +
         "\": " + std::string(range.reason);
}

constexpr std::string_view kDurationForm =
    "write a whole number and one unit of ms, s, m, h, d, such as \"30s\"";

}  // namespace

std::uint32_t line_of(const toml::node& node) { return static_cast<std::uint32_t>(node.source().begin.line); }

std::string shown_name(std::string_view name) {
  std::string shown;
  for (const char byte : name.substr(0, kShownNameBytesMax)) {
    shown.push_back(byte > 0x20 && byte < 0x7f ? byte : '?');
  }
  if (name.size() > kShownNameBytesMax) shown += "...";
  return shown;
}

void KeyReader::fail(std::string what, std::string remedy) const {
  faults_.push_back({line_of(value_), shown_name(name_) + " " + std::move(what), std::move(remedy)});
}

void KeyReader::wrong_type(const toml::node& node, std::string_view wanted) const {
  fail("is " + std::string(type_name(node)), "write " + std::string(wanted));
}

std::optional<std::int64_t> KeyReader::whole_number() const {
  if (const auto* number = value_.as_integer()) return number->get();
  wrong_type(value_, "a whole number, without quotes");
  return std::nullopt;
}

void KeyReader::number(std::uint64_t& field, const ConfigRange<std::uint64_t>& range) {
  const auto number = whole_number();
  if (!number) return;
  if (outside(*number, range)) return fail("is out of range", number_remedy(range));
  field = static_cast<std::uint64_t>(*number);
}

void KeyReader::number(std::uint32_t& field, const ConfigRange<std::uint32_t>& range) {
  const auto number = whole_number();
  if (!number) return;
  if (outside(*number, range)) return fail("is out of range", number_remedy(range));
  field = static_cast<std::uint32_t>(*number);
}

void KeyReader::size(std::uint32_t& field, const ConfigRange<std::uint32_t>& range) {
  const auto* text = value_.as_string();
  if (text == nullptr) return number(field, range);
  const auto bytes = parse_size(text->get());
  if (!bytes)
    return fail("is not a size", "write a whole number and one unit of B, KiB, MiB, GiB, such as \"1KiB\"");
  if (*bytes < range.low || *bytes > range.high) return fail("is out of range", number_remedy(range));
  field = static_cast<std::uint32_t>(*bytes);
}

void KeyReader::duration(std::chrono::milliseconds& field,
                         const ConfigRange<std::chrono::milliseconds>& range) {
  const auto* text = value_.as_string();
  if (text == nullptr) return wrong_type(value_, "a duration in quotes, such as \"30s\"");
  const auto duration = parse_duration(text->get());
  if (!duration) return fail("is not a duration", std::string(kDurationForm));
  if (*duration < range.low || *duration > range.high) return fail("is out of range", duration_remedy(range));
  field = *duration;
}

void KeyReader::duration(std::chrono::seconds& field, const ConfigRange<std::chrono::seconds>& range) {
  const ConfigRange<std::chrono::milliseconds> fine{range.low, range.high, range.reason};
  std::chrono::milliseconds exact{-1};
  duration(exact, fine);
  if (exact.count() < 0) return;  // the fault is already told
  if (exact.count() % 1'000 != 0) return fail("is not a whole number of seconds", "write it in s, m, h or d");
  field = std::chrono::duration_cast<std::chrono::seconds>(exact);
}

std::optional<std::string> KeyReader::bounded_text(const toml::node& node, std::size_t bytes_max) const {
  const auto* text = node.as_string();
  if (text == nullptr) {
    wrong_type(node, "a text in quotes");
    return std::nullopt;
  }
  if (text->get().empty()) {
    fail("is empty", "write a text of 1 to " + std::to_string(bytes_max) + " bytes or leave the key out");
    return std::nullopt;
  }
  if (text->get().size() > bytes_max) {
    fail("is too long", "write a text of at most " + std::to_string(bytes_max) + " bytes");
    return std::nullopt;
  }
  if (text->get().find('\0') != std::string::npos) {
    fail("holds a NUL character", "write it without \\u0000");
    return std::nullopt;
  }
  return text->get();
}

void KeyReader::text(std::string& field, std::size_t bytes_max) {
  if (auto text = bounded_text(value_, bytes_max)) field = std::move(*text);
}

void KeyReader::path(std::filesystem::path& field, std::size_t bytes_max) {
  const auto text = bounded_text(value_, bytes_max);
  if (!text) return;
  const std::filesystem::path path(*text);
  if (!path.is_absolute()) {
    return fail("is a relative path",
                "write the whole path from /: the daemon's working directory is not yours");
  }
  field = path;
}

void KeyReader::group(std::string& field) {
  const auto* text = value_.as_string();
  if (text != nullptr && text->get().empty()) {
    field.clear();
    return;
  }
  const auto name = bounded_text(value_, kGroupNameBytesMax);
  if (!name) return;
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  if (name->find_first_not_of(kLetters) != std::string::npos || name->front() == '-') {
    return fail("is not a group's name",
                "write letters, digits, '_', '.' and '-', or \"\" for the daemon's own group");
  }
  field = *name;
}

void KeyReader::texts(std::vector<std::string>& field, std::size_t count_max, std::size_t bytes_max) {
  const auto* list = value_.as_array();
  if (list == nullptr) return wrong_type(value_, "a list of texts, such as [\"api\"]");
  if (list->empty() || list->size() > count_max) {
    return fail("has " + std::to_string(list->size()) + " members",
                "write 1 to " + std::to_string(count_max) + " of them");
  }
  std::vector<std::string> texts;
  for (const toml::node& member : *list) {
    auto text = bounded_text(member, bytes_max);
    if (!text) continue;
    if (std::ranges::find(texts, *text) != texts.end()) {
      fail("names one member twice", "write each member once");
      continue;
    }
    texts.push_back(std::move(*text));
  }
  if (texts.size() == list->size()) field = std::move(texts);
}

void KeyReader::flag(bool& field) {
  const auto* value = value_.as_boolean();
  if (value == nullptr) return wrong_type(value_, "true or false, without quotes");
  field = value->get();
}

void KeyReader::text_table(std::span<const std::string_view> names, std::span<std::string> fields,
                           std::size_t bytes_max) {
  const auto* table = value_.as_table();
  if (table == nullptr)
    return wrong_type(value_, "a table of texts, such as { " + std::string(names.front()) + " = \"user\" }");
  std::ranges::fill(fields, std::string());
  for (const auto& [key, node] : *table) {
    const auto known = std::ranges::find(names, key.str());
    if (known == names.end()) {
      std::string remedy = "write some of";
      for (const std::string_view name : names) remedy.append(" ").append(name);
      if (const auto nearest = nearest_name(key.str(), names)) remedy = "did you mean " + std::string(*nearest) + "?";
      fail("has an unknown name " + shown_name(key.str()), std::move(remedy));
      continue;
    }
    if (auto text = bounded_text(node, bytes_max)) fields[static_cast<std::size_t>(known - names.begin())] = std::move(*text);
  }
}

std::optional<std::size_t> KeyReader::choose(std::span<const std::string_view> names) {
  const auto* text = value_.as_string();
  if (text == nullptr) {
    wrong_type(value_, "a text in quotes");
    return std::nullopt;
  }
  const auto chosen = std::ranges::find(names, std::string_view(text->get()));
  if (chosen != names.end()) return static_cast<std::size_t>(chosen - names.begin());
  std::string remedy = "write one of";
  for (const std::string_view name : names) remedy.append(" \"").append(name).append("\"");
  fail("is none of the values known here", std::move(remedy));
  return std::nullopt;
}

void unknown_key(const toml::key& key, std::string_view prefix, std::span<const std::string_view> known,
                 std::vector<ConfigFault>& faults) {
  std::string remedy = "remove it";
  if (const auto home = section_with(key.str())) {
    remedy = home->empty() ? "it belongs at the top of the file, before the first [section]"
                           : "it belongs under [" + std::string(*home) + "]";
  } else if (const auto nearest = nearest_name(key.str(), known)) {
    remedy = "did you mean \"" + std::string(*nearest) + "\"?";
  }
  faults.push_back({static_cast<std::uint32_t>(key.source().begin.line),
                    "unknown key " + shown_name(std::string(prefix).append(key.str())), std::move(remedy)});
}

}  // namespace authcached
