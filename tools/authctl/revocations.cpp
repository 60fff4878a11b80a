// authctl revocations list | lift
#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

constexpr std::uint64_t kListMax = 1000;  // of the protocol, in one answer

struct Page {
  std::uint64_t after = 0;
  std::uint64_t limit = kListMax;
};

std::string render(const boost::json::object& reply) {
  const auto& rules = array_in(reply, "rules");
  std::string text = rows_text(rules, {"change", "kind", "scope", "value", "not_before_wall_ns",
                                       "created_wall_ns", "life_ns", "durable"});
  text += std::to_string(rules.size()) + " shown, " + text_in(reply, "total") + " in force\n";
  return text;
}

std::string render_lifted(const boost::json::object& reply) {
  return "lifted:\n" + rows_text(array_in(reply, "lifted"), {"change", "kind", "scope", "value", "not_before_wall_ns"}) +
         "what these refused is asked for again at its next use\n";
}

void declare_lift(Command command) {
  const auto change = std::make_shared<std::uint64_t>(0);
  command.number("change", *change, 1, INT64_MAX, "the rule's number, as list shows it");
  command.require("change");
  command.action([change](Call& call) {
    boost::json::object question = request("lift");
    question["change"] = *change;
    return answer(call, question, render_lifted);
  });
}

}  // namespace

void declare_revocations(Command command) {
  command.require_child();
  Command list = command.child("list", "the rules in force, oldest first",
                               "authctl revocations list --after 120 --limit 50");
  const auto page = std::make_shared<Page>();
  list.number("--after", page->after, 0, INT64_MAX, "only rules made after this change (0)");
  list.number("--limit", page->limit, 1, kListMax, "at most this many (1000)");
  list.action([page](Call& call) {
    boost::json::object question = request("revocations");
    question["after"] = page->after;
    question["limit"] = page->limit;
    return answer(call, question, render);
  });
  declare_lift(command.child("lift", "take a rule back: what it refused may be good again", "authctl revocations lift 120"));
}

}  // namespace authctl
