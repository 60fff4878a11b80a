#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "daemon/base/log.hpp"
#include "daemon/base/random.hpp"
#include "daemon/base/version.hpp"
#include "daemon/control/complaints.hpp"
#include "daemon/control/control_handler.hpp"
#include "daemon/control/request_members.hpp"
#include "daemon/token/base64url.hpp"
#include "daemon/upstream/key_set_source.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
using A = shm::StdAtomics;

namespace {

std::string_view state_name(std::uint64_t state) {
  switch (static_cast<shm::TableState>(state)) {
    case shm::TableState::kRetired: return "retired";
    case shm::TableState::kLive: return "live";
    case shm::TableState::kMoving: return "moving";
  }
  return "?";
}

json::object table_stats(const Services& services) {
  const shm::TableView& view = services.tables.newest().writer.view();
  const shm::Header& header = view.header();
  const auto now = static_cast<std::uint64_t>(services.clock.monotonic_ns());
  return {{"generation", view.generation},
          {"state", state_name(A::load_relaxed(header.state))},
          {"replacing", services.tables.replacing()},
          {"capacity", view.geometry.capacity},
          {"buckets", view.geometry.buckets},
          {"live", A::load_relaxed(header.live)},
          {"negative", A::load_relaxed(header.negative)},
          {"file_bytes", view.geometry.file_bytes},
          {"text_bytes", view.geometry.text_bytes},
          {"text_used_bytes", A::load_relaxed(header.text_used_bytes)},
          {"epoch", A::load_relaxed(header.epoch_counter)},
          {"heartbeat_age_ns", now - A::load_relaxed(header.heartbeat_ns)},
          {"heartbeat_timeout_ns", view.heartbeat_timeout_ns},
          {"inserted", A::load_relaxed(header.inserted)},
          {"replaced", A::load_relaxed(header.replaced)},
          {"killed_revoked", A::load_relaxed(header.killed_revoked)},
          {"killed_expired", A::load_relaxed(header.killed_expired)},
          {"killed_evicted", A::load_relaxed(header.killed_evicted)},
          {"extended", A::load_relaxed(header.extended)},
          {"moved", A::load_relaxed(header.moved)},
          {"negative_refused", A::load_relaxed(header.negative_refused)},
          {"text_refused", A::load_relaxed(header.text_refused)},
          {"durable_change", A::load_relaxed(header.durable_change)}};
}

json::object daemon_stats(const Services& services) {
  const ResolverCounters& counters = services.resolver.counters();
  const ProofCounters& proofs = services.proofs.counters();
  return {{"version", kVersion},
          {"pid", ::getpid()},
          {"uptime_ns", services.clock.boot_ns() - services.started_boot_ns},
          {"io", Loop::backend()},
          {"log_level", log_level_name(log_level())},
          {"connections", services.connections()},
          {"flights", services.resolver.flights()},
          {"misses", counters.asked},
          {"hits_in_daemon", counters.hits},
          {"coalesced", counters.coalesced},
          {"over_budget", counters.over_budget},
          {"overloaded", counters.overloaded},
          {"rejected", counters.rejected},
          {"upstream_questions", counters.questions},
          {"rules", services.rules.size()},
          {"oversize_text_bytes", services.texts.bytes()},
          {"watches", services.watches.active()},
          {"watches_ended", services.watches.counters().ended},
          {"watches_refused", services.watches.counters().refused},
          {"proofs", proofs.asked},
          {"proofs_taken", proofs.taken},
          {"proofs_replayed", proofs.replayed},
          {"proofs_refused", proofs.refused},
          {"proofs_not_judged", proofs.not_judged},
          {"proofs_remembered", services.proofs.remembered()}};
}

json::object refresh_stats(const Services& services) {
  const RefreshCounters& counters = services.refresher.counters();
  return {{"requests_waiting_on_refresh", services.resolver.counters().waiting_on_refresh},
          {"queued", services.refresher.queued()},
          {"refreshed", counters.refreshed},
          {"extended", counters.extended},
          {"changed", counters.changed},
          {"dropped", counters.dropped},
          {"failed", counters.failed},
          {"no_token", counters.no_token},
          {"stale", counters.stale},
          {"sealed_tokens", services.refresher.sealed().size()},
          {"sealed_token_bytes", services.refresher.sealed().bytes()},
          {"sealed_tokens_refused", services.refresher.sealed().refused()}};
}

json::object sliding_stats(const Services& services) {
  const UseWriter::Counters& counters = services.uses.counters();
  return {{"passes", counters.passes},
          {"written", counters.written},
          {"extended", counters.extended},
          {"ended", counters.ended},
          {"failed", counters.failed}};
}

json::array warm_stats(const Services& services) {
  json::array profiles;
  for (const Warmer::Progress& progress : services.warmer.progress()) {
    profiles.push_back(json::object{{"profile", progress.profile},
                                    {"wanted", progress.wanted},
                                    {"records", progress.warmed},
                                    {"known", progress.known},
                                    {"refused", progress.refused},
                                    {"done", progress.done},
                                    {"stopped", progress.stopped},
                                    {"took_ns", progress.took_ns}});
  }
  return profiles;
}

std::string profile_id_text(std::uint64_t id) { return hex({reinterpret_cast<const char*>(&id), sizeof id}); }

}  // namespace

void stats_verb(Services& services, const ControlRequest&, ControlReply reply) {
  json::array profiles;
  for (const auto& profile : services.profiles) {
    profiles.push_back(json::object{{"name", profile->config.name},
                                    {"id", profile_id_text(profile->id)},
                                    {"upstream", upstream_name(profile->config.upstream)},
                                    {"state", "current"}});
  }
  json::array complaints;
  for (const std::string& complaint : complaints_of(services)) complaints.emplace_back(complaint);
  json::array upstream_complaints;
  for (const std::string& complaint : upstream_complaints_of(services)) upstream_complaints.emplace_back(complaint);
  json::object stats{{"table", table_stats(services)},
                     {"daemon", daemon_stats(services)},
                     {"refresh", refresh_stats(services)},
                     {"memory", services.memory_stats()},
                     {"sliding", sliding_stats(services)},
                     {"warm", warm_stats(services)},
                     {"profiles", std::move(profiles)},
                     {"complaints", std::move(complaints)},
                     {"upstream_complaints", std::move(upstream_complaints)}};
  if (services.fleet != nullptr) stats["fleet"] = services.fleet->state();
  if (services.http_stats) stats["http"] = services.http_stats();
  reply(std::move(stats));
}

namespace {

// ok; failing: since when; serving_stale: and until when the last of the records that outlive it counts.
json::object outage_state(const Services& services, const Profile& profile) {
  const Outage outage = services.refresher.outage(profile);
  const auto now = static_cast<std::uint64_t>(services.clock.monotonic_ns());
  const bool stale = outage.failing() && outage.stale_until_ns > now;
  json::object state{{"state", !outage.failing() ? "ok" : stale ? "serving_stale" : "failing"},
                     {"stale_if_error_s", profile.config.stale_if_error.count()},
                     {"stale", outage.stale},
                     {"refresh", profile.config.refreshes()},
                     {"refresh_lead_ms", services.refresher.lead_ns(profile) / 1'000'000},
                     {"refreshes_in_flight", services.refresher.in_flight(profile)}};
  if (outage.failing()) state["failing_for_s"] = (services.clock.wall_ns() - outage.failing_since_wall_ns) / 1'000'000'000;
  if (stale) state["stale_for_s"] = (outage.stale_until_ns - now) / 1'000'000'000;
  return state;
}

json::object upstreams_reply(const Services& services) {
  json::array upstreams;
  for (const auto& profile : services.profiles) {
    upstreams.push_back(json::object{{"profile", profile->config.name},
                                     {"kind", upstream_name(profile->config.upstream)},
                                     {"state", json::parse(profile->upstream->state_json())},
                                     {"outage", outage_state(services, *profile)}});
  }
  return {{"upstreams", std::move(upstreams)}};
}

// A question that every endpoint and every store over a network can answer: a token that nobody was ever given. Its answer becomes no record.
void ask_endpoints(Services& services, std::function<void()> done) {
  constexpr auto kPatience = std::chrono::seconds(3);  // authctl itself waits 5
  const auto asked = std::make_shared<std::function<void()>>(std::move(done));
  const auto left = std::make_shared<std::size_t>(1);
  const auto answered = [asked, left] {
    if (--*left == 0) (*asked)();
  };
  for (const auto& profile : services.profiles) {
    const UpstreamKind kind = profile->config.upstream;
    if (kind != UpstreamKind::kIntrospection && kind != UpstreamKind::kRedis) continue;
    std::array<std::uint8_t, 32> random{};
    if (!fill_random(random)) continue;
    const std::string nobodys = base64url_encode({reinterpret_cast<const char*>(random.data()), random.size()});
    const auto deadline = services.clock.monotonic_ns() + std::chrono::nanoseconds(kPatience).count();
    ++*left;
    profile->upstream->resolve({nobodys, static_cast<std::uint64_t>(deadline)}, [answered](const Proof&) { answered(); });
  }
  answered();
}

}  // namespace

void upstreams_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const json::value* probe = request.members.if_contains("probe");
  if (probe == nullptr || !probe->is_bool() || !probe->get_bool()) return reply(upstreams_reply(services));
  auto shared = std::make_shared<ControlReply>(std::move(reply));
  ask_endpoints(services, [&services, shared] { (*shared)(upstreams_reply(services)); });
}

void keys_verb(Services& services, const ControlRequest&, ControlReply reply) {
  json::array profiles;
  for (const auto& profile : services.profiles) {
    const KeySetSource* source = profile->upstream->key_set();
    if (source == nullptr) continue;
    const auto set = source->keys() ? source->keys() : std::make_shared<const KeySet>();
    json::array keys;
    const auto add = [&](const VerificationKey& key) {
      json::array algorithms;
      for (const Algorithm algorithm : key.algorithms) algorithms.emplace_back(algorithm_name(algorithm));
      const std::string_view thumbprint(reinterpret_cast<const char*>(key.thumbprint.data()), key.thumbprint.size());
      keys.push_back(json::object{{"kid", key.kid}, {"thumbprint", base64url_encode(thumbprint)}, {"algorithms", std::move(algorithms)}});
    };
    std::ranges::for_each(set->keys(), add);
    std::ranges::for_each(set->kept(), add);
    json::array skipped;
    for (const SkippedKey& key : set->skipped()) skipped.push_back(json::object{{"kid", key.kid}, {"why", key.sentence}});
    profiles.push_back(json::object{{"name", profile->config.name},
                                    {"loaded_wall_ns", source->loaded_wall_ns()},
                                    {"error", source->last_error()},
                                    {"keys", std::move(keys)},
                                    {"skipped", std::move(skipped)}});
  }
  reply({{"profiles", std::move(profiles)}});
}

}  // namespace authcached
