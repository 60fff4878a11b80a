// authctl end to end: what each verb says of a live daemon, of a dead one, and with which exit status.
#include <gtest/gtest.h>

#include <boost/json/array.hpp>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

constexpr int kYes = 0, kNo = 1, kUsage = 2, kUnreachable = 3;

TEST(Commands, EachVerbThatOnlyLooksAnswersYesAlsoAsJson) {
  Scene scene;
  scene.start();
  (void)scene.create_session();
  const std::vector<std::vector<std::string>> lines = {
      {"stats"}, {"keys"}, {"upstreams"}, {"config", "show"}, {"revocations", "list"}, {"session", "list"}};
  for (std::vector<std::string> line : lines) {
    const Ran plain = scene.daemon.authctl(line);
    EXPECT_EQ(plain.exit, kYes) << line[0] << plain.err;
    EXPECT_FALSE(plain.out.empty()) << line[0];
    line.emplace_back("--json");
    const Ran json = scene.daemon.authctl(line);
    EXPECT_EQ(json.exit, kYes) << line[0];
    EXPECT_TRUE(json.json().contains("ok")) << line[0];
  }
}

TEST(Commands, WithoutADaemonEachSaysThatItIsUnreachable) {
  Scene scene;
  scene.start();
  ASSERT_EQ(scene.daemon.stop(), 0);
  const std::vector<std::vector<std::string>> lines = {{"stats"},
                                                       {"keys"},
                                                       {"upstreams"},
                                                       {"config", "show"},
                                                       {"session", "list"},
                                                       {"reload"},
                                                       {"revocations", "list"},
                                                       {"flush"},
                                                       {"doctor"},
                                                       {"log-level", "info"}};
  for (const std::vector<std::string>& line : lines) {
    const Ran ran = scene.daemon.authctl(line);
    EXPECT_EQ(ran.exit, kUnreachable) << line[0] << ": " << ran.out << ran.err;
    EXPECT_FALSE((ran.out + ran.err).empty()) << line[0];
  }
  EXPECT_EQ(scene.daemon.revoke(random_token()).exit, kUnreachable);
}

TEST(Commands, ValidateAnswersAsAnApplicationWouldBeTold) {
  Scene scene;
  scene.start();
  const std::string good = scene.create_session({"--scope", "read"});
  EXPECT_EQ(scene.daemon.authctl({"validate", "--profile", "sessions"}, good).exit, kYes);
  EXPECT_EQ(scene.daemon.authctl({"validate", "--profile", "sessions", "--scope", "write"}, good).exit, kNo);
  EXPECT_EQ(scene.daemon.authctl({"validate", "--profile", "sessions"}, random_token()).exit, kNo);
  EXPECT_EQ(scene.daemon.authctl({"validate", "--profile", "sessions"}).exit, kUsage);
  const auto answer = scene.daemon.authctl({"validate", "--profile", "sessions", "--json"}, good).json();
  EXPECT_EQ(answer.at("tokens").as_array().at(0).at("from").as_string(), "memory");
}

TEST(Commands, InspectShowsARecordAndAFileAlsoOfADeadDaemon) {
  Scene scene;
  scene.start();
  const std::string token = scene.create_session();
  const Ran record = scene.daemon.authctl({"inspect", "--profile", "sessions", "--json"}, token);
  ASSERT_EQ(record.exit, kYes) << record.err;
  EXPECT_EQ(record.json().at("verdict").as_string(), "valid");
  EXPECT_TRUE(record.out.contains("alice"));
  EXPECT_EQ(scene.daemon.authctl({"inspect", "--profile", "sessions"}, random_token()).exit, kNo);
  const std::vector<std::string> file{"inspect", "--file", scene.daemon.table().string(), "--all"};
  EXPECT_EQ(scene.daemon.authctl(file).exit, kYes);
  scene.daemon.kill();
  const Ran dead = scene.daemon.authctl(file);
  EXPECT_EQ(dead.exit, kYes) << dead.err;
  EXPECT_TRUE(dead.out.contains("alice")) << dead.out;
  EXPECT_FALSE(dead.out.contains(token));
}

TEST(Commands, DoctorFindsAWorkingDaemonWorkingAndADeadOneDead) {
  Scene scene;
  scene.start();
  const Ran well = scene.daemon.authctl({"doctor"});
  EXPECT_EQ(well.exit, kYes) << well.out << well.err;
  scene.daemon.kill();
  const Ran dead = scene.daemon.authctl({"doctor"});
  EXPECT_EQ(dead.exit, kUnreachable) << dead.out;
}

// D7: "doctor says so"
TEST(Commands, DoctorTellsThatTheStateDatabaseWasLost) {
  Scene scene;
  scene.start();
  (void)scene.create_session();
  ASSERT_EQ(scene.daemon.stop(), 0);
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(scene.state_db().string() + suffix);
  scene.start();
  const Ran doctor = scene.daemon.authctl({"doctor"});
  EXPECT_TRUE(doctor.out.contains("state database")) << doctor.out;
  EXPECT_NE(doctor.exit, kYes) << doctor.out;
}

TEST(Commands, CompletionIsPrintedForEachShellWithoutADaemon) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Ran ran = run_program({authctl_program(), "completion", shell});
    EXPECT_EQ(ran.exit, kYes);
    EXPECT_TRUE(ran.out.contains("revoke"));
  }
  EXPECT_EQ(run_program({authctl_program(), "completion", "csh"}).exit, kUsage);
}

TEST(Commands, WhatCannotBeMeantIsAUsageError) {
  Scene scene;
  scene.start();
  EXPECT_EQ(scene.daemon.authctl({"nonsense"}).exit, kUsage);
  EXPECT_EQ(scene.daemon.authctl({"revoke"}).exit, kUsage);
  EXPECT_EQ(scene.daemon.authctl({"revoke", "--token"}, "").exit, kUsage);
  EXPECT_EQ(scene.daemon.authctl({"session", "create"}).exit, kUsage);
}

TEST(Commands, TheDaemonJudgesAConfigurationWithoutStarting) {
  Scene scene;
  const std::string file = scene.daemon.config_file().string();
  const Ran good = run_program({authcached_program(), "--config", file, "--check"});
  EXPECT_EQ(good.exit, 0) << good.err;
  scene.settings.capacity = 1;
  scene.configure();
  const Ran bad = run_program({authcached_program(), "--config", file, "--check"});
  EXPECT_EQ(bad.exit, 2);
  EXPECT_TRUE(bad.err.contains("capacity")) << bad.err;
}

// Each is wrong where nobody has to be asked.
TEST(Commands, TheDaemonNamesAWrongUrlAuthoritySecretOrKeyOfAnUpstreamWithoutStarting) {
  Scene scene;
  const auto file = [&](const std::string& name, const std::string& text, std::filesystem::perms mode) {
    const auto path = scene.daemon.scratch(name);
    write_file(path, text);
    std::filesystem::permissions(path, mode);
    return "\"" + path.string() + "\"\n";
  };
  using std::filesystem::perms;
  constexpr perms kGuarded = perms::owner_read,
                  kOpen = perms::owner_read | perms::group_read | perms::others_read;
  const std::string secret = file("secret", "correct-horse", kGuarded),
                    open = file("open", "correct-horse", kOpen);
  const std::string empty = file("empty", "", kGuarded),
                    junk = file("junk", "no certificate and no key", kGuarded);
  const std::string https = "introspection_url = \"https://idp.example/introspect\"\n";
  const std::string by_secret = "client_secret_file = " + secret;
  const std::string by_key = "issuer = \"https://idp.example\"\nclient_auth = \"private_key_jwt\"\nclient_key_file = ";
  struct Case {
    std::string lines, named, hint;
  };
  const Case cases[] = {
      {"introspection_url = \"http://idp.example/introspect\"\n" + by_secret, "introspection_url", "https"},
      {"introspection_url = \"https://\"\n" + by_secret, "introspection_url", "https"},
      {https + by_secret + "ca_file = " + junk, "ca_file", "certificate"},
      {https + by_secret + "ca_file = \"/nonexistent.pem\"\n", "ca_file", "No such file"},
      {https, "client_secret_file", "client_secret_file"},
      {https + "client_secret_file = \"/nonexistent\"\n", "client_secret_file", "No such file"},
      {https + "client_secret_file = " + open, "client_secret_file", "read by everyone"},
      {https + "client_secret_file = " + empty, "client_secret_file", "empty"},
      {https + by_key + junk, "client_key_file", "private key"},
      {https + by_key + open, "client_key_file", "read by everyone"},
  };
  const auto judged = [&](const std::string& lines) {
    scene.settings.more =
        "\n[profile.far]\nupstream = \"introspection\"\naudience = [\"a\"]\nclient_id = \"rs\"\n" + lines;
    scene.configure();
    return run_program({authcached_program(), "--config", scene.daemon.config_file().string(), "--check"});
  };
  const Ran good = judged(https + by_secret);
  ASSERT_EQ(good.exit, 0) << good.err;
  for (const Case& each : cases) {
    const Ran bad = judged(each.lines);
    EXPECT_EQ(bad.exit, 2) << each.lines;
    EXPECT_TRUE(bad.err.contains(each.named)) << each.lines << bad.err;
    EXPECT_TRUE(bad.err.contains(each.hint)) << each.lines << bad.err;
    EXPECT_FALSE(bad.err.contains("correct-horse")) << each.lines;
  }
}

TEST(Commands, RevocationsListsWhatWasRevokedWithoutTheToken) {
  Scene scene;
  scene.start();
  const std::string token = scene.issuer.es256();
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  const Ran list = scene.daemon.authctl({"revocations", "list", "--json"});
  const auto document = list.json();
  EXPECT_EQ(document.at("rules").as_array().size(), 2u) << "the token and its signing input";
  EXPECT_FALSE(list.out.contains(token));
}

// D15, B18
TEST(Secrets, B18_NoTokenStandsInTheLogAtDebugLevelNorInAnyFileOfTheDaemon) {
  Scene scene({.log_level = "debug"});
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  const std::string jwt = scene.issuer.es256(),
                    refused = scene.issuer.es256(scene.issuer.claims().number("exp", now_seconds() - 900));
  const std::string own = scene.create_session(), unknown = random_token();
  (void)reader.validate(api(jwt));
  (void)reader.validate(api(refused));
  (void)reader.validate(api(jwt + "x"));
  (void)reader.validate(session(unknown));
  (void)reader.validate({.profile = "nobody", .token = jwt});
  (void)scene.daemon.authctl({"validate", "--profile", "sessions"}, own);
  (void)scene.daemon.authctl({"inspect", "--profile", "sessions"}, own);
  ASSERT_EQ(scene.daemon.revoke(jwt).exit, 0);
  ASSERT_EQ(scene.daemon.revoke(own).exit, 0);
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  ASSERT_EQ(scene.daemon.stop(), 0);
  std::vector<std::filesystem::path> files{scene.daemon.scratch("log")};
  for (const auto& dir : {scene.daemon.runtime_dir(), scene.daemon.state_dir()}) {
    for (const auto& each : std::filesystem::directory_iterator(dir)) {
      if (each.is_regular_file()) files.push_back(each.path());
    }
  }
  ASSERT_GE(files.size(), 4u);
  for (const auto& file : files) {
    const std::string text = read_file(file);
    for (const std::string& token : {jwt, refused, own, unknown}) {
      EXPECT_FALSE(text.contains(token)) << file;
      // The signature alone would be as telling, and so would the half of a session.
      EXPECT_FALSE(text.contains(token.substr(token.size() - 20))) << file;
    }
  }
}

}  // namespace
}  // namespace authcache_test
