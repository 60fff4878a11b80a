// The verbs of authctl, one file each: a declare function gives its command options and an action.
// verb_table.cpp names them. Called once, from one thread; options live in what the action captures.
#pragma once

#include <span>

#include "tools/authctl/command.hpp"

namespace authctl {

struct Verb {
  const char* name;
  const char* summary;
  const char* example;
  void (*declare)(Command command);
};

// All of them, in the order of the help text.
[[nodiscard]] std::span<const Verb> verbs();

void declare_stats(Command command);
void declare_flush(Command command);
void declare_validate(Command command);
void declare_inspect(Command command);
void declare_revoke(Command command);
void declare_revocations(Command command);
void declare_session(Command command);
void declare_keys(Command command);
void declare_permissions(Command command);
void declare_upstreams(Command command);
void declare_reload(Command command);
void declare_config(Command command);
void declare_doctor(Command command);
void declare_completion(Command command);
void declare_log_level(Command command);
void declare_sql(Command command);

}  // namespace authctl
