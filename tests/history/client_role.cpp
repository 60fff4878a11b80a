#include <authcache/authcache.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/history/control_line.hpp"
#include "tests/history/roles.hpp"

namespace authcache_test {

namespace {

using namespace std::chrono_literals;

constexpr int kTimeoutMs = 2'000;
constexpr std::uint64_t kWindow = 40;  // good tokens in use at one time
constexpr std::uint64_t kBurst = 6;  // the most questions about one token in a row
constexpr auto kOvertimePause = 20ms;  // or what a slow machine makes of it would not fit into the log
constexpr std::uint32_t kQuietTokens = 150;
constexpr auto kQuietAtMost = 10s;
constexpr int kRounds = 24;
constexpr auto kRoundPause = 50ms;  // a refusal is kept for negative_ttl, here half a second

Verdict verdict_of(int verdict, int reason) {
  switch (verdict) {
    case AUTHCACHE_VALID: return Verdict::kValid;
    case AUTHCACHE_MISS: return Verdict::kMiss;
    case AUTHCACHE_INVALID: return reason == AUTHCACHE_REASON_REVOKED ? Verdict::kRevoked : Verdict::kInvalid;
    case AUTHCACHE_FORBIDDEN: return Verdict::kForbidden;
    case AUTHCACHE_UNAVAILABLE: return Verdict::kUnavailable;
    default: return Verdict::kFault;
  }
}

class ClientRole {
 public:
  ClientRole(const Setting& setting, std::uint8_t process, std::uint64_t seed, SharedLog<Answer>& answers)
      : setting_(setting), process_(process), random_(seed), answers_(answers) {
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    options.runtime_dir = setting.runtime_dir.c_str();
    if (authcache_open(&options, &client_) != AUTHCACHE_OK)
      throw std::runtime_error(authcache_last_error(nullptr));
    for (const char* profile : {"alpha", "beta", "sessions"}) {
      if (authcache_requirement_create(client_, profile, &requirements_[profile]) != AUTHCACHE_OK) {
        throw std::runtime_error(authcache_last_error(client_));
      }
    }
  }
  ClientRole(const ClientRole&) = delete;
  ClientRole& operator=(const ClientRole&) = delete;
  ~ClientRole() {
    for (auto& [profile, requirement] : requirements_) authcache_requirement_free(requirement);
    authcache_close(client_);
  }

  void work(std::uint64_t operations) {
    const std::int64_t begin_ns = setting_.board.start_ns;
    const auto goes_on = [&] { return done_ < operations || setting_.board.calm_owed; };
    while (goes_on() && !setting_.board.clients_end) {
      const double part =
          static_cast<double>(monotonic_ns() - begin_ns) / static_cast<double>(setting_.duration.count());
      if (static_cast<double>(done_) > part * static_cast<double>(operations)) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      if (done_ >= operations) std::this_thread::sleep_for(kOvertimePause);
      const std::uint32_t credential = choose(setting_.part());
      for (std::uint64_t burst = 1 + below(random_, kBurst); burst > 0 && goes_on();
           --burst, ++done_) {
        const std::uint64_t how = below(random_, 20);
        if (how < 3) {
          submit(credential);
        } else {
          (void)ask(credential, how >= 6);
        }
        // One now and then: replies are to lie in the library for a while, so that revocations overtake them.
        if (below(random_, kCollectEvery) == 0) collect(in_flight_.size() > kLeftLying ? kCollected : 1);
        check_a_pin();
        if (below(random_, kEventsEvery) == 0) take_events();
        if (below(random_, kBatchEvery) == 0) ask_together();
      }
    }
    const auto end = std::chrono::steady_clock::now() + kQuietAtMost;
    while (!in_flight_.empty() && std::chrono::steady_clock::now() < end) {
      pollfd readable{authcache_fd(client_), POLLIN, 0};
      if (::poll(&readable, 1, kTimeoutMs) == 1) collect(kCollected);
    }
    if (!in_flight_.empty()) throw std::runtime_error("questions in flight were never answered");
  }

  void work_in_the_quiet() {
    std::set<std::uint32_t> wanting;
    const Plan& plan = setting_.plan;
    for (std::uint32_t i = 0; i < kQuietTokens; ++i)
      wanting.insert(static_cast<std::uint32_t>(below(random_, plan.good())));
    for (std::uint32_t i = 0; i < plan.bad(); ++i) wanting.insert(plan.first_bad() + i);
    const std::uint32_t sessions = setting_.board.sessions_made();
    for (std::uint32_t i = 0; i < std::min(sessions, kQuietTokens); ++i)
      wanting.insert(plan.first_session() + sessions - 1 - i);
    std::erase_if(wanting, [&](std::uint32_t credential) { return !usable(credential); });
    const auto end = std::chrono::steady_clock::now() + kQuietAtMost;
    // What is bad or revoked for ever is asked as often, and let go at the end.
    for (int round = 0; round < kRounds && !wanting.empty() && std::chrono::steady_clock::now() < end;
         ++round) {
      std::erase_if(wanting, [&](std::uint32_t credential) {
        return ask(credential, round % 2 == 1) == Verdict::kValid;
      });
      std::this_thread::sleep_for(kRoundPause);
    }
    judge_the_silence();
  }

 private:
  [[nodiscard]] bool usable(std::uint32_t credential) const {
    const std::uint32_t first = setting_.plan.first_session();
    return credential < first ||
           setting_.board.sessions[credential - first].ready.load(std::memory_order_acquire);
  }

  // What is being revoked now above all, then what is in use now, sessions lately made, and what is bad.
  std::uint32_t choose(double part) {
    const Plan& plan = setting_.plan;
    const std::uint64_t dice = below(random_, 100);
    std::uint32_t chosen = 0;
    if (dice < 38) {
      chosen = setting_.board.focus[below(random_, Board::kFocus)];
    } else if (dice < 76) {
      const auto newest = static_cast<std::uint64_t>(part * static_cast<double>(plan.good() - 1));
      chosen = static_cast<std::uint32_t>(newest - std::min(newest, below(random_, kWindow)));
    } else if (dice < 93) {
      const std::uint32_t made = setting_.board.sessions_made();
      if (made > 0)
        chosen = plan.first_session() + made - 1 -
                 static_cast<std::uint32_t>(below(random_, std::min(made, Board::kLatestSessions)));
    } else {
      chosen = plan.first_bad() + static_cast<std::uint32_t>(below(random_, plan.bad()));
    }
    return usable(chosen) ? chosen : plan.first_bad();
  }

  Verdict ask(std::uint32_t credential, bool lookup) {
    const Presented& presented = setting_.plan.presented(credential);
    std::string_view token = presented.token;
    if (token.empty())
      token = setting_.board.sessions[credential - setting_.plan.first_session()].token.data();
    const authcache_requirement* requirement = requirements_.at(presented.profile);
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    Answer answer{
        .credential = credential, .process = process_, .lookup = lookup, .start_ns = monotonic_ns()};
    const int verdict =
        lookup ? authcache_lookup(client_, token.data(), token.size(), requirement, &identity)
               : authcache_validate(client_, token.data(), token.size(), requirement, kTimeoutMs, &identity);
    answer.end_ns = monotonic_ns();
    answer.verdict = verdict_of(verdict, identity.reason);
    answers_.append(answer);
    if (answer.verdict == Verdict::kValid) {
      pin(credential, identity, requirement);
      watch(credential, identity);
    }
    return answer.verdict;
  }

  // As an event loop asks: the answer comes by collect(), unless shared memory has it.
  void submit(std::uint32_t credential) {
    const Presented& presented = setting_.plan.presented(credential);
    std::string_view token = presented.token;
    if (token.empty())
      token = setting_.board.sessions[credential - setting_.plan.first_session()].token.data();
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    Answer answer{.credential = credential, .process = process_, .start_ns = monotonic_ns()};
    const int verdict =
        authcache_submit(client_, token.data(), token.size(), requirements_.at(presented.profile), kTimeoutMs,
                         ++submitted_, nullptr, &identity);
    if (verdict == AUTHCACHE_MISS) {
      in_flight_.emplace(submitted_, answer);
      return;
    }
    answer.end_ns = monotonic_ns();
    answer.verdict = verdict_of(verdict, identity.reason);
    answers_.append(answer);
  }

  // What is valid is judged while it is collected, so it is held to the moment at which that began; what is
  // refused was so at some moment since the question.
  void collect(std::size_t at_most) {
    authcache_answer collected[kCollected] = {AUTHCACHE_ANSWER_INIT};
    const std::int64_t start_ns = monotonic_ns();
    const int count = authcache_collect(client_, collected, at_most);
    const std::int64_t end_ns = monotonic_ns();
    if (count < 0) throw std::runtime_error(authcache_last_error(client_));
    for (int i = 0; i < count; ++i) {
      const auto asked = in_flight_.extract(collected[i].data);
      if (asked.empty()) throw std::runtime_error("a question was answered twice");
      Answer answer = asked.mapped();
      answer.end_ns = end_ns;
      answer.verdict = verdict_of(collected[i].verdict, collected[i].identity.reason);
      if (answer.verdict == Verdict::kValid) answer.start_ns = start_ns;
      answers_.append(answer);
    }
  }

  // In place of one pinned before, so that a pin meets all that can happen to a record in a while.
  void pin(std::uint32_t credential, const authcache_identity& identity,
           const authcache_requirement* requirement) {
    Pinned& place = pins_[below(random_, kPins)];
    if (place.held && below(random_, 4) != 0) return;
    place.pin = AUTHCACHE_PINNED_INIT;
    place.credential = credential;
    place.held = authcache_pin(client_, &identity, requirement, &place.pin) == AUTHCACHE_VALID;
  }

  // What a pin says is held to the same as a lookup.
  void check_a_pin() {
    Pinned& place = pins_[below(random_, kPins)];
    if (!place.held) return;
    Answer answer{
        .credential = place.credential, .process = process_, .lookup = true, .start_ns = monotonic_ns()};
    int reason = 0;
    const int verdict = authcache_pin_check(&place.pin, &reason);
    answer.end_ns = monotonic_ns();
    answer.verdict = verdict_of(verdict, reason);
    answers_.append(answer);
    place.held = verdict == AUTHCACHE_VALID || verdict == AUTHCACHE_UNAVAILABLE;
  }

  void watch(std::uint32_t credential, const authcache_identity& identity) {
    if (!watching_ || below(random_, kWatchEvery) != 0) return;
    if (watched_.size() >= kWatches) {
      (void)authcache_unwatch(client_, watched_.begin()->first);
      watched_.erase(watched_.begin());
    }
    const std::int64_t start_ns = monotonic_ns();
    std::uint64_t number = 0;
    if (authcache_watch(client_, &identity, 0, &number) != AUTHCACHE_OK)
      throw std::runtime_error(authcache_last_error(client_));
    watched_.emplace(
        number, Answer{.credential = credential, .process = process_, .lookup = true, .start_ns = start_ns});
  }

  // What an event says is held to the same as a lookup: that a token is revoked takes a revocation which had
  // begun.
  void take_events() {
    authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
    while (authcache_watch_next(client_, &event) == AUTHCACHE_OK) {
      const auto told = watched_.extract(event.watch);
      if (told.empty()) throw std::runtime_error("a watch that had ended told of another end");
      Answer answer = told.mapped();
      answer.end_ns = monotonic_ns();
      answer.verdict = verdict_of(event.verdict, event.reason);
      answers_.append(answer);
    }
  }

  // A watch that stays silent about a token which validates no more says that it is good still.
  void judge_the_silence() {
    watching_ = false;
    const auto end = std::chrono::steady_clock::now() + kQuietAtMost;
    for (;;) {
      take_events();
      std::erase_if(watched_, [this](const auto& each) {
        if (!usable(each.second.credential) || ask(each.second.credential, false) != Verdict::kValid)
          return false;
        (void)authcache_unwatch(client_, each.first);  // its record may end while others are waited for
        return true;
      });
      if (watched_.empty() || std::chrono::steady_clock::now() >= end) break;
      std::this_thread::sleep_for(kRoundPause);
    }
    for (auto& [number, answer] : watched_) {
      answer.start_ns = answer.end_ns = monotonic_ns();
      answer.verdict = Verdict::kValid;
      answers_.append(answer);
    }
  }

  // Sessions lately made, all of one profile, in one batch: each answer spans the whole call.
  void ask_together() {
    const std::uint32_t made = setting_.board.sessions_made();
    std::vector<authcache_token> tokens;
    std::vector<Answer> answers;
    for (std::uint32_t back = 1; back <= std::min(made, kBatch); ++back) {
      const std::uint32_t credential = setting_.plan.first_session() + made - back;
      if (!usable(credential)) continue;
      const std::string_view token = setting_.board.sessions[made - back].token.data();
      tokens.push_back({token.data(), token.size()});
      answers.push_back({.credential = credential, .process = process_, .lookup = true});
    }
    if (tokens.empty()) return;
    std::vector<int> verdicts(tokens.size());
    std::vector<authcache_identity> identities(tokens.size(), AUTHCACHE_IDENTITY_INIT);
    const std::string& profile = setting_.plan.presented(answers.front().credential).profile;
    const std::int64_t start_ns = monotonic_ns();
    const int result = authcache_lookup_batch(client_, tokens.data(), tokens.size(),
                                              requirements_.at(profile), verdicts.data(), identities.data());
    const std::int64_t end_ns = monotonic_ns();
    if (result != AUTHCACHE_OK) throw std::runtime_error("a batch was refused");
    for (std::size_t i = 0; i < answers.size(); ++i) {
      answers[i].start_ns = start_ns;
      answers[i].end_ns = end_ns;
      answers[i].verdict = verdict_of(verdicts[i], identities[i].reason);
      answers_.append(answers[i]);
    }
  }

  const Setting& setting_;
  std::uint8_t process_;
  Random random_;
  SharedLog<Answer>& answers_;
  struct Pinned {
    bool held = false;
    std::uint32_t credential = 0;
    authcache_pinned pin = AUTHCACHE_PINNED_INIT;
  };
  static constexpr std::size_t kPins = 32;
  static constexpr std::size_t kWatches = 64;
  static constexpr std::uint64_t kWatchEvery = 8;
  static constexpr std::uint64_t kEventsEvery = 16;
  static constexpr std::uint64_t kBatchEvery = 50;
  static constexpr std::uint64_t kCollectEvery = 16;
  static constexpr std::size_t kCollected = 16, kLeftLying = 50;
  static constexpr std::uint32_t kBatch = 20;  // more than a step of the library's

  std::array<Pinned, kPins> pins_;
  authcache_client* client_ = nullptr;
  std::map<std::string, authcache_requirement*> requirements_;
  bool watching_ = true;
  std::map<std::uint64_t, Answer> watched_;    // by the watch's number
  std::map<std::uint64_t, Answer> in_flight_;  // by what is given to authcache_submit
  std::uint64_t submitted_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

void run_client(const Setting& setting, std::uint8_t process, std::uint64_t seed, std::uint64_t operations,
                SharedLog<Answer>& answers) {
  ClientRole role(setting, process, seed, answers);
  role.work(operations);
  ++setting.board.clients_done;
  while (setting.board.phase != Phase::kQuiet && !setting.board.clients_end) std::this_thread::sleep_for(2ms);
  if (!setting.board.clients_end) role.work_in_the_quiet();
}

}  // namespace authcache_test
