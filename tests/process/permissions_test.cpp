// Roles from end to end: a permission that a change took away is granted by no lookup that starts after the change was
// acknowledged, with readers running, with the daemon killed on the way, and after a start with other definitions.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <thread>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

constexpr auto kAgain = DaemonProcess::First::kNo;
constexpr unsigned kSessions = 300;

const std::string kGranting =
    "\n[role.editor]\ninherits = [\"viewer\"]\npermissions = [\"documents.write\", \"reports/*:read\"]\n"
    "[role.viewer]\npermissions = [\"documents.read\"]\n";
const std::string kTaking = "\n[role.editor]\ninherits = [\"viewer\"]\n[role.viewer]\npermissions = [\"documents.read\"]\n";

Settings with_roles(std::string roles) {
  Settings settings;
  settings.sessions = "roles = [\"editor\", \"viewer\"]\n";
  settings.more = std::move(roles);
  settings.capacity = 100'000;  // so that a walk takes several slices, with lookups and misses between them
  return settings;
}

// What was acknowledged last, as readers may rely on it. Even numbers: a change is under way.
enum Phase : std::uint32_t { kGranted = 1, kTaken = 3 };
constexpr std::uint32_t kPhases = 4;

struct Watched {
  std::atomic<std::uint32_t> phase;  // change * kPhases + what it came to
  std::atomic<std::uint64_t> looked, granted, granted_after_taken, refused_after_granted, held_after_taken;
  std::atomic<bool> stop;
};

// Readers that know what was acknowledged before each of their lookups.
class Witnesses {
 public:
  Witnesses(const std::filesystem::path& runtime_dir, std::vector<std::string> tokens, unsigned processes) {
    void* const shared = ::mmap(nullptr, sizeof(Watched), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::runtime_error("cannot map");
    seen = new (shared) Watched{};
    say(kGranted);
    for (unsigned i = 0; i < processes; ++i) {
      const pid_t pid = ::fork();
      if (pid < 0) throw std::runtime_error("cannot fork");
      if (pid == 0) watch(runtime_dir, tokens, i);
      pids_.push_back(pid);
    }
  }
  Witnesses(const Witnesses&) = delete;
  Witnesses& operator=(const Witnesses&) = delete;
  ~Witnesses() {
    finish();
    ::munmap(seen, sizeof(Watched));
  }

  void begin_change() { seen->phase = (seen->phase / kPhases + 1) * kPhases; }
  void say(std::uint32_t what) { seen->phase = seen->phase / kPhases * kPhases + what; }
  [[nodiscard]] bool look_more(std::uint64_t more) const {
    const std::uint64_t from = seen->looked;
    return eventually([&] { return seen->looked >= from + more; });
  }
  void finish() {
    seen->stop = true;
    for (const pid_t pid : std::exchange(pids_, {})) {
      int status = 0;
      ::waitpid(pid, &status, 0);
      EXPECT_EQ(status, 0);
    }
  }

  Watched* seen;

 private:
  [[noreturn]] void watch(const std::filesystem::path& runtime_dir, const std::vector<std::string>& tokens, unsigned first) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Client client(runtime_dir);
    if (!client.refused().empty()) ::_exit(3);
    const char* const kAsked[] = {"documents.write", "reports/7:read"};
    for (std::size_t i = first; !seen->stop; ++i) {
      const std::string& token = tokens[i % tokens.size()];
      const Question plain = session(token);
      Question asking = plain;
      asking.permission = kAsked[i % 2];
      const std::uint32_t before = seen->phase;
      authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
      const int verdict =
          i % 3 == 0 ? authcache_validate(client.handle(), token.data(), token.size(), client.requirement(asking), 1'000, &identity)
                     : authcache_lookup(client.handle(), token.data(), token.size(), client.requirement(asking), &identity);
      ++seen->looked;
      const bool same = seen->phase == before;
      if (verdict == AUTHCACHE_VALID) ++seen->granted;
      if (same && before % kPhases == kTaken && verdict == AUTHCACHE_VALID) ++seen->granted_after_taken;
      if (same && before % kPhases == kGranted && verdict == AUTHCACHE_FORBIDDEN) ++seen->refused_after_granted;
      if (verdict == AUTHCACHE_MISS) (void)client.validate(plain);
      ask_by_handle(client, plain, asking);
    }
    ::_exit(0);
  }

  // The record of an identity that was looked up once, asked for its permissions.
  void ask_by_handle(Client& client, const Question& plain, const Question& asking) const {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    if (authcache_lookup(client.handle(), plain.token.data(), plain.token.size(), client.requirement(plain), &identity) != AUTHCACHE_VALID)
      return;
    const std::uint32_t before = seen->phase;
    std::uint64_t held = 0;
    const int verdict = authcache_identity_permissions(client.handle(), &identity, client.requirement(asking), &held);
    if (verdict != AUTHCACHE_VALID) return;
    if (seen->phase == before && before % kPhases == kTaken && held != 0) ++seen->held_after_taken;
  }

  std::vector<pid_t> pids_;
};

void set_roles(Scene& scene, const std::string& roles) {
  scene.settings.more = roles;
  scene.configure();
}

TEST(Permissions, NoLookupAfterTheAcknowledgementGrantsWhatAChangeTookAway) {
  Scene scene(with_roles(kGranting));
  scene.start();
  const std::vector<std::string> tokens = scene.create_sessions(kSessions, {"--role", "editor"});
  Witnesses witnesses(scene.daemon.runtime_dir(), tokens, 2);
  ASSERT_TRUE(witnesses.look_more(8 * kSessions)) << "each session was asked for";
  const std::int64_t asked = scene.daemon.stat("daemon", "upstream_questions");
  for (int round = 0; round < 6; ++round) {
    const bool take = round % 2 == 0;
    witnesses.begin_change();
    set_roles(scene, take ? kTaking : kGranting);
    const Ran reload = scene.daemon.authctl({"reload"});
    ASSERT_EQ(reload.exit, 0) << reload.err;
    witnesses.say(take ? kTaken : kGranted);
    ASSERT_TRUE(witnesses.look_more(2 * kSessions));
  }
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), asked) << "no upstream is asked for a change of roles";
  witnesses.finish();
  EXPECT_GT(witnesses.seen->granted, 0u);
  EXPECT_EQ(witnesses.seen->granted_after_taken, 0u);
  EXPECT_EQ(witnesses.seen->held_after_taken, 0u);
  EXPECT_EQ(witnesses.seen->refused_after_granted, 0u);
}

// The reload is not acknowledged; the next start, with the same file, is what promises.
TEST(Permissions, AKillInTheMiddleOfAChangeLeavesNothingGrantedAfterTheNextStart) {
  Scene scene(with_roles(kGranting));
  scene.start();
  const std::vector<std::string> tokens = scene.create_sessions(kSessions, {"--role", "editor"});
  Witnesses witnesses(scene.daemon.runtime_dir(), tokens, 2);
  for (int round = 0; round < 6; ++round) {
    ASSERT_TRUE(witnesses.look_more(2 * kSessions));
    const bool take = round % 2 == 0;
    witnesses.begin_change();
    set_roles(scene, take ? kTaking : kGranting);
    ASSERT_EQ(::kill(scene.daemon.pid(), SIGHUP), 0);
    std::this_thread::sleep_for(std::chrono::microseconds(300 * round));
    scene.daemon.kill();
    scene.start(kAgain);
    witnesses.say(take ? kTaken : kGranted);
  }
  ASSERT_TRUE(witnesses.look_more(2 * kSessions));
  witnesses.finish();
  EXPECT_EQ(witnesses.seen->granted_after_taken, 0u);
  EXPECT_EQ(witnesses.seen->held_after_taken, 0u);
  EXPECT_EQ(witnesses.seen->refused_after_granted, 0u);
}

TEST(Permissions, ATableIsAdoptedByADaemonWithOtherDefinitions) {
  Scene scene(with_roles(kGranting));
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  Question write = session(scene.create_session({"--role", "editor"}));
  Question read = write;
  write.permission = "documents.write";
  read.permission = "documents.read";
  ASSERT_EQ(reader.validate(write), "valid");
  const std::int64_t generation = scene.daemon.stat("table", "generation");
  ASSERT_EQ(scene.daemon.stop(), 0);
  EXPECT_EQ(reader.lookup(write), "valid") << "nothing was changed yet";
  set_roles(scene, kTaking);
  scene.start(kAgain);
  ASSERT_EQ(scene.daemon.stat("table", "generation"), generation) << "adopted, not made anew";
  EXPECT_EQ(reader.lookup(write), "forbidden/permission");
  EXPECT_EQ(reader.lookup(read), "valid") << "the record was given new grants, not thrown away";
  // Without any role, and with the profile taking none.
  ASSERT_EQ(scene.daemon.stop(), 0);
  scene.settings.sessions.clear();
  set_roles(scene, "");
  scene.start(kAgain);
  EXPECT_EQ(reader.lookup(read), "forbidden/permission");
}

TEST(Permissions, ATableThatIsReplacedKeepsWhatRolesGrant) {
  Scene scene(with_roles(kGranting));
  scene.settings.heartbeat_timeout = "1s";
  scene.configure();
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  Question write = session(scene.create_session({"--role", "editor"}));
  write.permission = "reports/7:read";
  ASSERT_EQ(reader.validate(write), "valid");
  const std::int64_t generation = scene.daemon.stat("table", "generation");
  scene.settings.capacity = 50'000;
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  ASSERT_TRUE(eventually([&] { return scene.daemon.stat("table", "generation") != generation; }));
  ASSERT_TRUE(eventually([&] { return reader.lookup(write) == "valid"; }));
  set_roles(scene, kTaking);
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_EQ(reader.validate(write), "forbidden/permission");
}

TEST(Permissions, ExplainTellsTheWayOrThatThereIsNone) {
  Scene scene(with_roles(kGranting));
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const auto explain = [&](const std::string& permission, const std::string& subject = "alice") {
    return scene.daemon.authctl({"permissions", "explain", subject, permission});
  };
  EXPECT_EQ(explain("documents.read").exit, 1);
  EXPECT_TRUE(explain("documents.read").out.contains("not known"));
  ASSERT_EQ(reader.validate(session(scene.create_session({"--role", "editor", "--permission", "own"}))), "valid");
  const Ran read = explain("documents.read");
  EXPECT_EQ(read.exit, 0);
  EXPECT_TRUE(read.out.contains("by role editor -> viewer, which grants documents.read")) << read.out;
  EXPECT_TRUE(explain("reports/9:read").out.contains("which grants reports/*:read"));
  EXPECT_TRUE(explain("own").out.contains("itself says so"));
  const Ran none = explain("users.delete");
  EXPECT_EQ(none.exit, 1);
  EXPECT_TRUE(none.out.contains("no role grants it")) << none.out;
}

TEST(Permissions, APermissionThatIsSpelledAsARoleIsNone) {
  Scene scene(with_roles(kGranting));
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  Question asked = session(scene.create_session({"--permission", "role:editor", "--permission", "own"}));
  for (const char* permission : {"role:editor", "documents.write"}) {
    asked.permission = permission;
    EXPECT_EQ(reader.validate(asked), "forbidden/permission") << permission;
  }
  asked.permission = "own";
  EXPECT_EQ(reader.validate(asked), "valid");
}

TEST(Permissions, AFaultInTheDefinitionsChangesNothing) {
  Scene scene(with_roles(kGranting));
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  Question write = session(scene.create_session({"--role", "editor"}));
  write.permission = "documents.write";
  ASSERT_EQ(reader.validate(write), "valid");
  set_roles(scene, "\n[role.editor]\ninherits = [\"viewer\"]\n[role.viewer]\ninherits = [\"editor\"]\n");
  const Ran reload = scene.daemon.authctl({"reload"});
  EXPECT_EQ(reload.exit, 5);
  EXPECT_TRUE(reload.err.contains("circle")) << reload.err;
  EXPECT_EQ(reader.lookup(write), "valid");
}

}  // namespace
}  // namespace authcache_test
