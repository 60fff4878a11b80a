// What a lookup promises about itself: no system call and no allocation from the kernel, whatever it answers,
// and that threads which share one requirement never see half of one.
#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "tests/unit/libclient/table_fixture.hpp"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

namespace {

using namespace authcache::client_test;
using authcache::shm::Reason;
using authcache::shm::Verdict;
namespace shm = authcache::shm;

int verdict_of(const OpenClient& client, std::string_view token, const authcache_requirement* requirement) {
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  return authcache_lookup(client.get(), token.data(), token.size(), requirement, &identity);
}

// Under strict seccomp any system call but read, write and exit of the thread kills the process.
template <class F>
bool survives_strict_seccomp(F&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool entered = ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0;
    ::syscall(SYS_exit, entered && body() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(HitPath, NoAnswerTakesASystemCall) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's runtime makes system calls of its own";
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  Proven many;
  for (int i = 0; i < 70; ++i) many.scopes.push_back("scope-" + std::to_string(i));
  admit(writer, kMainId, "many", many);
  admit(writer, kMainId, "bad", {.verdict = Verdict::kInvalid, .reason = Reason::kRevoked});
  OpenClient client(dir.path(), AUTHCACHE_NO_REATTACH);
  auto* plain = client.requirement();
  auto* by_text = client.requirement();
  authcache_requirement_add_scope(by_text, "scope-69");
  auto* missing = client.requirement();
  authcache_requirement_add_scope(missing, "nobody-has-it");
  auto* unknown = client.requirement("unknown");
  EXPECT_TRUE(survives_strict_seccomp([&] {
    return verdict_of(client, "many", plain) == AUTHCACHE_VALID &&
           verdict_of(client, "many", by_text) == AUTHCACHE_VALID &&
           verdict_of(client, "many", missing) == AUTHCACHE_FORBIDDEN &&
           verdict_of(client, "bad", plain) == AUTHCACHE_INVALID &&
           verdict_of(client, "none", plain) == AUTHCACHE_MISS &&
           verdict_of(client, "many", unknown) == AUTHCACHE_UNAVAILABLE &&
           verdict_of(client, "many", nullptr) == AUTHCACHE_ERROR_USAGE;
  }));
  writer.set_state(shm::TableState::kRetired);
  EXPECT_TRUE(
      survives_strict_seccomp([&] { return verdict_of(client, "many", plain) == AUTHCACHE_UNAVAILABLE; }));
}

TEST(HitPath, TheSeccompTestWouldNoticeASystemCall) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's runtime makes system calls of its own";
  EXPECT_FALSE(survives_strict_seccomp([] { return ::getppid() > 0; }));
}

// Two requirements that ask opposite things of records that come and go while the dictionary grows under the
// lookups: a bit of one dictionary used with a record of another would show as a verdict that is never right.
TEST(HitPath, ThreadsThatShareARequirementAgreeWhileTheDictionaryGrows) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  OpenClient client(dir.path());
  constexpr int kScopes = 40;
  std::vector<authcache_requirement*> requirements;
  for (int i = 0; i < kScopes; ++i) {
    requirements.push_back(client.requirement());
    authcache_requirement_add_scope(requirements.back(), ("scope-" + std::to_string(i)).c_str());
  }
  std::atomic<int> admitted{0};  // records below this number are in the table
  std::atomic<int> wrong{0};
  const auto reader = [&] {
    for (int known = 0; known < kScopes; known = admitted.load()) {
      for (int i = 0; i < known; ++i) {
        const std::string token = "token-" + std::to_string(i);
        if (verdict_of(client, token, requirements[static_cast<std::size_t>(i)]) != AUTHCACHE_VALID) ++wrong;
        const auto other = static_cast<std::size_t>((i + 1) % kScopes);
        if (verdict_of(client, token, requirements[other]) != AUTHCACHE_FORBIDDEN) ++wrong;
      }
    }
  };
  std::thread one(reader);
  std::thread two(reader);
  for (int i = 0; i < kScopes; ++i) {
    admit(writer, kMainId, "token-" + std::to_string(i), {.scopes = {"scope-" + std::to_string(i)}});
    admitted = i + 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  one.join();
  two.join();
  EXPECT_EQ(wrong.load(), 0);
}

// Threads on one core take turns of milliseconds and meet in no lookup; where there are two cores, each gets
// its own.
void run_on_core(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  (void)::sched_setaffinity(0, sizeof cores, &cores);
}

// The profile directory changes under lookups: each record suits its own profile's audience and not the
// other's, so a lookup that took the id from one directory and the audience from the next would refuse.
TEST(HitPath, AReloadUnderLookupsNeverMixesTwoProfiles) {
  TempDir dir;
  auto writer = make_table(dir.path(), 5);
  OpenClient client(dir.path());
  auto* requirement = client.requirement("main");
  Proven proven;
  for (int i = 0; i < 60; ++i) {
    proven.scopes.push_back("scope-" +
                            std::to_string(i));  // so many that resolving takes longer than a reload
    authcache_requirement_add_scope(requirement, proven.scopes.back().c_str());
  }
  proven.audience = {"api-one"};
  admit(writer, kMainId, "token", proven);
  proven.audience = {"api-two"};
  admit(writer, kOtherId, "token", proven);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    run_on_core(0);
    while (!stop.load()) {
      const int verdict = verdict_of(client, "token", requirement);
      if (verdict != AUTHCACHE_VALID && verdict != AUTHCACHE_MISS) ++wrong;
    }
  });
  std::thread reloader([&] {
    run_on_core(1);
    for (int i = 0; i < 300'000; ++i) {
      if (i % 1'000 == 0) writer.beat(shm::coarse_now_ns());  // an instrumented build takes longer than its timeout
      const bool one = i / 2 % 2 == 0;  // each of the two copies gets the one and the other in turn
      writer.set_profiles(
          {{.name = "main", .id = one ? kMainId : kOtherId, .audience = {one ? "api-one" : "api-two"}}});
    }
  });
  reloader.join();
  stop = true;
  reader.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
