// A lookup makes no system call and allocates nothing, whatever it answers, a million times; nor does it
// inside a signal handler that interrupts another lookup of the same thread. Each case is a child process
// under both traps of armed.hpp, through the shared library that ships.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "tests/no_syscalls/armed.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache_test::forbid_allocation;
using authcache_test::forbid_system_calls;
namespace shm = authcache::shm;

constexpr int kRight = 0, kWrong = 1, kNotArmed = 2;
constexpr int kInterruptionsMin = 20;

int lookups() {
  const char* const wanted = std::getenv("AUTHCACHE_NO_SYSCALLS_LOOKUPS");
  return wanted != nullptr ? std::atoi(wanted) : 1'000'000;
}

// One question and what it must be answered, with nothing in it that a child would have to make first.
struct Case {
  const char* token;
  const authcache_requirement* requirement;
  int verdict;
};

bool answered(const authcache_client* client, const Case& question) {
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  const int verdict = authcache_lookup(const_cast<authcache_client*>(client), question.token,
                                       std::strlen(question.token), question.requirement, &identity);
  return verdict == question.verdict;
}

class NoSyscalls : public ::testing::Test {
 protected:
  NoSyscalls() : writer_(make_table(dir_.path(), 5)), client_(dir_.path(), AUTHCACHE_NO_REATTACH) {
    Proven many;
    for (int i = 0; i < 70; ++i) many.scopes.push_back("scope-" + std::to_string(i));
    many.claims = R"({"a":1})";
    many.life_ns = 3'600 * shm::kNsPerSecond;  // a busy machine takes its time
    admit(writer_, kMainId, "many", many);
    admit(writer_, kMainId, "bound",
          {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_JKT, 'c'), .life_ns = many.life_ns});
    admit(writer_, kMainId, "bad",
          {.verdict = shm::Verdict::kInvalid, .reason = shm::Reason::kRevoked, .life_ns = many.life_ns});
    admit(writer_, kMainId, "short-lived", {.life_ns = 0});
    plain_ = client_.requirement();
    by_text_ = client_.requirement();
    authcache_requirement_add_scope(by_text_, "scope-69");
    missing_ = client_.requirement();
    authcache_requirement_add_scope(missing_, "nobody-has-it");
    other_audience_ = client_.requirement("other");
    unknown_profile_ = client_.requirement("unknown");
  }

  // How the child ended: its exit code; the number of the signal that killed it, negative. Meanwhile the
  // daemon's heartbeat goes on, unless a case has stopped it.
  int end_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (beating_) writer_.beat(shm::coarse_now_ns());
      ::usleep(1'000);
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

  // The end of a child under both traps that ran `body`.
  template <class F>
  int armed(F&& body) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (!forbid_system_calls()) ::_exit(kNotArmed);
      forbid_allocation(true);
      ::_exit(body() ? kRight : kWrong);
    }
    return end_of(child);
  }

  [[nodiscard]] std::array<Case, 8> cases() const {
    return {{{"many", plain_, AUTHCACHE_VALID},
             {"many", by_text_, AUTHCACHE_VALID},
             {"many", missing_, AUTHCACHE_FORBIDDEN},
             {"bound", plain_, AUTHCACHE_FORBIDDEN},
             {"bad", plain_, AUTHCACHE_INVALID},
             {"nobody's", plain_, AUTHCACHE_MISS},
             {"short-lived", plain_, AUTHCACHE_MISS},
             {"many", unknown_profile_, AUTHCACHE_UNAVAILABLE}}};
  }
  [[nodiscard]] int armed_lookups(int count) {
    const auto all = cases();
    return armed([&] {
      for (int i = 0; i < count; ++i) {
        if (!answered(client_.get(), all[static_cast<std::size_t>(i) % all.size()])) return false;
      }
      return true;
    });
  }

  bool beating_ = true;
  TempDir dir_;
  shm::TableWriter writer_;
  OpenClient client_;
  authcache_requirement* plain_ = nullptr;
  authcache_requirement* by_text_ = nullptr;
  authcache_requirement* missing_ = nullptr;
  authcache_requirement* other_audience_ = nullptr;
  authcache_requirement* unknown_profile_ = nullptr;
};

TEST_F(NoSyscalls, EveryAnswerOfALookup) { EXPECT_EQ(armed_lookups(lookups()), kRight); }

TEST_F(NoSyscalls, AProfilesOwnAudienceAndABoundRequirement) {
  admit(writer_, kOtherId, "elsewhere", {.audience = {"other-api"}});
  authcache_thumbprint proved = thumbprint(AUTHCACHE_THUMBPRINT_JKT, 'c');
  authcache_bound_requirement bound;
  ASSERT_EQ(authcache_requirement_bind(plain_, &proved, &bound), AUTHCACHE_OK);
  const Case both[] = {{"elsewhere", other_audience_, AUTHCACHE_VALID},
                       {"bound", &bound.requirement, AUTHCACHE_VALID}};
  EXPECT_EQ(armed([&] {
              for (int i = 0; i < lookups() / 10; ++i) {
                if (!answered(client_.get(), both[i % 2])) return false;
              }
              return true;
            }),
            kRight);
}

TEST_F(NoSyscalls, ARetiredTableAndAStaleHeartbeat) {
  const Case gone{"many", plain_, AUTHCACHE_UNAVAILABLE};
  const auto all_unavailable = [&] {
    return armed([&] {
      for (int i = 0; i < lookups() / 10; ++i) {
        if (!answered(client_.get(), gone)) return false;
      }
      return true;
    });
  };
  beating_ = false;
  writer_.beat(1);
  EXPECT_EQ(all_unavailable(), kRight);
  writer_.beat(shm::coarse_now_ns());
  writer_.set_state(shm::TableState::kRetired);
  EXPECT_EQ(all_unavailable(), kRight);
}

TEST_F(NoSyscalls, TheTextOfAnIdentity) {
  const Case hit{"many", plain_, AUTHCACHE_VALID};
  EXPECT_EQ(
      armed([&] {
        char buffer[4096];
        for (int i = 0; i < lookups() / 10; ++i) {
          authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
          if (authcache_lookup(client_.get(), hit.token, 4, hit.requirement, &identity) != AUTHCACHE_VALID)
            return false;
          if (authcache_identity_text(client_.get(), &identity, AUTHCACHE_FIELD_SUBJECT, buffer,
                                      sizeof buffer) != 5)
            return false;
          if (std::memcmp(buffer, "alice", 6) != 0) return false;
        }
        return true;
      }),
      kRight);
}

TEST_F(NoSyscalls, ABatch) {
  const auto all = cases();
  std::array<authcache_token, all.size()> tokens;
  for (std::size_t i = 0; i < all.size(); ++i) tokens[i] = {all[i].token, std::strlen(all[i].token)};
  EXPECT_EQ(armed([&] {
              std::array<int, tokens.size()> verdicts;
              std::array<authcache_identity, tokens.size()> identities;
              identities.fill(AUTHCACHE_IDENTITY_INIT);
              for (int i = 0; i < lookups() / 10; ++i) {
                if (authcache_lookup_batch(client_.get(), tokens.data(), tokens.size(), plain_,
                                           verdicts.data(), identities.data()) != AUTHCACHE_OK)
                  return false;
                if (verdicts[0] != AUTHCACHE_VALID || verdicts[3] != AUTHCACHE_FORBIDDEN ||
                    verdicts[5] != AUTHCACHE_MISS)
                  return false;
              }
              return true;
            }),
            kRight);
}

TEST_F(NoSyscalls, ALongTokenFirstAndAgain) {
  const std::string token(800, 't');
  admit(writer_, kMainId, token, {.life_ns = 3'600 * shm::kNsPerSecond});
  EXPECT_EQ(armed([&] {
              for (int i = 0; i < lookups() / 10; ++i) {
                if (!answered(client_.get(), {token.c_str(), plain_, AUTHCACHE_VALID})) return false;
              }
              return true;
            }),
            kRight);
}

TEST_F(NoSyscalls, APinTakenCheckedAndLost) {
  admit(writer_, kMainId, "pinned", {.life_ns = 3'600 * shm::kNsPerSecond});
  const auto checks = [&](const authcache_pinned& pin, int wanted) {
    for (int i = 0; i < lookups() / 10; ++i) {
      int reason = 0;
      if (authcache_pin_check(&pin, &reason) != wanted) return false;
    }
    return true;
  };
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  ASSERT_EQ(authcache_lookup(client_.get(), "pinned", 6, plain_, &identity), AUTHCACHE_VALID);
  authcache_pinned pin = AUTHCACHE_PINNED_INIT;
  EXPECT_EQ(armed([&] {
              return authcache_pin(client_.get(), &identity, plain_, &pin) == AUTHCACHE_VALID &&
                     checks(pin, AUTHCACHE_VALID);
            }),
            kRight);
  ASSERT_EQ(authcache_pin(client_.get(), &identity, plain_, &pin), AUTHCACHE_VALID);
  writer_.kill(shm::key_of(shm::token_digest(kMainId, "pinned")), shm::SlotState::kRevoked);
  EXPECT_EQ(armed([&] { return checks(pin, AUTHCACHE_INVALID); }), kRight);
}

TEST_F(NoSyscalls, FirstUseOfARequirementAndAGrownDictionary) {
  auto* fresh = client_.requirement();
  authcache_requirement_add_scope(fresh, "scope-3");
  authcache_requirement_add_permission(fresh, "nobody-may");
  EXPECT_EQ(armed([&] { return answered(client_.get(), {"many", fresh, AUTHCACHE_FORBIDDEN}); }), kRight);
  admit(writer_, kMainId, "newer", {.audience = {"an audience that had no bit"}});
  EXPECT_EQ(armed_lookups(8), kRight);
}

// --- inside a signal handler

struct Interrupted {
  const authcache_client* client;
  std::array<Case, 8> cases;
  volatile int handled;
  volatile int wrong;
};
Interrupted interrupted;

void look_up_in_handler(int) {
  interrupted.handled = interrupted.handled + 1;
  for (const Case& question : interrupted.cases) {
    if (!answered(interrupted.client, question)) interrupted.wrong = interrupted.wrong + 1;
  }
}

TEST_F(NoSyscalls, InAHandlerThatInterruptsLookups) {
  interrupted = {client_.get(), cases(), 0, 0};
  // A fork does not inherit timers, so the child starts its own before it is armed.
  const pid_t child = ::fork();
  if (child == 0) {
    struct sigaction action {};
    action.sa_handler = look_up_in_handler;
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval often{{0, 500}, {0, 500}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    if (!forbid_system_calls()) ::_exit(kNotArmed);
    forbid_allocation(true);
    // At least so many lookups, and until enough of them were interrupted.
    for (int i = 0; i < lookups() / 2 || interrupted.handled < kInterruptionsMin; ++i) {
      if (!answered(interrupted.client, interrupted.cases[static_cast<std::size_t>(i) % 8])) ::_exit(kWrong);
    }
    ::_exit(interrupted.wrong == 0 ? kRight : kWrong);
  }
  EXPECT_EQ(end_of(child), kRight);
}

// --- the traps themselves: a suite that cannot fail proves nothing

TEST_F(NoSyscalls, ASystemCallWouldBeSeen) {
  EXPECT_EQ(armed([] { return ::getppid() > 0; }), -authcache_test::kKilledByFilter);
}

TEST_F(NoSyscalls, AnAllocationWouldBeSeen) {
  EXPECT_EQ(armed([] {
              std::string* volatile text = new std::string(100, 'x');
              delete text;
              return true;
            }),
            authcache_test::kAllocated);
}

// With NO_REATTACH left out, a stale table makes a lookup look for another one: the library itself trips the
// traps.
TEST_F(NoSyscalls, ALookupThatReattachesWouldBeSeen) {
  const OpenClient reattaching(dir_.path());
  auto* const requirement = const_cast<OpenClient&>(reattaching).requirement();
  beating_ = false;
  writer_.beat(1);
  const int ended = armed([&] {
    return answered(reattaching.get(), {"many", requirement, AUTHCACHE_UNAVAILABLE});
  });
  EXPECT_TRUE(ended == -authcache_test::kKilledByFilter || ended == authcache_test::kAllocated) << ended;
}

}  // namespace
