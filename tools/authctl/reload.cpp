// authctl reload
#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

std::string render(const boost::json::object& reply) {
  std::string text = array_in(reply, "changed").empty()
                         ? "nothing changed\n"
                         : "now in effect: " + text_in(reply, "changed") + "\n";
  if (!array_in(reply, "restart_needed").empty())
    text += "after a restart: " + text_in(reply, "restart_needed") + "\n";
  return text;
}

}  // namespace

void declare_reload(Command command) {
  command.action([](Call& call) { return answer(call, request("reload"), render); });
}

}  // namespace authctl
