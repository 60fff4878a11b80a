#include "tools/authctl/revocation_text.hpp"

#include "tools/authctl/reply_text.hpp"

namespace authctl {
namespace {

bool says(const boost::json::object& reply, std::string_view member) {
  const auto* value = reply.if_contains(member);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// What the acknowledgement does not cover.
std::string fleet_text(const boost::json::object& fleet) {
  const bool bounded = text_in(fleet, "stale") == "unavailable";
  return "this is for this host; the other hosts of the fleet refuse it when they hear of it, the slowest was " +
         text_in(fleet, "worst_lag_ms") + " ms behind" +
         (bounded ? ", and one that does not hear for " + text_in(fleet, "staleness_ms") + " ms answers \"unavailable\"\n" : "\n");
}

}  // namespace

std::string revocation_text(const boost::json::object& reply) {
  std::string text = "refused after " + text_in(reply, "refused_after_ns") + ", durable after " + text_in(reply, "durable_after_ns") +
                     ", change " + text_in(reply, "change") + ", " + text_in(reply, "killed") + " records\n";
  if (says(reply, "everything")) text += "everything issued until then is refused\n";
  if (says(reply, "issuer_instead")) text += "limits.rules is reached: everything that this issuer issued until then is refused instead\n";
  if (reply.contains("fleet")) text += fleet_text(object_in(reply, "fleet"));
  return text;
}

}  // namespace authctl
