#include "tools/authctl/doctor_report.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

#include "tools/authctl/printable.hpp"

namespace authctl {
namespace {

constexpr std::size_t kStatusWidth = 4;

std::string_view colour_of(Status status) {
  switch (status) {
    case Status::kOk: return "\x1b[32m";
    case Status::kWarn: return "\x1b[33m";
    case Status::kFail: break;
  }
  return "\x1b[31m";
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  if (out.size() < width) out.append(width - out.size(), ' ');
  return out;
}

}  // namespace

std::string checks_text(const std::vector<Check>& checks, bool colour) {
  std::size_t name_width = 0;
  for (const Check& check : checks) name_width = std::max(name_width, check.name.size());
  std::string out;
  for (const Check& check : checks) {
    const std::string status = padded(status_name(check.status), kStatusWidth);
    out += colour ? std::string(colour_of(check.status)) + status + "\x1b[0m" : status;
    out += "  " + padded(check.name, name_width) + "  " + printable(check.finding) + "\n";
    if (check.remedy.empty()) continue;
    out += std::string(kStatusWidth + 2 + name_width + 2, ' ') + "-> " + printable(check.remedy) + "\n";
  }
  return out;
}

boost::json::object checks_object(const std::vector<Check>& checks, Exit exit) {
  boost::json::array rows;
  for (const Check& check : checks) {
    rows.push_back(boost::json::object{{"name", check.name},
                                       {"status", status_name(check.status)},
                                       {"finding", check.finding},
                                       {"remedy", check.remedy}});
  }
  return {{"ok", exit == Exit::kYes}, {"checks", std::move(rows)}};
}

}  // namespace authctl
