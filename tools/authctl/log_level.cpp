// authctl log-level LEVEL
#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {

void declare_log_level(Command command) {
  const auto level = std::make_shared<std::string>();
  command.choice("level", *level, {"debug", "info", "warning", "error"}, "the least serious that is logged");
  command.require("level");
  command.action([level](Call& call) {
    boost::json::object question = request("log_level");
    question["level"] = *level;
    return answer(call, question,
                  [](const auto& reply) { return "log level: " + text_in(reply, "level") + "\n"; });
  });
}

}  // namespace authctl
