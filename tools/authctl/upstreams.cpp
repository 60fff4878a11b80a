// authctl upstreams
#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

std::string render(const boost::json::object& reply) {
  const std::string rows = rows_text(array_in(reply, "upstreams"), {"profile", "kind", "state"});
  return rows.empty() ? "no upstreams\n" : rows;
}

}  // namespace

void declare_upstreams(Command command) {
  command.action([](Call& call) { return answer(call, request("upstreams"), render); });
}

}  // namespace authctl
