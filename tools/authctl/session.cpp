// authctl session create | list | revoke: sessions of our own store. A created token is printed once and
// exists nowhere else: the store holds its hash.
#include <algorithm>
#include <boost/json/value_from.hpp>
#include <ostream>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/control_reply.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace json = boost::json;
namespace {

constexpr const char* kProfileDefault = "sessions";
constexpr std::uint64_t kBatchMax = 1000;       // of the protocol, in one request
constexpr std::uint64_t kCountMax = 1'000'000;  // their tokens are kept in memory for one JSON document

struct CreateOptions {
  std::string profile = kProfileDefault;
  std::string subject;
  std::string client_id;
  std::vector<std::string> scopes;
  std::vector<std::string> roles;
  std::vector<std::string> permissions;
  std::chrono::nanoseconds ttl{0};  // 0: the daemon's default
  std::uint64_t count = 1;
};

json::object create_request(const CreateOptions& options, std::uint64_t count) {
  json::object question = request("session_create");
  question["profile"] = options.profile;
  question["subject"] = options.subject;
  if (!options.client_id.empty()) question["client_id"] = options.client_id;
  if (!options.scopes.empty()) question["scopes"] = json::value_from(options.scopes);
  if (!options.roles.empty()) question["roles"] = json::value_from(options.roles);
  if (!options.permissions.empty()) question["permissions"] = json::value_from(options.permissions);
  if (options.ttl.count() > 0) question["ttl_ns"] = options.ttl.count();
  question["count"] = count;
  return question;
}

// For people each batch is printed as it comes; JSON is one document at the end. Either way the tokens of the
// batches that were made are printed even if a later one fails: nobody could ask for them again.
Exit create(Call& call, const CreateOptions& options) {
  auto client = ControlClient::connect(call.settings.runtime_dir, call.settings.timeout);
  if (!client) return report(call, client.error());
  json::array sessions;
  Outcome<json::object> reply;
  std::uint64_t left = options.count;
  for (; left > 0 && reply; left -= std::min(left, kBatchMax)) {
    reply = ask(*client, create_request(options, std::min(left, kBatchMax)));
    if (!reply) break;
    const json::array& batch = array_in(*reply, "sessions");
    if (call.settings.json) {
      sessions.insert(sessions.end(), batch.begin(), batch.end());
    } else {
      call.out << rows_text(batch, {"token", "sid", "expires_wall_ns"}) << std::flush;
    }
  }
  if (!reply && !call.settings.json) return report(call, reply.error());
  if (call.settings.json) {
    json::object document = reply ? json::object{{"ok", true}} : failure_object(reply.error());
    document["sessions"] = std::move(sessions);
    print_json(call.out, document);
  }
  return reply ? Exit::kYes : reply.error().exit;
}

void declare_create(Command command) {
  const auto options = std::make_shared<CreateOptions>();
  command.text("--subject", options->subject, "SUBJECT", "whose session it is");
  command.require("--subject");
  command.text("--client-id", options->client_id, "ID", "the OAuth client it was made for");
  command.texts("--scope", options->scopes, "SCOPE", "a scope it has; can be repeated");
  command.texts("--role", options->roles, "ROLE", "a role it has; can be repeated");
  command.texts("--permission", options->permissions, "NAME", "a permission it has; can be repeated");
  command.duration("--ttl", options->ttl, "how long it lives (1h, or the profile's maximum token lifetime where that is less)");
  command.number("--count", options->count, 1, kCountMax, "how many alike (1)");
  command.text("--profile", options->profile, "NAME", "the profile whose store it goes to (sessions)");
  command.action([options](Call& call) { return create(call, *options); });
}

struct ListOptions {
  std::string profile = kProfileDefault;
  std::string subject;
  std::uint64_t limit = 100;
};

std::string render_list(const json::object& reply) {
  const std::string rows =
      rows_text(array_in(reply, "sessions"), {"sid", "subject", "client_id", "scopes", "roles", "permissions",
                                              "created_wall_ns", "expires_wall_ns", "last_seen_wall_ns",
                                              "revoked_wall_ns"});
  return rows.empty() ? "no sessions\n" : rows;
}

void declare_list(Command command) {
  const auto options = std::make_shared<ListOptions>();
  command.text("--subject", options->subject, "SUBJECT", "only those of this subject");
  command.number("--limit", options->limit, 1, kBatchMax, "at most this many (100)");
  command.text("--profile", options->profile, "NAME", "the profile whose store is read (sessions)");
  command.action([options](Call& call) {
    json::object question = request("session_list");
    question["profile"] = options->profile;
    if (!options->subject.empty()) question["subject"] = options->subject;
    question["limit"] = options->limit;
    return answer(call, question, render_list);
  });
}

struct RevokeOptions {
  std::string profile = kProfileDefault;
  std::string sid;
};

std::string render_revoked(const json::object& reply) {
  return "refused after " + text_in(reply, "refused_after_ns") + ", durable after " +
         text_in(reply, "durable_after_ns") + ", " + text_in(reply, "killed") + " records\n";
}

void declare_revoke_session(Command command) {
  const auto options = std::make_shared<RevokeOptions>();
  command.text("sid", options->sid, "SID", "the session's public name, as list shows it");
  command.require("sid");
  command.text("--profile", options->profile, "NAME", "the profile whose store holds it (sessions)");
  command.action([options](Call& call) {
    json::object question = request("session_revoke");
    question["profile"] = options->profile;
    question["sid"] = options->sid;
    return answer(call, question, render_revoked);
  });
}

}  // namespace

void declare_session(Command command) {
  command.require_child();
  declare_create(command.child("create", "make sessions and print each token, once",
                               "authctl session create --subject alice --scope read --scope write --ttl 8h"));
  declare_list(command.child("list", "sessions, newest first", "authctl session list --subject alice"));
  declare_revoke_session(command.child("revoke", "end one session, everywhere",
                                       "authctl session revoke Zq3b0o2VYcQ4m1dWn6x7TA"));
}

}  // namespace authctl
