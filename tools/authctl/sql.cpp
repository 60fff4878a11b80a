// authctl sql postgres PROFILE: what a database needs so that a profile hears of its changes. What the
// profile says of its keys only authcached can read; it prints, and needs no daemon.
#include <ostream>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/sibling_program.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

struct Asked {
  std::filesystem::path config = "/etc/authcache/authcached.toml";
  std::string profile, sessions, key, sid, reader;
  std::vector<std::string> subjects, ignored;
};

Exit print(Call& call, const Asked& asked) {
  std::vector<std::string> arguments{"--config", asked.config.string(), "--print-changes-sql", asked.profile};
  const auto add = [&](const std::string& name, const std::string& value) {
    if (value.empty()) return;
    arguments.push_back("--changes-sql");
    arguments.push_back(name + "=" + value);
  };
  add("table", asked.sessions);
  add("key", asked.key);
  add("sid", asked.sid);
  add("reader", asked.reader);
  for (const std::string& each : asked.subjects) add("subjects", each);
  for (const std::string& each : asked.ignored) add("ignore", each);
  call.out.flush();  // before another process writes to the same place
  const auto finished = run_program(sibling_program("authcached"), arguments, call.settings.json);
  if (!finished) return report(call, finished.error());
  const Exit exit = exit_of_status(finished->status);
  if (call.settings.json)
    print_json(call.out,
               {{"ok", exit == Exit::kYes}, {"status", finished->status}, {"output", finished->output}});
  return exit;
}

}  // namespace

void declare_sql(Command command) {
  command.require_child();
  Command postgres = command.child(
      "postgres", "print the table and triggers by which a PostgreSQL database tells of changes",
      "authctl sql postgres shop --table sessions --key token_hash --subjects users.id");
  const auto asked = std::make_shared<Asked>();
  postgres.text("profile", asked->profile, "PROFILE", "the profile that is to hear of them");
  postgres.require("profile");
  postgres.path("--config", asked->config, "FILE", "the configuration that holds it");
  postgres.text("--table", asked->sessions, "TABLE", "the table of sessions, TABLE or SCHEMA.TABLE");
  postgres.require("--table");
  postgres.text("--key", asked->key, "COLUMN", "its column that the query returns as token_key");
  postgres.text("--sid", asked->sid, "COLUMN", "its column that the query returns as sid");
  postgres.texts(
      "--subjects", asked->subjects, "TABLE.COLUMN",
      "a table whose rows decide what a subject may do, and its column that the query returns as subject");
  postgres.texts("--ignore", asked->ignored, "COLUMN",
                 "a column of sessions whose changes mean nothing, such as last_used_at");
  postgres.text("--reader", asked->reader, "ROLE",
                "the role of the daemon, if not the user of its connection");
  postgres.action([asked](Call& call) { return print(call, *asked); });
}

}  // namespace authctl
