#include "tests/history/run.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cstdio>
#include <memory>
#include <set>
#include <stdexcept>

#include "tests/history/checker.hpp"
#include "tests/history/control_line.hpp"
#include "tests/history/roles.hpp"
#include "tests/history/rule_names.hpp"
#include "tests/process/support/daemon_process.hpp"

namespace authcache_test {

namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr std::uint8_t kClients = 3;
constexpr std::uint8_t kOperators = 2;
constexpr std::size_t kQuietAnswers = 50'000;  // each client, at most
// The question itself, a pin checked after it, and the answers of a batch now and then.
constexpr std::size_t kAnswersPerOperation = 3;
constexpr std::size_t kChangesMax = 500'000;
constexpr std::uint64_t kFirstCapacity = 2'500;
constexpr auto kGrace = 60s;            // beyond its duration, for a machine that does other things
constexpr auto kLongAbsence = 1'400ms;  // longer than heartbeat_timeout: lookups must then be unavailable
constexpr int kLivesTried = 5;
constexpr std::ptrdiff_t kSurelyWrong =
    3;  // a lift under way is not in the logs yet, so one finding may still vanish

class RunningHistory {
 public:
  explicit RunningHistory(const RunOptions& options)
      : options_(options),
        random_(options.seed),
        plan_(options.seed, wall_ns(), options.duration),
        board_memory_(shared_memory(sizeof(Board))),
        board_(*new (board_memory_) Board{}),
        setting_{plan_, board_, daemon_.runtime_dir(), options.duration},
        own_changes_(kChangesMax),
        own_events_(kChangesMax) {}
  RunningHistory(const RunningHistory&) = delete;
  RunningHistory& operator=(const RunningHistory&) = delete;
  ~RunningHistory() {
    for (const std::vector<pid_t>* children : {&clients_, &operators_}) {
      for (const pid_t child : *children) {
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
      }
    }
    ::munmap(board_memory_, sizeof(Board));
  }

  RunResult run() {
    begin();
    supervise();
    wait_for(operators_);
    if (options_.until_wrong) {
      board_.clients_end = true;
    } else {
      come_to_rest();
    }
    wait_for(clients_);
    daemon_.signal(SIGTERM);
    if (daemon_.exit_status().value_or(-1) != 0) trouble_ += "the daemon did not end well on SIGTERM; ";
    return {history(), daemon_.log(), trouble_};
  }

 private:
  static void configure(const DaemonProcess& daemon, std::uint64_t capacity) {
    std::string text =
        "log_level = \"info\"\n[table]\ncapacity = " + std::to_string(capacity) +
        "\nheartbeat_timeout = \"1s\"\n[limits]\nmisses_per_second_per_uid = 1000000\nmiss_burst_per_uid = "
        "1000000\n"
        "[profile.sessions]\nupstream = \"sqlite\"\nttl_max = \"1s\"\nnegative_ttl = \"500ms\"\nrefresh = \"on\"\n"
        "stale_if_error = \"3s\"\n";
    for (std::size_t issuer = 0; issuer < Plan::kIssuers; ++issuer) {
      text += "[profile." + Plan::profile(issuer) + "]\nupstream = \"jwks\"\nissuer = \"" +
              Plan::issuer_name(issuer) +
              "\"\naudience = [\"https://api.example\"]\nalgorithms = [\"ES256\", \"EdDSA\"]\nttl_max = "
              "\"2s\"\nnegative_ttl = \"500ms\"\njwks_file = \"" +
              daemon.scratch(Plan::profile(issuer) + ".jwks").string() + "\"\n";
    }
    text += "[http]\nlisten = \"unix:" + (daemon.runtime_dir() / "http.sock").string() + "\"\n";
    for (std::size_t issuer = 0; issuer < Plan::kIssuers; ++issuer)
      text += "[http.logout." + Plan::profile(issuer) + "]\naudience = [\"" + Plan::kLogoutAudience + "\"]\n";
    daemon.configure(text);
  }

  void begin() {
    Files files{.key_sets = {},
                .configure = [this](std::uint64_t capacity) { configure(daemon_, capacity); },
                .outage = daemon_.scratch("outage"),
                .calm = options_.has_calm ? daemon_.scratch("calm") : std::filesystem::path()};
    for (std::size_t issuer = 0; issuer < Plan::kIssuers; ++issuer) {
      files.key_sets[issuer] = daemon_.scratch(Plan::profile(issuer) + ".jwks");
      replace_file(files.key_sets[issuer], plan_.key_set(issuer, (1U << Plan::kKeys) - 1));
    }
    configure(daemon_, kFirstCapacity);
    ::setenv("AUTHCACHE_HISTORY_BREAKAGE", options_.breakage.c_str(), 1);
    ::setenv("AUTHCACHE_HISTORY_OUTAGE", files.outage.c_str(), 1);
    ::setenv("AUTHCACHE_HISTORY_CALM", files.calm.c_str(), 1);
    choose_faults(true);
    daemon_.start(DaemonProcess::First::kYes);
    learn_thumbprints();
    board_.calm_owed = options_.has_calm;
    board_.start_ns = monotonic_ns();
    for (std::uint8_t i = 0; i < kClients; ++i) {
      answers_.push_back(std::make_unique<SharedLog<Answer>>(kAnswersPerOperation * options_.operations / kClients + kQuietAnswers));
      start_child(clients_, [&, i] {
        run_client(setting_, i, options_.seed + 100 + i, options_.operations / kClients, *answers_[i]);
      });
    }
    for (std::uint8_t i = 0; i < kOperators + 1; ++i) {
      changes_.push_back(std::make_unique<SharedLog<Change>>(kChangesMax));
      events_.push_back(std::make_unique<SharedLog<Event>>(kChangesMax));
    }
    for (std::uint8_t i = 0; i < kOperators; ++i) {
      start_child(operators_,
                  [&, i] { run_operator(setting_, options_.seed + 200 + i, *changes_[i], *events_[i]); });
    }
    start_child(operators_, [&] {
      run_rotator(setting_, files, options_.seed + 300, *changes_[kOperators], *events_[kOperators]);
    });
  }

  void learn_thumbprints() {
    const auto answer = ControlLine(daemon_.runtime_dir()).ask({{"verb", "keys"}});
    if (!answer || !answer->done()) throw std::runtime_error("the daemon does not list its keys");
    for (const json::value& profile : answer->reply.at("profiles").as_array()) {
      for (const json::value& key : profile.at("keys").as_array()) {
        setting_.thumbprints[std::string(key.at("kid").as_string())] =
            std::string(key.at("thumbprint").as_string());
      }
    }
  }

  template <class Role>
  void start_child(std::vector<pid_t>& children, Role role) {
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("cannot fork");
    if (child > 0) return children.push_back(child);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      role();
      ::_exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "a process of the run failed: %s\n", error.what());
      ::_exit(3);
    }
  }

  // Ends and starts the daemon by chance, and starts it again when it fell at a fault point.
  void supervise() {
    const std::int64_t last_ns = board_.start_ns + (options_.duration + kGrace).count() * 1'000'000;
    std::int64_t restart_ns = next_restart(), look_ns = 0;
    while (board_.clients_done < kClients) {
      if (monotonic_ns() > last_ns) {
        trouble_ += "the clients did not get through their operations; ";
        board_.clients_end = true;
        break;
      }
      keep_alive();
      if (monotonic_ns() >= restart_ns && !setting_.is_calm()) {
        restart();
        restart_ns = next_restart();
      }
      if (options_.until_wrong && monotonic_ns() >= look_ns) {
        if (revocations_defied() >= kSurelyWrong) break;
        look_ns = monotonic_ns() + 250'000'000;
      }
      ::usleep(2'000);
    }
    board_.operators_end = true;
  }

  [[nodiscard]] std::ptrdiff_t revocations_defied() const {
    return std::ranges::count(judge(history()).findings, Wrong::kRevoked, &Finding::wrong);
  }

  std::int64_t next_restart() {
    const auto mean_ns = static_cast<std::uint64_t>(options_.between_restarts.count()) * 1'000'000;
    return monotonic_ns() + static_cast<std::int64_t>(mean_ns / 2 + below(random_, mean_ns));
  }

  void keep_alive() {
    if (daemon_.running()) return;
    const std::int64_t now = monotonic_ns();
    own_events_.append({EventKind::kFault, Outcome::kDone, now, now});
    revive(now, faults_);
  }

  void restart() {
    const std::int64_t start_ns = monotonic_ns();
    if (below(random_, 2) == 0) {
      daemon_.kill();
      own_events_.append({EventKind::kKill, Outcome::kDone, start_ns, monotonic_ns()});
    } else {
      (void)daemon_.stop();  // may fall at a fault point on its way
      own_events_.append({EventKind::kStop, Outcome::kDone, start_ns, monotonic_ns()});
    }
    if (++restarts_ % 5 == 3)
      ::usleep(static_cast<useconds_t>(std::chrono::microseconds(kLongAbsence).count()));
    revive(start_ns, faults_);
  }

  void revive(std::int64_t since_ns, bool with_faults) {
    for (int life = 0; life < kLivesTried; ++life) {
      choose_faults(with_faults);
      daemon_.launch(DaemonProcess::First::kNo);
      if (daemon_.becomes_ready()) {
        own_events_.append({EventKind::kRestart, Outcome::kDone, since_ns, monotonic_ns()});
        return;
      }
    }
    throw std::runtime_error("the daemon does not come back:\n" + daemon_.log());
  }

  // For the next life of the daemon; each draws other faults.
  void choose_faults(bool any) {
    const std::string seed = std::to_string(options_.seed * 1'000 + ++lives_);
    ::setenv("AUTHCACHE_HISTORY_FAULTS", any ? seed.c_str() : "", 1);
  }

  void wait_for(std::vector<pid_t>& children) {
    const std::int64_t last_ns = monotonic_ns() + std::chrono::nanoseconds(kGrace).count();
    for (; !children.empty(); children.pop_back()) {
      int status = 0;
      while (::waitpid(children.back(), &status, WNOHANG) == 0) {
        if (monotonic_ns() > last_ns) {
          trouble_ += "a process of the run hangs; ";
          ::kill(children.back(), SIGKILL);
        }
        keep_alive();
        ::usleep(2'000);
      }
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        trouble_ += "a process of the run did not end well; ";
    }
  }

  // A daemon without faults, no rule left, every key in its set: from here on every good token must become
  // valid.
  void come_to_rest() {
    const std::int64_t start_ns = monotonic_ns();
    (void)daemon_.stop();
    own_events_.append({EventKind::kStop, Outcome::kDone, start_ns, monotonic_ns()});
    faults_ = false;
    revive(start_ns, faults_);
    if (lift_all()) {
      std::set<std::uint32_t> revoked;
      for (const auto& log : changes_) {
        for (const Change& change : log->items()) revoked.insert(change.mark);
      }
      for (const std::uint32_t mark : revoked) {
        const MarkKind kind = plan_.marks()[mark].kind;
        if (kind == MarkKind::kSession || kind == MarkKind::kKeySet) continue;
        own_changes_.append({.mark = mark,
                             .lifts = true,
                             .outcome = Outcome::kDone,
                             .start_ns = start_ns,
                             .end_ns = monotonic_ns()});
      }
    } else {
      trouble_ += "the rules could not all be lifted; ";
    }
    quiet_from_ns_ = monotonic_ns();
    board_.phase = Phase::kQuiet;
  }

  bool lift_all() {
    ControlLine line(daemon_.runtime_dir());
    return eventually([&] {
      const auto listed = line.ask({{"verb", "revocations"}});
      if (!listed || !listed->done()) return false;
      const json::array& rules = listed->reply.at("rules").as_array();
      for (const json::value& rule : rules) (void)line.ask({{"verb", "lift"}, {"change", rule.at("change")}});
      return rules.empty();
    });
  }

  History history() const {
    History history{.seed = options_.seed,
                    .wall_minus_monotonic_ns = wall_ns() - monotonic_ns(),
                    .quiet_from_ns = quiet_from_ns_,
                    .marks = plan_.marks(),
                    .credentials = plan_.credentials(),
                    .changes = {},
                    .answers = {},
                    .events = {}};
    for (std::uint32_t slot = 0; slot < board_.sessions_made(); ++slot) {
      Credential& session = history.credentials[plan_.first_session() + slot];
      session.issued_from_wall_ns = board_.sessions[slot].created_from_wall_ns;
      session.issued_until_wall_ns = board_.sessions[slot].created_until_wall_ns;
    }
    const auto gather = [](auto& all, const auto& log) {
      all.insert(all.end(), log.items().begin(), log.items().end());
    };
    // Answers first: what they rest on, a lift above all, must not be missing from a history that goes on.
    for (const auto& log : answers_) gather(history.answers, *log);
    for (const auto& log : changes_) gather(history.changes, *log);
    for (const auto& log : events_) gather(history.events, *log);
    gather(history.changes, own_changes_);
    gather(history.events, own_events_);
    return history;
  }

  const RunOptions& options_;
  Random random_;
  Plan plan_;
  void* board_memory_;
  Board& board_;
  DaemonProcess daemon_;
  Setting setting_;
  std::vector<std::unique_ptr<SharedLog<Answer>>> answers_;
  std::vector<std::unique_ptr<SharedLog<Change>>> changes_;
  std::vector<std::unique_ptr<SharedLog<Event>>> events_;
  SharedLog<Change> own_changes_;
  SharedLog<Event> own_events_;
  std::vector<pid_t> clients_, operators_;
  std::int64_t quiet_from_ns_ = kNever;
  std::uint64_t lives_ = 0, restarts_ = 0;
  bool faults_ = true;
  std::string trouble_;
};

}  // namespace

RunResult run_history(const RunOptions& options) { return RunningHistory(options).run(); }

}  // namespace authcache_test
