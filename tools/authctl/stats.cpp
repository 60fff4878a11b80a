// authctl stats
#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

std::string render(const boost::json::object& reply) {
  std::string text = "Table\n" + fields_text(object_in(reply, "table")) + "\nDaemon\n" +
                     fields_text(object_in(reply, "daemon")) + "\nProfiles\n" +
                     rows_text(array_in(reply, "profiles"), {"name", "upstream", "state", "id"});
  if (reply.contains("refresh")) text += "\nRefresh\n" + fields_text(object_in(reply, "refresh"));
  if (reply.contains("fleet")) {
    boost::json::object fleet = object_in(reply, "fleet");
    fleet.erase("transport");
    text += "\nFleet\n" + fields_text(fleet);
  }
  if (reply.contains("sliding")) text += "\nIdle sessions\n" + fields_text(object_in(reply, "sliding"));
  if (reply.contains("warm") && !array_in(reply, "warm").empty()) {
    text += "\nWarm start\n" +
            rows_text(array_in(reply, "warm"), {"profile", "wanted", "records", "known", "refused", "done", "stopped"});
  }
  if (reply.contains("http")) text += "\nHTTP\n" + fields_text(object_in(reply, "http"));
  for (const std::string_view list : {"complaints", "upstream_complaints"}) {
    for (const auto& complaint : array_in(reply, list)) text += "\nwarning: " + member_text("", complaint) + "\n";
  }
  return text;
}

}  // namespace

void declare_stats(Command command) {
  command.action([](Call& call) { return answer(call, request("stats"), render); });
}

}  // namespace authctl
