#include "tools/authctl/reply_text.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cstdint>
#include <utility>
#include <vector>

#include "tools/authctl/printable.hpp"
#include "tools/authctl/text_table.hpp"
#include "tools/authctl/units.hpp"

namespace authctl {
namespace json = boost::json;
namespace {

enum class Kind { kPlain, kDuration, kWallTime, kBytes };
struct Suffix {
  std::string_view text;
  Kind kind;
};
// The longer suffix first: it ends in the shorter one.
constexpr std::array<Suffix, 3> kSuffixes{
    {{"_wall_ns", Kind::kWallTime}, {"_ns", Kind::kDuration}, {"_bytes", Kind::kBytes}}};

Suffix suffix_of(std::string_view member) {
  for (const Suffix& suffix : kSuffixes) {
    if (member.ends_with(suffix.text)) return suffix;
  }
  return {"", Kind::kPlain};
}

std::string signed_text(Kind kind, std::int64_t number) {
  switch (kind) {
    case Kind::kDuration: return duration_text(number);
    // 0 and the least number stand for "none stated".
    case Kind::kWallTime: return number == 0 || number == INT64_MIN ? "-" : wall_time_text(number);
    case Kind::kBytes: return bytes_text(static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0)));
    case Kind::kPlain: break;
  }
  return std::to_string(number);
}

std::string joined(std::string_view member, const json::array& values) {
  std::string text;
  for (const json::value& value : values) {
    if (!text.empty()) text += ' ';
    text += member_text(member, value);
  }
  return text.empty() ? "-" : text;
}

std::string flattened(const json::object& object) {
  std::string text;
  for (const auto& [key, value] : object) {
    if (!text.empty()) text += ' ';
    const std::string_view name(key.data(), key.size());
    text += printable(name) + "=" + member_text(name, value);
  }
  return text.empty() ? "-" : text;
}

}  // namespace

std::string member_label(std::string_view member) {
  member.remove_suffix(suffix_of(member).text.size());
  std::string label = printable(member);
  std::ranges::replace(label, '_', ' ');
  return label;
}

std::string member_text(std::string_view member, const json::value& value) {
  const Kind kind = suffix_of(member).kind;
  switch (value.kind()) {
    case json::kind::null: return "-";
    case json::kind::bool_: return value.get_bool() ? "yes" : "no";
    case json::kind::int64: return signed_text(kind, value.get_int64());
    case json::kind::uint64:
      return std::to_string(value.get_uint64());  // beyond int64: no time or size of ours
    case json::kind::string:
      return value.get_string().empty() ? "-" : printable(std::string_view(value.get_string()));
    case json::kind::array: return joined(member, value.get_array());
    case json::kind::object: return flattened(value.get_object());
    case json::kind::double_: break;
  }
  return json::serialize(value);
}

const json::object& object_in(const json::object& reply, std::string_view member) {
  static const json::object kNone;
  const json::value* value = reply.if_contains({member.data(), member.size()});
  return value != nullptr && value->is_object() ? value->get_object() : kNone;
}

const json::array& array_in(const json::object& reply, std::string_view member) {
  static const json::array kNone;
  const json::value* value = reply.if_contains({member.data(), member.size()});
  return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

std::string text_in(const json::object& reply, std::string_view member) {
  const json::value* value = reply.if_contains({member.data(), member.size()});
  return value == nullptr ? "?" : member_text(member, *value);
}

std::string fields_text(const json::object& object) {
  TextTable table({{""}, {""}});
  for (const auto& [key, value] : object) {
    const std::string_view member(key.data(), key.size());
    if (member != "ok") table.add_row({member_label(member), member_text(member, value)});
  }
  return table.render();
}

std::string rows_text(const json::array& rows, std::initializer_list<std::string_view> members) {
  std::vector<TextTable::Column> columns;
  for (const std::string_view member : members) {
    std::string heading = member_label(member);
    std::ranges::transform(heading, heading.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const bool counts =
        suffix_of(member).kind == Kind::kPlain && !rows.empty() &&
        std::ranges::all_of(rows, [&](const auto& row) {
          const json::value* value =
              row.is_object() ? row.get_object().if_contains({member.data(), member.size()}) : nullptr;
          return value != nullptr && value->is_number();
        });
    columns.push_back({heading, counts ? Align::kRight : Align::kLeft});
  }
  TextTable table(columns);
  for (const json::value& row : rows) {
    if (!row.is_object()) continue;
    std::vector<std::string> cells;
    for (const std::string_view member : members) cells.push_back(text_in(row.get_object(), member));
    table.add_row(std::move(cells));
  }
  return table.empty() ? "" : table.render();
}

}  // namespace authctl
