#include "tools/authctl/revocation_text.hpp"

#include "tools/authctl/reply_text.hpp"

namespace authctl {
namespace {

bool says(const boost::json::object& reply, std::string_view member) {
  const auto* value = reply.if_contains(member);
  return value != nullptr && value->is_bool() && value->get_bool();
}

}  // namespace

std::string revocation_text(const boost::json::object& reply) {
  std::string text = "refused after " + text_in(reply, "refused_after_ns") + ", durable after " + text_in(reply, "durable_after_ns") +
                     ", change " + text_in(reply, "change") + ", " + text_in(reply, "killed") + " records\n";
  if (says(reply, "everything")) text += "everything issued until then is refused\n";
  if (says(reply, "issuer_instead")) text += "limits.rules is reached: everything that this issuer issued until then is refused instead\n";
  return text;
}

}  // namespace authctl
