#include <authcache/authcache.h>

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
constexpr std::uint64_t kLatestSessions = 30;
constexpr std::uint64_t kBurst = 6;  // the most questions about one token in a row
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
    while (done_ < operations && !setting_.board.clients_end) {
      const double part =
          static_cast<double>(monotonic_ns() - begin_ns) / static_cast<double>(setting_.duration.count());
      if (static_cast<double>(done_) > part * static_cast<double>(operations)) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      const std::uint32_t credential = choose(std::min(part, 1.0));
      for (std::uint64_t burst = 1 + below(random_, kBurst); burst > 0 && done_ < operations;
           --burst, ++done_) {
        (void)ask(credential, below(random_, 10) >= 3);
      }
    }
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
                 static_cast<std::uint32_t>(below(random_, std::min<std::uint64_t>(made, kLatestSessions)));
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
    return answer.verdict;
  }

  const Setting& setting_;
  std::uint8_t process_;
  Random random_;
  SharedLog<Answer>& answers_;
  authcache_client* client_ = nullptr;
  std::map<std::string, authcache_requirement*> requirements_;
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
