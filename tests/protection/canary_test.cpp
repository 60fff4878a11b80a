// B16, B18, P5: one token goes every way that a token can go, and is then looked for everywhere that it must
// not be.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;
using authcache::shm::UniqueFd;

// A part long enough that nobody else has it, from where a token is secret.
std::string needle_of(const std::string& token) { return token.substr(token.size() - 30); }

std::size_t count_in(std::string_view text, std::string_view needle) {
  std::size_t count = 0;
  for (std::size_t at = text.find(needle); at != std::string_view::npos; at = text.find(needle, at + 1))
    ++count;
  return count;
}

// Names of the files below that hold it.
std::string files_with(const fs::path& directory, std::string_view needle) {
  std::string names;
  for (const auto& each : fs::recursive_directory_iterator(directory)) {
    if (each.is_regular_file() && read_file(each.path()).contains(needle))
      names += each.path().string() + " ";
  }
  return names;
}

// As root alone can: every byte that the process could read.
std::string memory_of(pid_t process) {
  const std::string proc = "/proc/" + std::to_string(process);
  const UniqueFd memory(::open((proc + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  std::istringstream maps(read_file(proc + "/maps"));
  std::string all;
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, rights) != 3 || rights[0] != 'r') continue;
    std::string bytes(to - from, '\0');
    const ssize_t got = ::pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(from));
    if (got > 0) all.append(bytes, 0, static_cast<std::size_t>(got));
  }
  return all;
}

class Canary : public ::testing::Test {
 protected:
  // Refreshed: the tokens of sessions are kept, sealed.
  Canary() : scene_({.log_level = "debug", .sessions = "refresh = \"on\"\n"}) {}

  void SetUp() override {
    scene_.start();
    jwt_ = scene_.issuer.es256();
    session_ = scene_.create_session();
    needles_ = {needle_of(jwt_), needle_of(session_), jwt_.substr(jwt_.find('.') + 1, 60)};
    send_every_way();
  }

  void send_every_way() {
    ReaderProcess reader(scene_.daemon.runtime_dir());
    for (const std::string& token : {jwt_, session_}) {
      for (const char* profile : {"api", "sessions", "twin", "none-of-that-name"}) {
        (void)reader.validate({profile, token});
        (void)reader.validate({profile, token + "x"});
        (void)reader.validate({profile, "x" + token});
        (void)reader.validate({profile, token + " " + token});
      }
      outputs_ += text(scene_.daemon.authctl({"validate", "--profile", "api"}, token));
      outputs_ += text(scene_.daemon.authctl({"inspect", "--profile", "sessions"}, token));
      outputs_ += text(scene_.daemon.authctl({"inspect", "--profile", "api", "--json"}, token));
      outputs_ += text(
          scene_.daemon.authctl({"revoke", "--token", token}));  // refused: it stands on the command line
      for (const std::string& request :
           {"{\"verb\":\"revoke\",\"token\":\"" + token, "{\"verb\":\"" + token + "\"}",
            "{\"" + token + "\":1}",
            "{\"verb\":\"record\",\"profile\":\"" + token + "\",\"token\":\"" + token + "\"}",
            "{\"verb\":\"session_list\",\"subject\":\"" + token + "\"}"}) {
        RawConnection connection(scene_.daemon.runtime_dir() / "control.sock");
        (void)connection.send(raw_frame(static_cast<std::uint32_t>(request.size()), 1, 16, 1, request));
        if (const auto reply = connection.receive()) outputs_ += reply->payload;
      }
      RawConnection broken(scene_.daemon.runtime_dir() / "authcached.sock");
      (void)broken.send(raw_frame(static_cast<std::uint32_t>(token.size()), 1, 3, 1, token));
      if (const auto reply = broken.receive()) outputs_ += reply->payload;
      outputs_ += text(scene_.daemon.revoke(token));
      (void)reader.validate({"api", token});
    }
    for (const char* verb : {"stats", "upstreams", "doctor", "revocations", "config"})
      outputs_ += text(scene_.daemon.authctl({verb}));
    (void)scene_.daemon.authctl({"reload"});
    outputs_ += text(scene_.daemon.authctl({"session", "list"}));
  }
  static std::string text(const Ran& ran) { return ran.out + ran.err; }

  Scene scene_;
  std::string jwt_, session_, outputs_;
  std::vector<std::string> needles_;
};

TEST_F(Canary, B18_NoLogAnswerArgumentOrEnvironmentHoldsAToken) {
  const std::string proc = "/proc/" + std::to_string(scene_.daemon.pid());
  for (const std::string& needle : needles_) {
    EXPECT_FALSE(scene_.daemon.log().contains(needle));
    EXPECT_EQ(count_in(outputs_, needle), 0u) << outputs_;
    EXPECT_FALSE(read_file(proc + "/cmdline").contains(needle));
    EXPECT_FALSE(read_file(proc + "/environ").contains(needle));
    EXPECT_FALSE(read_file(proc + "/task/" + std::to_string(scene_.daemon.pid()) + "/comm").contains(needle));
  }
  EXPECT_GT(scene_.daemon.log().size(), 1'000u) << "at debug level it has something to say";
}

TEST_F(Canary, B16_NoTableAndNoDatabaseHoldsAToken) {
  ASSERT_FALSE(files_with(scene_.daemon.runtime_dir(), "alice").empty()) << "the search finds what is there";
  ASSERT_FALSE(files_with(scene_.daemon.state_dir(), "alice").empty());
  for (const std::string& needle : needles_) {
    EXPECT_EQ(files_with(scene_.daemon.runtime_dir(), needle), "");
    EXPECT_EQ(files_with(scene_.daemon.state_dir(), needle), "");
    EXPECT_EQ(files_with(scene_.daemon.scratch(""), needle), "");
  }
}

// authctl in the middle of a revocation: what others see of it.
TEST_F(Canary, B18_AuthctlShowsNoTokenWhileItRuns) {
  const std::string token = scene_.create_session();
  scene_.daemon.suspend();
  PendingRevoke pending(scene_.daemon.runtime_dir(), token);
  const std::string proc = "/proc/" + std::to_string(pending.process().pid());
  ASSERT_TRUE(eventually([&] { return read_file(proc + "/cmdline").contains("revoke"); }));
  EXPECT_FALSE(read_file(proc + "/cmdline").contains(needle_of(token)));
  EXPECT_FALSE(read_file(proc + "/environ").contains(needle_of(token)));
  scene_.daemon.resume();
  EXPECT_TRUE(pending.process().wait());
}

// What the cases above look for was there: without a token kept for its refresh, their silence would say nothing of
// how one is kept.
TEST_F(Canary, B16_ATokenKeptForItsRefreshIsInNoFileAndGoesWithItsRecord) {
  const std::string token = scene_.create_session();
  ASSERT_EQ(scene_.daemon.authctl({"flush"}).exit, 0);  // so that the daemon is asked, and has the token
  const auto kept = [&] { return scene_.daemon.stat("refresh", "sealed_tokens"); };
  ASSERT_TRUE(eventually([&] { return kept() == 0; }));
  ReaderProcess reader(scene_.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(session(token)), "valid");
  ASSERT_EQ(kept(), 1);
  EXPECT_EQ(files_with(scene_.daemon.runtime_dir(), needle_of(token)), "");
  EXPECT_EQ(files_with(scene_.daemon.state_dir(), needle_of(token)), "");
  EXPECT_FALSE(scene_.daemon.log().contains(needle_of(token)));
  ASSERT_EQ(scene_.daemon.revoke(token).exit, 0);
  EXPECT_TRUE(eventually([&] { return kept() == 0; })) << "nobody will ask about it again";
}

// Not promised: freed memory is wiped where tokens stood by design (input, flights, batches), and a copy that
// a library made and freed can stay until something else takes its place. The bound shows that nothing keeps
// tokens.
TEST_F(Canary, B16_TheDaemonsMemoryKeepsNoTokens) {
  AUTHCACHE_NEEDS_ROOT();
  constexpr std::size_t kMany = 40;
  std::vector<std::string> tokens;
  ReaderProcess reader(scene_.daemon.runtime_dir());
  for (std::size_t i = 0; i < kMany; ++i) {
    tokens.push_back(scene_.issuer.es256());
    EXPECT_EQ(reader.validate(api(tokens.back())), "valid");
    tokens.push_back(scene_.create_session());
    EXPECT_EQ(reader.lookup(session(tokens.back())), "valid");
    const std::string unknown_to_the_table = scene_.create_session();
    ASSERT_EQ(scene_.daemon.authctl({"flush"}).exit, 0);
    EXPECT_EQ(reader.validate(session(unknown_to_the_table)), "valid");  // asked about, so sealed
    tokens.push_back(unknown_to_the_table);
  }
  // The reader's last question was answered, and so its token is kept; each flush let go of those before it.
  ASSERT_GT(scene_.daemon.stat("refresh", "sealed_tokens"), 0) << "no token is kept, so none could be found";
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const std::string memory = memory_of(scene_.daemon.pid());
  ASSERT_TRUE(memory.contains("authcached.toml")) << "the search finds what is there";
  const auto left = [&](const std::string& token) { return memory.contains(needle_of(token)); };
  const auto found = std::ranges::count_if(tokens, left);
  std::cout << "of " << tokens.size() << " tokens, traces of " << found << " are left in freed memory\n";
  EXPECT_LE(found, 10);
}

}  // namespace
}  // namespace authcache_test
