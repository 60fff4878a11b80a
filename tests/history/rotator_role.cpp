#include <algorithm>
#include <boost/json/array.hpp>
#include <chrono>
#include <thread>

#include "tests/history/control_line.hpp"
#include "tests/history/roles.hpp"
#include "tests/process/support/programs.hpp"

namespace authcache_test {

namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr std::uint64_t kPauseMs = 700;  // at most, between two actions
constexpr std::uint64_t kCapacities[] = {1'000, 2'500, 10'000};
constexpr std::size_t kPointed = 3;
constexpr auto kLookedAtFor = 10ms;
constexpr auto kOutage = 2'500ms;
constexpr int kCalmAction = 4;     // after some of everything else
constexpr auto kCalmAtMost = 20s;  // for a machine that does other things: a second for each is enough
constexpr auto kNoticedWithin = 15s;  // a key set file is looked at once a second
constexpr unsigned kAllKeys = (1U << Plan::kKeys) - 1;

class RotatorRole {
 public:
  RotatorRole(const Setting& setting, const Files& files, std::uint64_t seed, SharedLog<Change>& changes,
              SharedLog<Event>& events)
      : setting_(setting),
        files_(files),
        random_(seed),
        changes_(changes),
        events_(events),
        line_(setting.runtime_dir) {}

  void work() {
    present_.fill(kAllKeys);
    for (int action = 1; !setting_.board.operators_end; ++action) {
      if (action == kCalmAction && !files_.calm.empty()) {
        calm();
      } else if (action % 5 == 2) {
        strike();
      } else if (action % 3 != 0) {
        turn_some();
      } else {
        resize();
      }
      (void)note_refreshes();
      std::this_thread::sleep_for(std::chrono::milliseconds(below(random_, kPauseMs)));
    }
    for (std::size_t issuer = 0; issuer < Plan::kIssuers; ++issuer) {
      for (std::size_t key = 1; key < Plan::kKeys; ++key) {
        if ((present_[issuer] >> key & 1) == 0) turn(issuer, key);
      }
    }
  }

 private:
  // A key that is out comes back soon, so that most tokens can be valid at most times.
  void turn_some() {
    const std::size_t issuer = below(random_, Plan::kIssuers);
    std::size_t key = 1 + below(random_, Plan::kKeys - 1);
    for (std::size_t other = 1; other < Plan::kKeys; ++other) {
      if ((present_[issuer] >> other & 1) == 0 && below(random_, 10) < 8) key = other;
    }
    turn(issuer, key);
  }

  // Takes the key out or puts it back. It is done when the daemon lists its keys so.
  void turn(std::size_t issuer, std::size_t key) {
    present_[issuer] ^= 1U << key;
    const bool back = (present_[issuer] >> key & 1) != 0;
    Change change{
        .mark = setting_.plan.key_set_mark(issuer, key), .lifts = back, .outcome = Outcome::kFailed};
    point_at_tokens_of(change.mark);
    change.start_ns = monotonic_ns();
    replace_file(files_.key_sets[issuer], setting_.plan.key_set(issuer, present_[issuer]));
    (void)eventually(
        [&] {
          const auto answer = line_.ask({{"verb", "keys"}});
          if (!answer || !answer->done() || lists(answer->reply, Plan::kid(issuer, key)) != back)
            return false;
          change.outcome = Outcome::kDone;
          change.end_ns = answer->end_ns;
          return true;
        },
        kNoticedWithin);
    changes_.append(change);
    point_at_tokens_of(change.mark);
    events_.append({back ? EventKind::kKeyAdded : EventKind::kKeyRemoved, change.outcome, change.start_ns,
                    change.end_ns});
  }

  // The clients look at what stands on the board: tokens of this key, as far as any are in use now.
  void point_at_tokens_of(std::uint32_t mark) {
    auto credential =
        static_cast<std::uint32_t>(setting_.part() * static_cast<double>(setting_.plan.good() - 1));
    for (std::size_t pointed = 0; pointed < kPointed && credential > 0; --credential) {
      if (std::ranges::find(setting_.plan.credentials()[credential].marks, mark) ==
          setting_.plan.credentials()[credential].marks.end())
        continue;
      setting_.board.focus[setting_.board.focus_next++ % Board::kFocus] = credential;
      ++pointed;
    }
    std::this_thread::sleep_for(kLookedAtFor);
  }

  [[nodiscard]] static bool lists(const json::object& reply, std::string_view kid) {
    for (const json::value& profile : reply.at("profiles").as_array()) {
      for (const json::value& key : profile.at("keys").as_array()) {
        if (key.at("kid").as_string() == kid) return true;
      }
    }
    return false;
  }

  // Longer than a session's record lives, so that some are served stale, and shorter than they may be.
  void strike() {
    const std::int64_t start_ns = monotonic_ns();
    write_file(files_.outage, "");
    std::this_thread::sleep_for(kOutage);
    (void)note_refreshes();
    std::filesystem::remove(files_.outage);
    events_.append({EventKind::kOutage, Outcome::kDone, start_ns, monotonic_ns()});
  }

  // Waits for what it is there for, whatever that takes on this machine. Tokens are revoked all the while.
  void calm() {
    write_file(files_.calm, "");
    setting_.board.calm_since_ns = monotonic_ns();
    // What was made by its creation was never asked about, so nobody could ask again.
    (void)eventually([&] { return flushed() || ends(); }, kCalmAtMost);
    (void)eventually([&] { return note_refreshes().refreshed || ends(); }, kCalmAtMost);
    const std::int64_t start_ns = monotonic_ns();
    write_file(files_.outage, "");
    (void)eventually([&] { return note_refreshes().stale || ends(); }, kCalmAtMost);
    std::filesystem::remove(files_.outage);
    events_.append({EventKind::kOutage, Outcome::kDone, start_ns, monotonic_ns()});
    setting_.board.calm_since_ns = 0;
    setting_.board.calm_owed = false;
    std::filesystem::remove(files_.calm);
  }

  [[nodiscard]] bool ends() const { return setting_.board.operators_end; }

  bool flushed() {
    const auto answer = line_.ask({{"verb", "flush"}});
    if (!answer || answer->had_no_effect()) return false;
    events_.append({EventKind::kFlushAll, answer->outcome, answer->start_ns, answer->end_ns});
    return answer->done();
  }

  struct Noted {
    bool refreshed = false, stale = false;
  };
  Noted note_refreshes() {
    const auto answer = line_.ask({{"verb", "stats"}});
    if (!answer || !answer->done()) return {};
    const json::object& refresh = answer->reply.at("refresh").as_object();
    const auto note = [&](const char* counter, EventKind kind) {
      const bool seen = refresh.at(counter).to_number<std::uint64_t>() > 0;
      if (seen) events_.append({kind, Outcome::kDone, answer->start_ns, answer->end_ns});
      return seen;
    };
    return {note("extended", EventKind::kRefreshed), note("stale", EventKind::kServedStale)};
  }

  void resize() {
    files_.configure(kCapacities[below(random_, std::size(kCapacities))]);
    if (const auto answer = line_.ask({{"verb", "reload"}}))
      events_.append({EventKind::kReload, answer->outcome, answer->start_ns, answer->end_ns});
  }

  const Setting& setting_;
  const Files& files_;
  Random random_;
  SharedLog<Change>& changes_;
  SharedLog<Event>& events_;
  ControlLine line_;
  std::array<unsigned, Plan::kIssuers> present_{};
};

}  // namespace

void run_rotator(const Setting& setting, const Files& files, std::uint64_t seed, SharedLog<Change>& changes,
                 SharedLog<Event>& events) {
  RotatorRole(setting, files, seed, changes, events).work();
}

}  // namespace authcache_test
