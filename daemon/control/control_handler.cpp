#include "daemon/control/control_handler.hpp"

#include <boost/json/serialize.hpp>
#include <exception>
#include <utility>

#include "daemon/base/log.hpp"
#include "daemon/token/json.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;

namespace {

struct NamedVerb {
  std::string_view name;
  Verb run;
};

constexpr NamedVerb kVerbs[] = {
    {"config", config_verb},
    {"explain_permission", explain_permission_verb},
    {"flush", flush_verb},
    {"keys", keys_verb},
    {"lift", lift_verb},
    {"log_level", log_level_verb},
    {"record", record_verb},
    {"reload", reload_verb},
    {"revocations", revocations_verb},
    {"revoke", revoke_verb},
    {"session_create", session_create_verb},
    {"session_list", session_list_verb},
    {"session_revoke", session_revoke_verb},
    {"stats", stats_verb},
    {"upstreams", upstreams_verb},
};

// A session with hundreds of scopes has some thousand elements; the frame's own limit bounds the bytes.
constexpr JsonLimits kControlJson{wire::kControlRequestMax, 64 * 1024};

void send_reply(const std::weak_ptr<Connection>& connection, std::uint64_t request_id, json::object reply) {
  const auto alive = connection.lock();
  if (!alive) return;
  if (!reply.contains("ok")) reply["ok"] = true;
  std::string text = json::serialize(reply);
  if (text.size() > wire::kControlReplyMax) {
    text = json::serialize(control_error("failed", "the answer is longer than 4 MiB; ask for fewer at a time (limit)"));
  }
  std::string frame;
  wire::append_frame(frame, wire::Type::kControlReply, request_id, text);
  alive->send(frame);
}

// Runs a verb; what it throws (no memory is left, in the main) becomes its answer, unless it has given one.
void run_verb(Verb verb, Services& services, const ControlRequest& request, const std::weak_ptr<Connection>& connection, std::uint64_t id) {
  const auto answered = std::make_shared<bool>(false);
  const auto once = [connection, id, answered](json::object answer) {
    if (std::exchange(*answered, true)) return;
    send_reply(connection, id, std::move(answer));
  };
  try {
    verb(services, request, once);
  } catch (const std::exception&) {
    once(control_error("failed", "the daemon could not handle this request; what it did of it is not known"));
  }
}

}  // namespace

json::object control_error(std::string_view code, std::string_view sentence) {
  return {{"ok", false}, {"code", code}, {"error", sentence}};
}

json::object control_error(const shm::Error& error) {
  switch (error.code) {
    case shm::ErrorCode::kUsage: return control_error("usage", error.message);
    case shm::ErrorCode::kNotFound: return control_error("not_found", error.message);
    case shm::ErrorCode::kUnavailable: return control_error("unavailable", error.message);
    default: return control_error("failed", error.message);
  }
}

json::object revoke_report(const RevokeReport& report) {
  return {{"change", report.change},
          {"killed", report.killed},
          {"refused_after_ns", report.refused_after_ns},
          {"durable_after_ns", report.durable_after_ns},
          {"everything", report.everything},
          {"issuer_instead", report.issuer_instead}};
}

void leave_audit(const Services& services, const Peer& peer, std::string_view what, std::string_view target, std::string_view result) {
  audit({.when_wall_ns = services.clock.wall_ns(),
         .peer_uid = peer.uid,
         .peer_gid = peer.gid,
         .peer_pid = peer.pid,
         .what = what,
         .target = target,
         .result = result});
}

void handle_control_frame(Services& services, const std::shared_ptr<Connection>& connection, const wire::Head& head, std::string_view payload) {
  services.tables.beat(static_cast<std::uint64_t>(services.clock.monotonic_ns()));
  ControlReply reply = [weak = std::weak_ptr(connection), id = head.request_id](json::object answer) {
    send_reply(weak, id, std::move(answer));
  };
  if (head.type != wire::Type::kControl) return reply(control_error("usage", "a frame type that this socket does not take"));
  const auto parsed = parse_json(payload, kControlJson);
  if (!parsed) return reply(control_error("usage", "the request is not JSON: " + parsed.error().message));
  const json::object* members = parsed->if_object();
  const json::value* verb = members == nullptr ? nullptr : members->if_contains("verb");
  if (verb == nullptr || !verb->is_string()) return reply(control_error("usage", "the request names no verb"));
  for (const NamedVerb& each : kVerbs) {
    if (each.name == std::string_view(verb->get_string())) {
      return run_verb(each.run, services, {*members, connection->peer()}, connection, head.request_id);
    }
  }
  reply(control_error("usage", "this daemon does not know the verb; is authctl of the same version?"));
}

}  // namespace authcached
