// Doctor's checks, printed. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "tools/authctl/doctor_checks.hpp"

namespace authctl {

[[nodiscard]] std::string checks_text(const std::vector<Check>& checks, bool colour);
// {"ok": ..., "checks": [{"name", "status", "finding", "remedy"}]}
[[nodiscard]] boost::json::object checks_object(const std::vector<Check>& checks, Exit exit);

}  // namespace authctl
