#include <algorithm>
#include <boost/json/array.hpp>

#include "daemon/base/sha256.hpp"
#include "daemon/control/control_handler.hpp"
#include "daemon/control/request_members.hpp"
#include "daemon/upstream/sqlite_upstream.hpp"
#include "shm/digest.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

constexpr std::int64_t kCountMax = 1'000;  // a reply of 1 000 sessions is 120 KB; more are asked for in turns
constexpr std::size_t kSidBytesMax = 32;  // ours have 22 characters, our tokens 43
constexpr std::int64_t kDefaultTtlNs = std::int64_t{3600} * 1'000'000'000;

struct SessionProfile {
  std::shared_ptr<const Profile> profile;
  SqliteUpstream* upstream;
};

shm::Result<SessionProfile> session_profile(const Services& services, const json::object& members) {
  const auto name = string_member(members, "profile");
  if (!name) return std::unexpected(name.error());
  auto profile = profile_named(services.profiles, *name);
  if (!profile) return shm::fail(shm::ErrorCode::kNotFound, "there is no profile " + *name + "; see authctl stats");
  auto* upstream = dynamic_cast<SqliteUpstream*>(profile->upstream.get());
  if (upstream == nullptr) return shm::fail(shm::ErrorCode::kUsage, "profile " + *name + " holds no sessions: its upstream is not sqlite");
  return SessionProfile{std::move(profile), upstream};
}

shm::Result<SessionSpec> read_spec(const Services& services, const Profile& profile, const json::object& members) {
  SessionSpec spec;
  auto subject = string_member(members, "subject");
  auto client_id = string_member_or(members, "client_id", "");
  auto scopes = strings_member(members, "scopes");
  auto roles = strings_member(members, "roles");
  auto permissions = strings_member(members, "permissions");
  const std::int64_t max_ns = std::chrono::nanoseconds(profile.config.max_token_lifetime).count();
  const auto ttl = number_member_or(members, "ttl_ns", std::min(kDefaultTtlNs, max_ns), 1, max_ns);
  const auto error_of = [](const auto& member) { return member ? nullptr : &member.error(); };
  const shm::Error* const errors[] = {error_of(subject), error_of(client_id),   error_of(scopes),
                                      error_of(roles),   error_of(permissions), error_of(ttl)};
  for (const shm::Error* error : errors) {
    if (error != nullptr) return std::unexpected(*error);
  }
  spec.subject = std::move(*subject);
  spec.client_id = std::move(*client_id);
  spec.scopes = std::move(*scopes);
  spec.roles = std::move(*roles);
  spec.permissions = std::move(*permissions);
  spec.created_wall_ns = services.clock.wall_ns();
  spec.expires_wall_ns = spec.created_wall_ns + *ttl;
  return spec;
}

json::array texts(const std::vector<std::string>& list) {
  json::array array;
  for (const std::string& text : list) array.emplace_back(text);
  return array;
}

// A created session is a hit at once: its record is admitted like any other before the token is given out.
json::object admit_session(Services& services, const Profile& profile, std::uint64_t epoch, const NewSession& session) {
  const shm::Digest digest = shm::token_digest(profile.id, session.token);
  const Sha256 token = sha256(session.token);
  (void)services.admission.admit({&profile, &digest, &token, epoch}, session.proof);
  return {{"token", session.token}, {"sid", session.sid}, {"expires_wall_ns", session.proof.expires_wall_ns.value_or(0)}};
}

}  // namespace

void session_create_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  auto found = session_profile(services, request.members);
  if (!found) return reply(control_error(found.error()));
  const auto count = number_member_or(request.members, "count", 1, 1, kCountMax);
  if (!count) return reply(control_error(count.error()));
  auto spec = read_spec(services, *found->profile, request.members);
  if (!spec) return reply(control_error(spec.error()));
  const std::uint64_t epoch = services.tables.epoch();
  found->upstream->create_sessions(
      std::move(*spec), static_cast<std::uint32_t>(*count),
      [&services, profile = found->profile, epoch, peer = request.peer, reply = std::move(reply)](shm::Result<std::vector<NewSession>> created) mutable {
        leave_audit(services, peer, "session_create", profile->config.name, created ? "ok" : created.error().message);
        if (!created) return reply(control_error(created.error()));
        json::array sessions;
        for (const NewSession& session : *created) sessions.push_back(admit_session(services, *profile, epoch, session));
        reply({{"sessions", std::move(sessions)}});
      });
}

void session_list_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  auto found = session_profile(services, request.members);
  if (!found) return reply(control_error(found.error()));
  auto subject = string_member_or(request.members, "subject", "");
  if (!subject) return reply(control_error(subject.error()));
  const auto limit = number_member_or(request.members, "limit", kCountMax, 1, kCountMax);
  if (!limit) return reply(control_error(limit.error()));
  found->upstream->list_sessions(std::move(*subject), static_cast<std::uint32_t>(*limit),
                                 [reply = std::move(reply)](shm::Result<std::vector<SessionRow>> rows) mutable {
                                   if (!rows) return reply(control_error(rows.error()));
                                   json::array sessions;
                                   for (const SessionRow& row : *rows) {
                                     json::value revoked = nullptr;
                                     if (row.revoked_wall_ns) revoked = *row.revoked_wall_ns;
                                     sessions.push_back(json::object{{"sid", row.sid},
                                                                     {"subject", row.subject},
                                                                     {"client_id", row.client_id},
                                                                     {"scopes", texts(row.scopes)},
                                                                     {"roles", texts(row.roles)},
                                                                     {"permissions", texts(row.permissions)},
                                                                     {"created_wall_ns", row.created_wall_ns},
                                                                     {"expires_wall_ns", row.expires_wall_ns},
                                                                     {"last_seen_wall_ns", row.last_seen_wall_ns},
                                                                     {"revoked_wall_ns", revoked}});
                                   }
                                   reply({{"sessions", std::move(sessions)}});
                                 });
}

// The database is told first, because only it knows the token's hash; then the rule, the kills and the rule's commit.
// The acknowledgement follows them all, so the order between the first two steps can't be seen.
void session_revoke_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  auto found = session_profile(services, request.members);
  if (!found) return reply(control_error(found.error()));
  auto sid = string_member(request.members, "sid");
  if (!sid) return reply(control_error(sid.error()));
  // Somebody will paste a token here, which must not reach the log.
  if (sid->size() > kSidBytesMax) return reply(control_error("usage", "\"sid\" is longer than a session's name; for a token use revoke"));
  found->upstream->revoke_session(*sid, [&services, sid = *sid, peer = request.peer, reply = std::move(reply)](shm::Result<SessionRow> row) mutable {
    if (!row) {
      leave_audit(services, peer, "session_revoke", sid, row.error().message);
      return reply(control_error(row.error()));
    }
    services.revoker.revoke_session(row->token_hash, [&services, sid, peer, reply = std::move(reply)](shm::Result<RevokeReport> done) mutable {
      leave_audit(services, peer, "session_revoke", sid, done ? "ok" : done.error().message);
      if (!done) return reply(control_error("failed", "nothing is acknowledged: " + done.error().message));
      reply(revoke_report(*done));
    });
  });
}

}  // namespace authcached
