// A control reply as a value: the JSON object of an "ok", or the failure that the daemon reports. Pure; any
// thread.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "tools/authctl/exit_code.hpp"

namespace authctl {

// What is no JSON object with a boolean `ok` is kCannotTell: it answers nothing.
[[nodiscard]] Outcome<boost::json::object> parse_reply(std::string_view text);

// The same shape for failures of every origin: {"ok":false,"error":...,"code":...}.
[[nodiscard]] boost::json::object failure_object(const Failure& failure);

}  // namespace authctl
