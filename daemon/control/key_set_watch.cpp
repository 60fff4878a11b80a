#include "daemon/control/key_set_watch.hpp"

#include <unistd.h>

#include <algorithm>

#include "daemon/base/log.hpp"
#include "daemon/cache/principal_id.hpp"
#include "daemon/control/control_handler.hpp"
#include "daemon/token/base64url.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr std::int64_t kDayNs = 86'400'000'000'000;

std::string_view bytes_of(const Sha256& hash) { return {reinterpret_cast<const char*>(hash.data()), hash.size()}; }

}  // namespace

void KeySetWatch::poll() {
  for (const auto& profile : services_.profiles) {
    KeySetSource* source = profile->upstream->key_set();
    if (source == nullptr) continue;
    source->poll([this, profile](const KeySetChange& change) { apply(*profile, change); });
  }
}

void KeySetWatch::apply(const Profile& profile, const KeySetChange& change) {
  for (const Sha256& key : change.removed) {
    services_.tables.raise_key(principal_id(key));
    if (profile.config.key_source() != KeySource::kFile) withdraw(profile, key);
  }
  if (change.added) services_.tables.kill_negatives();  // "unknown key" may have become wrong
  if (change.failed) {
    log_event(LogLevel::kError, "key_set_unusable", {{"profile", profile.config.name}, {"error", profile.upstream->key_set()->last_error()}});
  }
  if (!change.added && change.removed.empty()) return;
  log_event(LogLevel::kInfo, "key_set_changed",
            {{"profile", profile.config.name}, {"added", change.added}, {"removed", static_cast<std::int64_t>(change.removed.size())}});
}

void KeySetWatch::withdraw(const Profile& profile, const Sha256& key) {
  // One issuer's word must not refuse what another's key set proves.
  if (proves_elsewhere(profile, key)) return;
  const std::string name = base64url_encode(bytes_of(key));
  if (!spend_rule()) {
    return log_event(LogLevel::kError, "key_withdrawn_without_rule", {{"profile", profile.config.name}, {"key", name}});
  }
  services_.revoker.revoke({.kind = RuleKind::kKey, .value = std::string(bytes_of(key)), .scope = {}, .not_before_wall_ns = {},
                            .shared = false /* every host hears its issuer itself */},
                           [this, name, who = profile.config.name](const shm::Result<RevokeReport>& report) {
                             const std::string change = report ? ", change " + std::to_string(report->change) : "";
                             leave_audit(services_, {::getpid(), ::geteuid(), ::getegid()}, "revoke",
                                         "key " + name + " withdrawn by the issuer of profile " + who + change,
                                         report ? "ok" : report.error().message);
                           });
}

bool KeySetWatch::spend_rule() {
  const std::int64_t now = services_.clock.boot_ns();
  while (!rules_made_ns_.empty() && now - rules_made_ns_.front() >= kDayNs) rules_made_ns_.pop_front();
  if (rules_made_ns_.size() >= kRulesPerDay) return false;
  rules_made_ns_.push_back(now);
  return true;
}

bool KeySetWatch::proves_elsewhere(const Profile& profile, const Sha256& key) const {
  return std::ranges::any_of(services_.profiles, [&](const auto& other) {
    return other->upstream != profile.upstream && other->upstream->key_set() != nullptr && other->upstream->has_key(key);
  });
}

void KeySetWatch::catch_up() {
  for (const auto& profile : services_.profiles) {
    const auto& upstream = profile->upstream;
    if (upstream->changes() != nullptr) continue;  // change_watch.hpp
    if (!upstream->catching_up() || !upstream->ready() || !checking_.insert(profile->config.name).second) continue;
    const auto proves = [upstream](const Sha256& key) { return upstream->has_key(key); };
    services_.revoker.flush_unproven(profile->id, proves, [this, upstream, name = profile->config.name](std::uint64_t killed) {
      checking_.erase(name);
      upstream->set_catching_up(false);
      services_.tables.set_profile_state(name, shm::ProfileState::kCurrent);
      log_event(LogLevel::kInfo, "caught_up", {{"profile", name}, {"killed", killed}});
    });
  }
}

}  // namespace authcached
