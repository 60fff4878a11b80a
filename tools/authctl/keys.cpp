// authctl keys [revoke]
#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/revocation_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

std::string render(const boost::json::object& reply) {
  std::string text;
  for (const auto& value : array_in(reply, "profiles")) {
    if (!value.is_object()) continue;
    const auto& profile = value.get_object();
    text += (text.empty() ? "" : "\n") + text_in(profile, "name") + ", loaded " +
            text_in(profile, "loaded_wall_ns") + "\n";
    const auto* error = profile.if_contains("error");
    if (error != nullptr && error->is_string() && !error->get_string().empty())
      text += "error: " + text_in(profile, "error") + "\n";
    text += rows_text(array_in(profile, "keys"), {"kid", "thumbprint", "algorithms"});
    for (const auto& skipped : array_in(profile, "skipped")) {
      if (!skipped.is_object()) continue;
      text += "skipped " + text_in(skipped.get_object(), "kid") + ": " +
              text_in(skipped.get_object(), "why") + "\n";
    }
  }
  return text.empty() ? "no profile verifies signatures\n" : text;
}

}  // namespace

void declare_keys(Command command) {
  Command revoke = command.child("revoke", "refuse every token that this key signed, now and later",
                                 "authctl keys revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  const auto thumbprint = std::make_shared<std::string>();
  revoke.text("thumbprint", *thumbprint, "THUMBPRINT", "the key, by its thumbprint as authctl keys shows it");
  revoke.require("thumbprint");
  revoke.action([thumbprint](Call& call) {
    boost::json::object question = request("revoke");
    question["key"] = *thumbprint;
    return answer(call, question, revocation_text);
  });
  command.action([](Call& call) { return answer(call, request("keys"), render); });
}

}  // namespace authctl
