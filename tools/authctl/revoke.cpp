// authctl revoke: one kind of thing, named by an option. A kind whose value is secret reads it from standard
// input.
#include <array>
#include <ctime>
#include <optional>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/revocation_text.hpp"
#include "tools/authctl/token_input.hpp"
#include "tools/authctl/units.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

enum class From { kStandardInput, kArgument, kNothing };

// A row more is a kind more; the daemon must take its member.
struct Kind {
  const char* member;  // of the request; "--" + member is the option
  From from;
  const char* value;
  const char* summary;
};
constexpr std::array<Kind, 8> kKinds{{
    {"token", From::kStandardInput, "", "the token on the first line of standard input"},
    {"jti", From::kArgument, "ID", "the token of this jti; needs --issuer"},
    {"sid", From::kArgument, "ID", "every token of this session"},
    {"subject", From::kArgument, "SUBJECT", "every token of this subject"},
    {"client", From::kArgument, "ID", "every token of this OAuth client"},
    {"key", From::kArgument, "THUMBPRINT", "every token that this key signed, as authctl keys shows it"},
    {"issuer", From::kArgument, "URL",
     "every token of this issuer; or, beside --jti, --sid, --subject or --client, only the issuer's"},
    {"everything", From::kNothing, "", "every token of every issuer, and every session"},
}};
constexpr std::size_t kJti = 1;
constexpr std::size_t kIssuer = 6;
static_assert(std::string_view(kKinds[kJti].member) == "jti");
static_assert(std::string_view(kKinds[kIssuer].member) == "issuer");

struct Choice {
  std::array<bool, kKinds.size()> flagged{};
  std::array<std::string, kKinds.size()> values;
  std::string before;

  [[nodiscard]] bool has(std::size_t kind) const { return flagged[kind] || !values[kind].empty(); }
};

std::string known_kinds() {
  std::string text;
  for (const Kind& kind : kKinds) text += (text.empty() ? "--" : ", --") + std::string(kind.member);
  return text;
}

// A moment, or how long ago it was. Nothing where it is neither.
std::optional<std::int64_t> moment(const std::string& text) {
  if (const auto wall_ns = parse_wall_time(text)) return wall_ns;
  const auto ago = parse_duration(text);
  if (!ago) return std::nullopt;
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec - ago->count();
}

Exit run(Call& call, const Choice& choice) {
  boost::json::object question = request("revoke");
  std::size_t kinds = 0;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (!choice.has(i)) continue;
    if (i != kIssuer || kinds == 0) ++kinds;  // the issuer comes behind those that it may limit
    if (kKinds[i].from == From::kArgument) question[kKinds[i].member] = choice.values[i];
    if (kKinds[i].from == From::kNothing) question[kKinds[i].member] = true;
    if (kKinds[i].from != From::kStandardInput) continue;
    const auto token = read_text_token(call.in_fd, call.err);
    if (!token) return report(call, token.error());
    question[kKinds[i].member] = token->text();
  }
  if (kinds != 1)
    return report(call, Failure{Exit::kUsage, "say what to revoke, by exactly one of: " + known_kinds()});
  if (choice.has(kJti) && !choice.has(kIssuer))
    return report(call, Failure{Exit::kUsage, "--jti needs --issuer: each issuer numbers its own tokens"});
  if (!choice.before.empty()) {
    const auto not_before = moment(choice.before);
    if (!not_before) {
      return report(call, Failure{Exit::kUsage, "--before takes a moment such as 2026-03-01T12:00:00Z, or how long ago: 90s, 10m, 2h, 1d"});
    }
    question["not_before_wall_ns"] = *not_before;
  }
  return answer(call, question, revocation_text);
}

}  // namespace

void declare_revoke(Command command) {
  const auto choice = std::make_shared<Choice>();
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const std::string name = std::string("--") + kKinds[i].member;
    if (kKinds[i].from == From::kArgument) {
      command.text(name, choice->values[i], kKinds[i].value, kKinds[i].summary);
    } else {
      command.flag(name, choice->flagged[i], kKinds[i].summary);
    }
  }
  command.text("--before", choice->before, "TIME",
               "only what was issued until then: 2026-03-01T12:00:00Z, or how long ago as in 10m (now)");
  command.action([choice](Call& call) { return run(call, *choice); });
}

}  // namespace authctl
