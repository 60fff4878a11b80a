// authctl flush: raises an epoch, so that every record under it is asked for again. No rule is made.
#include <array>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

struct Scope {
  const char* member;  // of the request; "--" + member is the option
  const char* value;
  const char* summary;
};
constexpr std::array<Scope, 4> kScopes{{{"issuer", "URL", "only records of this issuer"},
                                        {"key", "THUMBPRINT", "only records proved by this signing key"},
                                        {"profile", "NAME", "only records of this profile"},
                                        {"subject", "SUBJECT", "only records of this subject"}}};

std::string render(const boost::json::object& reply) {
  return "voided: " + text_in(reply, "voided") + "; each token is asked for again at its next use\n";
}

}  // namespace

void declare_flush(Command command) {
  const auto values = std::make_shared<std::array<std::string, kScopes.size()>>();
  for (std::size_t i = 0; i < kScopes.size(); ++i) {
    command.text(std::string("--") + kScopes[i].member, (*values)[i], kScopes[i].value, kScopes[i].summary);
    for (std::size_t j = 0; j < i; ++j) {
      command.exclude(std::string("--") + kScopes[i].member, std::string("--") + kScopes[j].member);
    }
  }
  command.action([values](Call& call) {
    boost::json::object question = request("flush");
    for (std::size_t i = 0; i < kScopes.size(); ++i) {
      if (!(*values)[i].empty()) question[kScopes[i].member] = (*values)[i];
    }
    return answer(call, question, render);
  });
}

}  // namespace authctl
