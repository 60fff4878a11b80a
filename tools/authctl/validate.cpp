// authctl validate: what an application would be told, by the same library. Each token is looked up in shared
// memory first, so that the output can say where the answer came from.
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <climits>
#include <ostream>

#include "libclient/include/authcache/authcache.h"
#include "shm/coarse_clock.hpp"
#include "tools/authctl/ask.hpp"
#include "tools/authctl/printable.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/table_owner.hpp"
#include "tools/authctl/token_input.hpp"
#include "tools/authctl/validate_exit.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace json = boost::json;
namespace {

struct Options {
  std::string profile;
  std::vector<std::string> audiences;
  std::vector<std::string> scopes;
  std::vector<std::string> permissions;
};

struct CloseClient {
  void operator()(authcache_client* client) const { authcache_close(client); }
};
using Client = std::unique_ptr<authcache_client, CloseClient>;
struct FreeRequirement {
  void operator()(authcache_requirement* requirement) const { authcache_requirement_free(requirement); }
};
using Requirement = std::unique_ptr<authcache_requirement, FreeRequirement>;

Outcome<Client> open_client(const std::filesystem::path& runtime_dir) {
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.runtime_dir = runtime_dir.c_str();
  const uid_t owner = table_owner(runtime_dir);
  if (owner != static_cast<uid_t>(-1)) options.daemon_uid = owner;
  authcache_client* client = nullptr;
  if (authcache_open(&options, &client) != AUTHCACHE_OK)
    return failure(Exit::kFailed, authcache_last_error(nullptr));
  return Client(client);
}

Outcome<Requirement> make_requirement(authcache_client* client, const Options& options) {
  authcache_requirement* made = nullptr;
  int result = authcache_requirement_create(client, options.profile.c_str(), &made);
  Requirement requirement(made);
  const auto add_all = [&](const std::vector<std::string>& texts, auto add) {
    for (const std::string& text : texts) {
      if (result == AUTHCACHE_OK) result = add(requirement.get(), text.c_str());
    }
  };
  add_all(options.audiences, authcache_requirement_add_audience);
  add_all(options.scopes, authcache_requirement_add_scope);
  add_all(options.permissions, authcache_requirement_add_permission);
  if (result != AUTHCACHE_OK) return failure(Exit::kUsage, authcache_last_error(client));
  return requirement;
}

std::string identity_text(authcache_client* client, const authcache_identity& identity,
                          authcache_field field) {
  std::array<char, 4096> buffer{};
  const int length = authcache_identity_text(client, &identity, field, buffer.data(), buffer.size());
  if (length < 0) return {};
  if (static_cast<std::size_t>(length) < buffer.size())
    return {buffer.data(), static_cast<std::size_t>(length)};
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  const int again = authcache_identity_text(client, &identity, field, text.data(), text.size());
  text.resize(again >= 0 && again <= length ? static_cast<std::size_t>(again) : 0);
  return text;
}

void add_identity(json::object& answer, authcache_client* client, const authcache_identity& identity) {
  struct Field {
    const char* member;
    authcache_field field;
  };
  constexpr std::array<Field, 4> kFields{{{"subject", AUTHCACHE_FIELD_SUBJECT},
                                          {"client_id", AUTHCACHE_FIELD_CLIENT_ID},
                                          {"scopes", AUTHCACHE_FIELD_SCOPES},
                                          {"permissions", AUTHCACHE_FIELD_PERMISSIONS}}};
  for (const Field& field : kFields) {
    const std::string text = identity_text(client, identity, field.field);
    if (!text.empty()) answer[field.member] = is_utf8(text) ? text : printable(text);
  }
  answer["remaining_ns"] = static_cast<std::int64_t>(identity.deadline_ns - authcache::shm::coarse_now_ns());
}

struct Judged {
  Exit exit;
  json::object answer;
};

bool decides(int verdict) {
  return verdict == AUTHCACHE_VALID || verdict == AUTHCACHE_INVALID || verdict == AUTHCACHE_FORBIDDEN;
}

Judged judge(authcache_client* client, const authcache_requirement* requirement, const std::string& token,
             int timeout_ms) {
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  int verdict = authcache_lookup(client, token.data(), token.size(), requirement, &identity);
  const bool from_memory = decides(verdict);
  if (!from_memory) {
    verdict = authcache_validate(client, token.data(), token.size(), requirement, timeout_ms, &identity);
  }
  Judged judged{exit_of_verdict(verdict, identity.reason), {}};
  judged.answer["verdict"] = authcache_verdict_name(verdict);
  judged.answer["reason"] = verdict < 0 ? "" : authcache_reason_name(identity.reason);
  judged.answer["from"] = from_memory ? "memory" : decides(verdict) ? "daemon" : "none";
  if (verdict < 0 || verdict == AUTHCACHE_UNAVAILABLE) judged.answer["why"] = authcache_last_error(client);
  const bool has_record = verdict >= 0 && identity.sequence != 0;
  if (has_record) add_identity(judged.answer, client, identity);
  return judged;
}

std::string render(const json::object& document) {
  const json::array& tokens = array_in(document, "tokens");
  if (tokens.size() == 1) return fields_text(tokens.front().as_object());
  return rows_text(tokens, {"line", "verdict", "reason", "from", "remaining_ns", "subject", "scopes"});
}

Exit run(Call& call, const Options& options) {
  const auto client = open_client(call.settings.runtime_dir);
  if (!client) return report(call, client.error());
  const auto requirement = make_requirement(client->get(), options);
  if (!requirement) return report(call, requirement.error());
  const auto whole_ms = std::chrono::ceil<std::chrono::milliseconds>(call.settings.timeout).count();
  const int timeout_ms = static_cast<int>(std::min<std::int64_t>(whole_ms, INT_MAX));

  TokenInput input(call.in_fd, call.err);
  json::array tokens;
  std::vector<Exit> exits;
  for (std::uint64_t line = 1;; ++line) {
    const auto token = input.next();
    if (!token) return report(call, token.error());
    if (!*token) break;
    if ((*token)->text().empty()) continue;
    Judged judged = judge(client->get(), requirement->get(), (*token)->text(), timeout_ms);
    exits.push_back(judged.exit);
    json::object row{{"line", line}};
    for (const auto& [member, value] : judged.answer) row[member] = value;
    tokens.emplace_back(std::move(row));
  }
  if (exits.empty())
    return report(call, Failure{Exit::kUsage, "no token on standard input; write each there as one line"});
  const Exit exit = exit_of_all(exits);
  report(call, json::object{{"ok", exit == Exit::kYes}, {"tokens", std::move(tokens)}}, render);
  return exit;
}

}  // namespace

void declare_validate(Command command) {
  const auto options = std::make_shared<Options>();
  command.text("--profile", options->profile, "NAME", "the profile that may prove the tokens");
  command.require("--profile");
  command.texts("--audience", options->audiences, "AUDIENCE",
                "meant for one of these (the profile's); can be repeated");
  command.texts("--scope", options->scopes, "SCOPE", "a scope that each must have; can be repeated");
  command.texts("--permission", options->permissions, "NAME",
                "a permission that each must have; can be repeated");
  command.action([options](Call& call) { return run(call, *options); });
}

}  // namespace authctl
