#include "daemon/daemon.hpp"

#include <grp.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "daemon/base/config_ranges.hpp"
#include "daemon/base/instance_lock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/notify.hpp"
#include "daemon/base/version.hpp"
#include "daemon/cache/fleet.hpp"
#include "daemon/cache/refresher.hpp"
#include "daemon/cache/state_writer.hpp"
#include "daemon/cache/take_over.hpp"
#include "daemon/cache/use_writer.hpp"
#include "daemon/cache/warmer.hpp"
#include "daemon/cache/watch_list.hpp"
#include "daemon/control/control_handler.hpp"
#include "daemon/control/face/face.hpp"
#include "daemon/control/face/table_backend.hpp"
#include "daemon/control/housekeeping.hpp"
#include "daemon/control/miss_handler.hpp"
#include "daemon/control/profile_factory.hpp"
#include "daemon/control/reload.hpp"
#include "daemon/control/replacement.hpp"
#include "shm/boot_id.hpp"

namespace authcached {

namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;

namespace {

constexpr mode_t kRuntimeDirMode = 0750;  // the group passes through to the sockets and the table, nobody writes
constexpr mode_t kStateDirMode = 0700;
constexpr std::size_t kControlConnectionsMax = 64;  // operators and scripts, not services

shm::Result<gid_t> group_id(const std::string& name) {
  if (name.empty()) return static_cast<gid_t>(-1);
  const group* found = ::getgrnam(name.c_str());
  if (found == nullptr) {
    return shm::fail(shm::ErrorCode::kNotFound, "there is no group " + name + "; create it or set the key to \"\"");
  }
  return found->gr_gid;
}

void log_warmed(const Warmer::Progress& progress) {
  log_event(LogLevel::kInfo, "warmed",
            {{"profile", progress.profile}, {"records", progress.warmed}, {"took_ms", progress.took_ns / 1'000'000}, {"stopped", progress.stopped}});
}

// Opens the state database; one that is damaged is set aside and a new one begun, which the caller makes up for.
shm::Result<StateDb> open_state(const Config& config, bool& set_aside) {
  const auto file = config.state_dir / "state.db";
  auto db = StateDb::open(file);
  if (db || db.error().code != shm::ErrorCode::kCorrupt) return db;
  const auto aside = StateDb::set_aside(file);
  if (!aside) return std::unexpected(aside.error());
  log_event(LogLevel::kError, "state_database_corrupt", {{"error", db.error().message}, {"kept_as", aside->string()}});
  set_aside = true;
  return StateDb::open(file);
}

// Rules were lost: everything issued until now is refused in their place. Durable before anything else goes on: in
// memory alone it would be forgotten by the next start, which sees a database that looks whole.
shm::Result<Rule> refuse_all_until_now(StateDb& db, const Config& config, const Clock& clock) {
  const auto last_change = db.last_change();
  if (!last_change) return std::unexpected(last_change.error());
  std::int64_t life_ns = config.profiles.empty() ? 0 : rule_life_ns(config.profiles.front());
  for (const ProfileConfig& profile : config.profiles) life_ns = longer_life_ns(life_ns, rule_life_ns(profile));
  Rule rule = everything_rule(*last_change + 1, life_ns, clock);
  if (auto stored = db.commit({{RuleChange::What::kPut, rule}}); !stored) {
    return shm::fail(stored.error().code, "the state database lost rules, and refusing everything issued until now instead cannot be stored: " +
                                              stored.error().message);
  }
  rule.durable = true;
  log_event(LogLevel::kError, "rules_lost", {{"done", "everything issued until now is refused"}});
  return rule;
}

}  // namespace

// Members stand in construction order; each may use those above it.
struct Daemon::Impl {
  Impl(Config cfg, DaemonOptions opts, InstanceLock runtime, InstanceLock state_dir, std::unique_ptr<Loop> event_loop)
      : config(std::move(cfg)),
        options(std::move(opts)),
        runtime_lock(std::move(runtime)),
        state_lock(std::move(state_dir)),
        loop(std::move(event_loop)),
        rules(kRulesRange.high + Revoker::kReserve),  // the Revoker keeps the configured bound
        factory(*loop, clock) {}

  Config config;
  DaemonOptions options;
  InstanceLock runtime_lock;
  InstanceLock state_lock;
  const Clock& clock = system_clock();
  WallClock wall{clock};
  ServiceNotifier notifier = ServiceNotifier::from_environment();
  std::unique_ptr<Loop> loop;
  Worker state_worker{"state"};
  Worker table_worker{"table"};
  std::optional<Worker> fleet_worker;
  Uuid database{};
  std::vector<std::string> since_start;  // complaints
  gid_t group = static_cast<gid_t>(-1);
  RuleSet rules;
  ProfileFactory factory;
  Profiles profiles;
  std::optional<Tables> tables;
  bool began_empty = true;  // the table
  OversizeTexts texts;
  std::optional<Admission> admission;
  std::optional<StateWriter> state;
  std::optional<Resolver> resolver;
  std::optional<Refresher> refresher;
  std::optional<Revoker> revoker;
  std::optional<UseWriter> uses;
  std::optional<Warmer> warmer;
  std::optional<WatchList> watches;
  std::optional<ProofDesk> proofs;
  std::optional<ChangeWatch> changes;
  std::optional<Fleet> fleet;
  std::optional<Replacement> replacement;
  std::optional<Services> services;
  std::optional<Housekeeping> housekeeping;
  std::unique_ptr<FrameServer> misses;
  std::unique_ptr<FrameServer> control;
  std::unique_ptr<TableBackend> face_backend;
  std::unique_ptr<Face> face;
  std::unique_ptr<HttpServer> http;

  shm::Result<void> start();
  shm::Result<void> take_over(StateDb db, bool set_aside);
  shm::Result<std::unique_ptr<Generation>> first_generation(Predecessors& found, StateDb& db, std::uint64_t after);
  shm::Result<void> assemble(StateDb db, std::uint64_t last_change);
  shm::Result<void> join_fleet(std::optional<FleetCursor> cursor, const std::vector<SharedRule>& shared);
  shm::Result<void> listen();
  shm::Result<void> listen_http(gid_t admins);
  void configure_http();
  void arm_signals();
  void replace_table();
};

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Daemon::~Daemon() = default;

shm::Result<std::unique_ptr<Daemon>> Daemon::start(Config config, DaemonOptions options) {
  const auto group = group_id(config.group);
  if (!group) return std::unexpected(group.error());
  auto runtime = InstanceLock::take(config.runtime_dir, kRuntimeDirMode, *group);
  if (!runtime) return std::unexpected(runtime.error());
  auto state = InstanceLock::take(config.state_dir, kStateDirMode, static_cast<gid_t>(-1));
  if (!state) return std::unexpected(state.error());
  auto loop = Loop::create();
  if (!loop) return std::unexpected(loop.error());
  auto impl = std::make_unique<Impl>(std::move(config), std::move(options), std::move(*runtime), std::move(*state), std::move(*loop));
  impl->group = *group;
  if (auto started = impl->start(); !started) return std::unexpected(started.error());
  return std::unique_ptr<Daemon>(new Daemon(std::move(impl)));
}

shm::Result<void> Daemon::Impl::start() {
  loop->on_failure([](std::string_view what) { log_event(LogLevel::kError, "task_failed", {{"error", what}}); });
  bool set_aside = false;
  auto db = open_state(config, set_aside);
  if (!db) return std::unexpected(db.error());
  if (set_aside) {
    if (auto refused = refuse_all_until_now(*db, config, clock); !refused) return std::unexpected(refused.error());
    since_start.push_back("the state database was damaged and set aside; everything issued before this start is refused");
  }
  auto made = factory.make(config, {});
  if (!made) return std::unexpected(made.error());
  profiles = std::move(*made);
  if (auto taken = take_over(std::move(*db), set_aside); !taken) return taken;
  if (auto listening = listen(); !listening) return listening;
  arm_signals();
  housekeeping->start([this] { replace_table(); });
  if (began_empty) warmer->start(log_warmed);
  log_event(LogLevel::kInfo, "started",
            {{"version", kVersion}, {"io", Loop::backend()}, {"generation", tables->newest().writer.view().generation},
             {"capacity", tables->newest().writer.view().geometry.capacity}, {"records", tables->newest().writer.live()}, {"rules", rules.size()}});
  if (auto told = notifier.ready(); !told) log_event(LogLevel::kWarning, "notify_failed", {{"error", told.error().message}});
  return {};
}

shm::Result<void> Daemon::Impl::take_over(StateDb db, bool set_aside) {
  database = db.uuid();
  auto stored = db.load_rules(clock.boot_ns());
  if (!stored) return std::unexpected(stored.error());
  for (const Rule& rule : *stored) {
    if (!rules.add(rule)) {
      return shm::fail(shm::ErrorCode::kRefused, "the state database holds more rules than this build can, and none may be forgotten");
    }
  }
  const auto last_change = db.last_change();
  if (!last_change) return std::unexpected(last_change.error());
  auto known = db.load_generations();
  if (!known) return std::unexpected(known.error());

  Predecessors found = meet_predecessors({.runtime_dir = config.runtime_dir,
                                          .database_uuid = database,
                                          .database_created = db.created(),
                                          .database_set_aside = set_aside,
                                          .first_start = options.first_start,
                                          .last_change = *last_change,
                                          .known = *known});
  for (const std::string& note : found.notes) log_event(LogLevel::kWarning, "predecessor", {{"note", note}});
  std::uint64_t newest_known = 0;
  for (const KnownGeneration& generation : *known) newest_known = std::max(newest_known, generation.number);
  const auto files = shm::list_generations(config.runtime_dir);
  if (!files.empty()) newest_known = std::max(newest_known, files.back());

  std::uint64_t newest_change = *last_change;
  if (found.rules_lost && !set_aside) {
    auto refused = refuse_all_until_now(db, config, clock);
    if (!refused) return std::unexpected(refused.error());
    if (!rules.add(*refused)) return shm::fail(shm::ErrorCode::kRefused, "there is no room for the rule that stands for those lost");
    newest_change = refused->change;
    since_start.push_back("the state database lost rules that a table obeyed; everything issued before this start is refused");
  }
  for (const auto& file : found.evidence) ::unlink(file.c_str());
  const std::int64_t unreachable_ns = found.unreachable_ns;
  if (found.list_missing) {
    const auto boot = shm::current_boot_id();
    if (!boot) return std::unexpected(boot.error());
    if (auto listed = db.put_generation({kLostList, unreachable_ns, shm::boot_id_text(*boot)}); !listed) return listed;
  }
  auto generation = first_generation(found, db, newest_known);
  if (!generation) return std::unexpected(generation.error());
  tables.emplace(config.runtime_dir, std::move(*generation));
  // A name that stays in the list costs a later start a wait, so it leaves once nobody can believe its table.
  for (const KnownGeneration& old : *known) {
    const bool waited_for = std::ranges::find(found.unreachable, old.number) != found.unreachable.end();
    if (!waited_for && old.number != tables->newest().writer.view().generation) (void)db.remove_generation(old.number);
  }
  const auto heard_until = db.fleet().cursor();
  if (!heard_until) return std::unexpected(heard_until.error());
  const auto shared = db.fleet().load();
  if (!shared) return std::unexpected(shared.error());
  if (auto assembled = assemble(std::move(db), newest_change); !assembled) return assembled;
  if (auto joined = join_fleet(*heard_until, *shared); !joined) return joined;
  if (unreachable_ns > 0) {
    revoker->hold_acknowledgements_until(clock.monotonic_ns() + unreachable_ns);
    loop->after(std::chrono::nanoseconds(unreachable_ns), [this, gone = found.unreachable] {
      for (const std::uint64_t number : gone) state->remove_generation(number);
    });
  }
  tables->beat(static_cast<std::uint64_t>(clock.monotonic_ns()));
  return {};
}

// The adopted table of a predecessor, or a new one; named, and listed in the state database before it has a name.
shm::Result<std::unique_ptr<Generation>> Daemon::Impl::first_generation(Predecessors& found, StateDb& db, std::uint64_t after) {
  const ClockOffsets offsets = clock_offsets(clock);
  if (found.adoptable) {
    const shm::Header& header = found.adoptable->view.header();
    const ClockOffsets before{static_cast<std::int64_t>(shm::StdAtomics::load_relaxed(header.wall_offset_ns)),
                              static_cast<std::int64_t>(shm::StdAtomics::load_relaxed(header.boot_offset_ns))};
    auto recency = Recency::create(found.adoptable->view.geometry.slots);
    auto generation = std::make_unique<Generation>(std::move(*found.adoptable), recency ? std::optional(std::move(*recency)) : std::nullopt);
    if (stepped(before, offsets)) {
      generation->writer.raise_all();
      wall.resume(before.wall_ns + clock.monotonic_ns());
    }
    return generation;
  }
  const std::uint64_t number = std::max(static_cast<std::uint64_t>(clock.boot_ns()), after + 1);
  auto generation = make_generation(config, database, number, group);
  if (!generation) return generation;
  const auto boot = shm::current_boot_id();
  if (!boot) return std::unexpected(boot.error());
  const auto timeout = static_cast<std::int64_t>((*generation)->writer.view().heartbeat_timeout_ns);
  if (auto listed = db.put_generation({number, timeout, shm::boot_id_text(*boot)}); !listed) return std::unexpected(listed.error());
  return generation;
}

shm::Result<void> Daemon::Impl::assemble(StateDb db, std::uint64_t last_change) {
  auto cursors = db.load_cursors();
  if (!cursors) return std::unexpected(cursors.error());
  admission.emplace(*tables, texts, rules, clock, wall);
  shm::TableWriter& writer = tables->newest().writer;
  const shm::TableView& view = writer.view();
  const bool adopted = shm::StdAtomics::load_relaxed(view.header().version) != 0;
  admission->set_roles(std::make_shared<const RoleBook>(config.roles), profiles);
  if (adopted) {
    const auto report = writer.adopt(static_cast<std::uint64_t>(clock.monotonic_ns()), [&](std::uint64_t, const auto& hot, const auto& cold, auto text) {
      return admission->may_keep(view, profiles, hot, cold, text);
    });
    log_event(LogLevel::kInfo, "table_adopted",
              {{"kept", report.kept}, {"busy", report.dropped_busy}, {"checksum", report.dropped_checksum}, {"double", report.dropped_duplicate},
               {"policy", report.dropped_policy}});
    const std::uint64_t regranted = admission->regrant_adopted(tables->newest(), profiles);
    if (regranted > 0) log_event(LogLevel::kInfo, "roles_applied", {{"records", regranted}});
    writer.set_state(shm::TableState::kLive);
    began_empty = report.kept == 0;
    for (const auto& profile : profiles) profile->upstream->set_catching_up(report.kept > 0 && !profile->upstream->ready());
  }
  state.emplace(std::move(db), state_worker, *loop);
  changes.emplace(*tables, *admission, *state, *loop, clock, std::move(*cursors));
  changes->follow(profiles, adopted);
  tables->set_profiles(describe_profiles(profiles));
  tables->set_durable_change(last_change);
  const ClockOffsets offsets = clock_offsets(clock);
  tables->set_clock_offsets(offsets.wall_ns, offsets.boot_ns);
  resolver.emplace(*tables, *admission, clock, config.limits);
  refresher.emplace(*tables, *admission, *resolver, profiles, clock, wall);
  revoker.emplace(*tables, rules, *state, *loop, clock, last_change);
  watches.emplace(*tables, *loop, clock);
  uses.emplace(*tables, *admission, profiles, clock);
  warmer.emplace(*tables, *admission, profiles, clock, wall);
  proofs.emplace(factory.verifiers(), *loop, *resolver, clock, wall);
  resolver->set_fault_hook(options.fault_hook);
  revoker->set_fault_hook(options.fault_hook);
  revoker->set_profiles(profiles);
  revoker->set_rules_max(config.limits.rules);
  replacement.emplace(*loop, table_worker, clock, *tables, *admission, *state, profiles);
  services.emplace(Services{.loop = *loop,
                            .clock = clock,
                            .tables = *tables,
                            .texts = texts,
                            .rules = rules,
                            .admission = *admission,
                            .resolver = *resolver,
                            .refresher = *refresher,
                            .revoker = *revoker,
                            .watches = *watches,
                            .proofs = *proofs,
                            .changes = *changes,
                            .uses = *uses,
                            .warmer = *warmer,
                            .config = config,
                            .profiles = profiles,
                            .config_file = options.config_file,
                            .started_boot_ns = clock.boot_ns(),
                            .since_start = since_start,
                            .replacement = &*replacement,
                            .memory_stats = [this] { return housekeeping->memory().state(); },
                            .connections = [this] { return misses->connections() + control->connections(); },
                            .reload = [this](auto done) {
                              reload(*services, config, profiles, factory, std::move(done));
                              configure_http();
                            }});
  housekeeping.emplace(*services, offsets);
  return {};
}

// Before the first heartbeat: what a predecessor admitted may have been revoked on another host meanwhile.
shm::Result<void> Daemon::Impl::join_fleet(std::optional<FleetCursor> cursor, const std::vector<SharedRule>& shared) {
  if (!config.fleet.is_on()) return {};
  auto seal = FleetSeal::load(config.fleet.key_file, config.fleet.key);
  if (!seal) return std::unexpected(seal.error());
  auto transport = open_fleet_transport(config.fleet, database, *loop, fleet_worker.emplace("fleet"), clock);
  if (!transport) return std::unexpected(transport.error());
  fleet.emplace(config.fleet, database, std::move(*seal), std::move(*transport), Fleet::Parts{*tables, rules, *revoker, *state, *loop, clock});
  fleet->start(std::move(cursor), shared);
  services->fleet = &*fleet;
  return {};
}

shm::Result<void> Daemon::Impl::listen() {
  const auto admins = group_id(config.admin_group);
  if (!admins) return std::unexpected(admins.error());
  Generation& generation = tables->newest();
  tables->beat(static_cast<std::uint64_t>(clock.monotonic_ns()));
  shm::publish_table(generation.writer.view());
  if (auto named = shm::name_table(generation.writer.file(), config.runtime_dir); !named) return named;
  auto miss_server = FrameServer::listen(*loop, {config.runtime_dir / wire::kMissSocket, group, wire::kMissPayloadMax, config.limits.connections},
                                         [this](const auto& connection, const auto& head, auto payload) {
                                           handle_miss_frame(*services, connection, head, payload);
                                         });
  if (!miss_server) return std::unexpected(miss_server.error());
  misses = std::move(*miss_server);
  auto control_server = FrameServer::listen(*loop, {config.runtime_dir / wire::kControlSocket, *admins, wire::kControlRequestMax, kControlConnectionsMax},
                                            [this](const auto& connection, const auto& head, auto payload) {
                                              handle_control_frame(*services, connection, head, payload);
                                            });
  if (!control_server) return std::unexpected(control_server.error());
  control = std::move(*control_server);
  return config.http.is_on() ? listen_http(*admins) : shm::Result<void>{};
}

shm::Result<void> Daemon::Impl::listen_http(gid_t admins) {
  const auto http_group = config.http.group ? group_id(*config.http.group) : shm::Result<gid_t>(group);
  if (!http_group) return std::unexpected(http_group.error());
  face_backend = std::make_unique<TableBackend>(*services);
  auto made = Face::create(config.http, *face_backend);
  if (!made) return std::unexpected(made.error());
  face = std::move(*made);
  const HttpServerOptions socket{.path = config.http.socket,
                                 .group = *http_group,
                                 .admins = admins == static_cast<gid_t>(-1) ? ::getegid() : admins,
                                 .ipv6 = config.http.ipv6,
                                 .port = config.http.port,
                                 .connections_max = config.http.connections,
                                 .idle_timeout = config.http.idle_timeout,
                                 .request_timeout = config.http.request_timeout};
  auto server = HttpServer::listen(*loop, socket, [this](const auto& exchange, const auto& request) { face->handle(exchange, request); });
  if (!server) return std::unexpected(server.error());
  http = std::move(*server);
  services->http_stats = [this] { return face_stats(*face, *http); };
  return {};
}

void Daemon::Impl::configure_http() {
  if (!http) return;
  http->set_timeouts(config.http.idle_timeout, config.http.request_timeout);
  if (auto taken = face->configure(config.http); !taken) {
    log_event(LogLevel::kError, "http_clients_kept", {{"error", taken.error().message}});
  }
}

void Daemon::Impl::arm_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  const auto stop = [this] {
    log_event(LogLevel::kInfo, "stopping");
    (void)notifier.stopping();
    loop->stop();
  };
  loop->on_signal(SIGTERM, stop);
  loop->on_signal(SIGINT, stop);
  loop->on_signal(SIGHUP, [this] {
    (void)notifier.reloading();
    services->reload([this](shm::Result<ReloadReport> done) {
      leave_audit(*services, {::getpid(), ::geteuid(), ::getegid()}, "reload", "SIGHUP", done ? "ok" : done.error().message);
      (void)notifier.ready();
    });
  });
}

void Daemon::Impl::replace_table() {
  replacement->begin(config, database, group, [this](shm::Result<void> done) {
    if (done) {
      const shm::TableView& view = tables->newest().writer.view();
      log_event(LogLevel::kInfo, "table_replaced", {{"generation", view.generation}, {"capacity", view.geometry.capacity}});
    } else {
      log_event(LogLevel::kError, "table_not_replaced", {{"error", done.error().message}});
    }
  });
}

void Daemon::run() {
  impl_->loop->run();
  impl_->misses.reset();
  impl_->control.reset();
  impl_->http.reset();
  report_suppressed_events();
}

}  // namespace authcached
