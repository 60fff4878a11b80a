// authctl revoke: one kind of thing, named by an option. A kind whose value is secret reads it from standard
// input.
#include <array>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/token_input.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

enum class From { kStandardInput, kArgument };

// A row more is a kind more; the daemon must take its member.
struct Kind {
  const char* member;  // of the request; "--" + member is the option
  From from;
  const char* value;
  const char* summary;
};
constexpr std::array<Kind, 1> kKinds{
    {{"token", From::kStandardInput, "", "the token on the first line of standard input"}}};

struct Choice {
  std::array<bool, kKinds.size()> flagged{};
  std::array<std::string, kKinds.size()> values;
};

std::string known_kinds() {
  std::string text;
  for (const Kind& kind : kKinds) text += (text.empty() ? "--" : ", --") + std::string(kind.member);
  return text;
}

std::string render(const boost::json::object& reply) {
  return "refused after " + text_in(reply, "refused_after_ns") + ", durable after " +
         text_in(reply, "durable_after_ns") + ", change " + text_in(reply, "change") + ", " +
         text_in(reply, "killed") + " records\n";
}

Exit run(Call& call, const Choice& choice) {
  boost::json::object question = request("revoke");
  std::size_t kinds = 0;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (!choice.flagged[i] && choice.values[i].empty()) continue;
    ++kinds;
    if (kKinds[i].from == From::kArgument) {
      question[kKinds[i].member] = choice.values[i];
      continue;
    }
    const auto token = read_text_token(call.in_fd, call.err);
    if (!token) return report(call, token.error());
    question[kKinds[i].member] = token->text();
  }
  if (kinds != 1)
    return report(call, Failure{Exit::kUsage, "say what to revoke, by exactly one of: " + known_kinds()});
  return answer(call, question, render);
}

}  // namespace

void declare_revoke(Command command) {
  const auto choice = std::make_shared<Choice>();
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const std::string name = std::string("--") + kKinds[i].member;
    if (kKinds[i].from == From::kStandardInput) {
      command.flag(name, choice->flagged[i], kKinds[i].summary);
    } else {
      command.text(name, choice->values[i], kKinds[i].value, kKinds[i].summary);
    }
  }
  command.action([choice](Call& call) { return run(call, *choice); });
}

}  // namespace authctl
