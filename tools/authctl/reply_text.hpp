// Replies for people. The protocol names units last (`_ns`, `_wall_ns`, `_bytes`), so one reader renders them
// all, and a member that a later daemon adds is shown without a change here. Pure; any thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

namespace authctl {

// "heartbeat_age_ns" -> "heartbeat age".
[[nodiscard]] std::string member_label(std::string_view member);
// One value as text, in the unit that its member's name says. Lists are joined by spaces, objects become
// "key=value".
[[nodiscard]] std::string member_text(std::string_view member, const boost::json::value& value);

// A reply's member, or an empty value of that kind where it is missing or another: replies are not trusted to
// be whole.
[[nodiscard]] const boost::json::object& object_in(const boost::json::object& reply, std::string_view member);
[[nodiscard]] const boost::json::array& array_in(const boost::json::object& reply, std::string_view member);
// member_text of a member, or "?".
[[nodiscard]] std::string text_in(const boost::json::object& reply, std::string_view member);

// One member a line, label and value aligned; `ok` is left out.
[[nodiscard]] std::string fields_text(const boost::json::object& object);
// A table: these members as columns, one row for each object. Empty text for no rows.
[[nodiscard]] std::string rows_text(const boost::json::array& rows,
                                    std::initializer_list<std::string_view> members);

}  // namespace authctl
