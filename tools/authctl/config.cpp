// authctl config check | show | explain. What may stand in a configuration only authcached knows: it is run
// for `check` and `explain`, which need no daemon; `show` asks the one that runs.
#include <ostream>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/sibling_program.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

Exit pass_through(Call& call, const std::vector<std::string>& arguments) {
  call.out.flush();  // before another process writes to the same place
  const auto finished = run_program(sibling_program("authcached"), arguments, call.settings.json);
  if (!finished) return report(call, finished.error());
  const Exit exit = exit_of_status(finished->status);
  if (call.settings.json) {
    print_json(call.out,
               {{"ok", exit == Exit::kYes}, {"status", finished->status}, {"output", finished->output}});
  } else if (exit == Exit::kFailed) {
    call.err << "authctl: authcached ended with status " << finished->status << '\n';
  }
  return exit;
}

// The text is TOML with newlines that belong to it; the daemon wrote it from values that it had judged.
std::string render(const boost::json::object& reply) {
  const auto* text = reply.if_contains("text");
  const bool is_text = text != nullptr && text->is_string();
  return "# from " + text_in(reply, "file") + "\n" + (is_text ? std::string(text->get_string()) : "");
}

}  // namespace

void declare_config(Command command) {
  command.require_child();

  Command check = command.child("check", "say what is wrong with a configuration file",
                                "authctl config check /etc/authcache/authcached.toml");
  const auto file = std::make_shared<std::filesystem::path>();
  check.path("file", *file, "FILE", "the file to check");
  check.require("file");
  check.action([file](Call& call) { return pass_through(call, {"--check", "--config", file->string()}); });

  Command show = command.child("show", "the configuration that the daemon runs with", "authctl config show");
  show.action([](Call& call) { return answer(call, request("config"), render); });

  Command explain = command.child("explain", "what a key means, its unit and its default",
                                  "authctl config explain table.capacity");
  const auto key = std::make_shared<std::string>();
  explain.text("key", *key, "KEY", "as it stands in the file, with its section");
  explain.require("key");
  explain.action([key](Call& call) { return pass_through(call, {"--explain-config", *key}); });
}

}  // namespace authctl
