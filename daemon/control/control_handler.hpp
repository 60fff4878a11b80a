// The requests of control.sock (shm/WIRE.md): one JSON object in, one out. Loop thread only.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <string_view>

#include "daemon/control/services.hpp"
#include "daemon/io/frame_server.hpp"

namespace authcached {

// The answer to one request; called exactly once, now or later. Losing the peer meanwhile changes nothing that was done.
using ControlReply = std::move_only_function<void(boost::json::object)>;

struct ControlRequest {
  const boost::json::object& members;
  Peer peer;
};

using Verb = void (*)(Services&, const ControlRequest&, ControlReply);

void handle_control_frame(Services& services, const std::shared_ptr<Connection>& connection, const authcache::shm::wire::Head& head,
                          std::string_view payload);

[[nodiscard]] boost::json::object control_error(std::string_view code, std::string_view sentence);
[[nodiscard]] boost::json::object control_error(const authcache::shm::Error& error);

[[nodiscard]] boost::json::object revoke_report(const RevokeReport& report);
void leave_audit(const Services& services, const Peer& peer, std::string_view what, std::string_view target, std::string_view result);

// The verbs, by file.
void stats_verb(Services&, const ControlRequest&, ControlReply);        // status_verbs.cpp
void upstreams_verb(Services&, const ControlRequest&, ControlReply);
void keys_verb(Services&, const ControlRequest&, ControlReply);
void record_verb(Services&, const ControlRequest&, ControlReply);       // record_verb.cpp
void revoke_verb(Services&, const ControlRequest&, ControlReply);       // revocation_verbs.cpp
void lift_verb(Services&, const ControlRequest&, ControlReply);
void revocations_verb(Services&, const ControlRequest&, ControlReply);
void flush_verb(Services&, const ControlRequest&, ControlReply);
void session_create_verb(Services&, const ControlRequest&, ControlReply);  // session_verbs.cpp
void session_list_verb(Services&, const ControlRequest&, ControlReply);
void session_revoke_verb(Services&, const ControlRequest&, ControlReply);
void reload_verb(Services&, const ControlRequest&, ControlReply);       // operation_verbs.cpp
void config_verb(Services&, const ControlRequest&, ControlReply);
void log_level_verb(Services&, const ControlRequest&, ControlReply);
void explain_permission_verb(Services&, const ControlRequest&, ControlReply);  // permission_verbs.cpp

}  // namespace authcached
