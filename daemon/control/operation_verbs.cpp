#include <boost/json/array.hpp>

#include "daemon/base/config_text.hpp"
#include "daemon/base/log.hpp"
#include "daemon/control/control_handler.hpp"
#include "daemon/control/request_members.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

json::array names(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

}  // namespace

void reload_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  services.reload([&services, peer = request.peer, reply = std::move(reply)](shm::Result<ReloadReport> done) mutable {
    leave_audit(services, peer, "reload", services.config_file, done ? "ok" : done.error().message);
    if (!done) return reply(control_error("failed", "the old configuration stays in force: " + done.error().message));
    reply({{"changed", names(done->changed)}, {"restart_needed", names(done->restart_needed)}});
  });
}

void config_verb(Services& services, const ControlRequest&, ControlReply reply) {
  reply({{"file", services.config_file}, {"text", config_text(services.config)}});
}

void log_level_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const auto name = string_member(request.members, "level");
  const auto level = name ? log_level_from_name(*name) : std::nullopt;
  if (!level) return reply(control_error("usage", "\"level\" must be debug, info, warning or error"));
  set_log_level(*level);
  leave_audit(services, request.peer, "log_level", *name, "ok");
  reply({{"level", *name}});
}

}  // namespace authcached
