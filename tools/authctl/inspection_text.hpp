// What table_inspection.hpp read, as JSON and for people. JSON holds texts as they are (what is no UTF-8 is
// escaped as \xff); the other escapes all that acts on a terminal. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>

#include "tools/authctl/table_inspection.hpp"

namespace authctl {

[[nodiscard]] boost::json::object summary_object(const TableSummary& summary,
                                                 const std::map<std::string, std::uint64_t>& slots);
[[nodiscard]] std::string summary_text(const boost::json::object& summary);

// The members of the control protocol's `record`.
[[nodiscard]] boost::json::object record_object(const RecordView& record);
[[nodiscard]] std::string record_text(const boost::json::object& record);

}  // namespace authctl
