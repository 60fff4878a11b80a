// What `meson install` leaves is all that a program in C or C++ needs: the examples are built against it,
// with pkg-config, and asked about real tokens.
#include <gtest/gtest.h>

#include "tests/process/support/line_peer.hpp"
#include "tests/process/support/scene.hpp"
#include "tests/process/support/websocket_peer.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;

class Installed : public ::testing::Test {
 protected:
  void SetUp() override {
    // Nothing is rebuilt under the tests that run.
    const Ran ran = run_program({meson_program(), "install", "-C", build_directory().string(), "--no-rebuild",
                                 "--destdir", root().string()});
    ASSERT_EQ(ran.exit, 0) << ran.out << ran.err;
    for (const auto& each : fs::recursive_directory_iterator(root())) {
      if (each.path().filename() == "authcache.pc") pkg_config_ = each.path().parent_path();
      if (each.path().filename() == "libauthcache.so") library_ = each.path().parent_path();
    }
    ASSERT_FALSE(pkg_config_.empty()) << "no authcache.pc was installed";
    ASSERT_FALSE(library_.empty()) << "no libauthcache.so was installed";
    scene.start();
  }

  [[nodiscard]] fs::path root() const { return scene.daemon.state_dir().parent_path() / "root"; }
  [[nodiscard]] std::vector<std::string> environment() const {
    return {"PKG_CONFIG_PATH=" + pkg_config_.string(), "PKG_CONFIG_SYSROOT_DIR=" + root().string(),
            "LD_LIBRARY_PATH=" + library_.string(),
            "AUTHCACHE_RUNTIME_DIR=" + scene.daemon.runtime_dir().string()};
  }
  // Builds an example the way its first lines say.
  [[nodiscard]] fs::path build(const std::string& compiler, const std::string& source) const {
    const fs::path program = scene.daemon.state_dir().parent_path() / fs::path(source).stem();
    const std::string command = compiler + " -Wall -Wextra -Werror " +
                                (source_directory() / "examples" / source).string() +
                                " $(pkg-config --cflags --libs authcache) -o " + program.string();
    const Ran ran = run_program({"/bin/sh", "-c", command}, {}, environment());
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return program;
  }

  void expect_a_loop_that_never_waits(const fs::path& program);

  Scene scene;

 private:
  fs::path pkg_config_, library_;
};

// A server on the SDK's form for event loops: while the daemon stands still, whom shared memory can answer is answered.
void Installed::expect_a_loop_that_never_waits(const fs::path& program) {
  const authcache::shm::UniqueFd said = text_file("");
  ChildProcess server(
      {.argv = {program.string(), "0", "sessions"}, .environment = environment(), .stdout_fd = said.get()});
  ASSERT_TRUE(eventually([&] { return text_of(said).ends_with('\n'); }));
  const auto port = static_cast<std::uint16_t>(std::stoi(text_of(said).substr(std::string("listening on ").size())));

  const std::string token = scene.create_session(), unasked = scene.create_session(), left = scene.create_session();
  LinePeer asking(port), other(port), leaving(port), stranger(port);
  stranger.say(random_token());
  EXPECT_EQ(stranger.hear(), "invalid unknown");
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  other.say(token);
  EXPECT_EQ(other.hear(), "valid alice");

  scene.daemon.suspend();
  asking.say(unasked + "\n" + token);  // two lines: the second waits for the first
  leaving.say(left);
  other.say(token);
  EXPECT_EQ(other.hear(), "valid alice");
  EXPECT_EQ(asking.hear(std::chrono::milliseconds(50)), "nothing");
  leaving.close();
  other.say(token);
  EXPECT_EQ(other.hear(), "valid alice");
  scene.daemon.resume();
  EXPECT_EQ(asking.hear(), "valid alice");
  EXPECT_EQ(asking.hear(), "valid alice");

  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  asking.say(token);
  EXPECT_EQ(asking.hear(), "invalid revoked");
  EXPECT_FALSE(server.ended());
}

TEST_F(Installed, TheEpollExampleAnswersOthersWhileItsDaemonIsBusy) {
  expect_a_loop_that_never_waits(build("cc -std=c11", "epoll.c"));
}

TEST_F(Installed, TheAsioExampleAnswersOthersWhileItsDaemonIsBusy) {
  expect_a_loop_that_never_waits(build("c++ -std=c++20", "asio.cpp"));
}

TEST_F(Installed, TheCExampleBuildsAndJudgesTokens) {
  const fs::path program = build("cc -std=c11", "validate.c");
  const std::string good = scene.create_session(), bad = random_token();
  const Ran yes = run_program({program.string(), "sessions"}, "Bearer " + good + "\n", environment());
  EXPECT_EQ(yes.exit, 0) << yes.out << yes.err;
  EXPECT_EQ(yes.out, "200 subject alice\n");
  const Ran no = run_program({program.string(), "sessions"}, "Bearer " + bad + "\n", environment());
  EXPECT_EQ(no.exit, 1);
  EXPECT_EQ(no.out, "401 invalid_token (unknown)\n");
  ASSERT_EQ(scene.daemon.revoke(good).exit, 0);
  EXPECT_EQ(run_program({program.string(), "sessions"}, "Bearer " + good + "\n", environment()).out,
            "401 invalid_token (revoked)\n");
}

TEST_F(Installed, TheCppExampleBuildsAndJudgesTokens) {
  const fs::path program = build("c++ -std=c++17", "guard.cpp");
  const std::string reader = scene.create_session({"--scope", "read"}), other = scene.create_session();
  const Ran ran =
      run_program({program.string(), "sessions", "read"}, reader + "\n" + other + "\n", environment());
  EXPECT_EQ(ran.exit, 1) << ran.err;
  EXPECT_EQ(ran.out, "valid alice\nforbidden scope\n");
}

// The checks themselves are in dpop_test.cpp.
TEST_F(Installed, TheDpopExampleBuildsAndTellsABoundTokenFromAnother) {
  const fs::path program = build("c++ -std=c++17", "dpop.cpp");
  const std::string bearer = scene.issuer.es256();
  const std::string bound = scene.issuer.es256(scene.issuer.claims().set("cnf", R"({"jkt":")" + base64url(std::string(32, 'k')) + "\"}"));
  const std::string request = "GET https://api.example/ ";
  const Ran ran = run_program({program.string(), "api"}, request + bearer + " a.b.c\n" + request + bound + " a.b\n" + request + "x.y.z a.b.c\n",
                              environment());
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "401 invalid_token (bound to no key)\n401 invalid_dpop_proof (malformed)\n401 invalid_token (malformed)\n");
}

TEST_F(Installed, TheWebSocketExampleAnswersMessagesAndClosesWhatIsRevoked) {
  const fs::path program = build("c++ -std=c++20", "websocket.cpp");
  const authcache::shm::UniqueFd said = text_file("");
  const ChildProcess server({.argv = {program.string(), "0", "sessions"}, .environment = environment(), .stdout_fd = said.get()});
  ASSERT_TRUE(eventually([&] { return text_of(said).ends_with('\n'); }));
  const auto port = static_cast<std::uint16_t>(std::stoi(text_of(said).substr(std::string("listening on ").size())));

  const std::string silent_token = scene.create_session(), talking_token = scene.create_session();
  WebSocketPeer silent(port, silent_token), talking(port, talking_token), stranger(port, random_token());
  EXPECT_EQ(stranger.status(), 401);
  ASSERT_EQ(silent.status(), 101);
  ASSERT_EQ(talking.status(), 101);
  silent.say("hello");
  EXPECT_EQ(silent.hear(), "alice: hello");
  talking.say("hello");
  EXPECT_EQ(talking.hear(), "alice: hello");

  // Nobody sends anything: the watch ends it. The other goes on, through a flush as well, which makes it validate again.
  ASSERT_EQ(scene.daemon.revoke(silent_token).exit, 0);
  EXPECT_EQ(silent.hear(), "close 1008");
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  talking.say("still here");
  EXPECT_EQ(talking.hear(), "alice: still here");
  ASSERT_EQ(scene.daemon.revoke(talking_token).exit, 0);
  EXPECT_EQ(talking.hear(), "close 1008");
  EXPECT_EQ(WebSocketPeer(port, talking_token).status(), 401);
}

TEST_F(Installed, TheInstalledDaemonToolAndServiceFilesAreThere) {
  std::string all;
  for (const auto& each : fs::recursive_directory_iterator(root())) all += each.path().string() + "\n";
  for (const char* name : {"bin/authcached\n", "bin/authctl\n", "authcached.service\n", "authcached.toml\n",
                           "authcache/authcache.h\n", "authcache/authcache.hpp\n", "authcache/authorization.h\n"}) {
    EXPECT_TRUE(all.contains(name)) << name << all;
  }
}

}  // namespace
}  // namespace authcache_test
