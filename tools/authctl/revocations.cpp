// authctl revocations list
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
}

}  // namespace authctl
