// Sessions that end when they are not used, while hits in another process touch no database.
#include <gtest/gtest.h>

#include <thread>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

constexpr auto kIdle = seconds(5);
constexpr auto kPause = milliseconds(100);

Settings sliding(const std::string& idle_timeout = "5s") {
  Settings settings;
  settings.sessions = "idle_timeout = \"" + idle_timeout + "\"\n";
  return settings;
}

struct Made {
  std::string token, sid;
};

Made make(const Scene& scene, const std::string& subject) {
  const auto made = scene.daemon.authctl({"session", "create", "--subject", subject, "--json"}).json();
  const auto& session = made.at("sessions").as_array().at(0);
  return {std::string(session.at("token").as_string()), std::string(session.at("sid").as_string())};
}

std::int64_t last_seen(const Scene& scene, const std::string& subject) {
  const auto list = scene.daemon.authctl({"session", "list", "--subject", subject, "--json"}).json();
  return list.at("sessions").as_array().at(0).at("last_seen_wall_ns").to_number<std::int64_t>();
}

// A service: a lookup, and a question where there is no record. Remembers the longest that it did not come
// round to it, for a machine so busy that the session was idle in truth.
class Service {
 public:
  explicit Service(ReaderProcess& reader, const std::string& token)
      : reader_(reader), question_(session(token)) {}
  std::string use() {
    const auto now = Steady::now();
    longest_ = std::max(longest_, now - last_);
    last_ = now;
    if (reader_.lookup(question_) == "valid") {
      ++hits;
      return "valid";
    }
    ++misses;
    return reader_.validate(question_);
  }
  [[nodiscard]] bool was_idle() const { return longest_ > kIdle / 2; }
  int hits = 0, misses = 0;

 private:
  ReaderProcess& reader_;
  Question question_;
  Steady::time_point last_ = Steady::now();
  Steady::duration longest_{};
};

TEST(Sliding, ASessionUsedByHitsAloneLivesOnAndAnUnusedOneEnds) {
  Scene scene(sliding());
  scene.start();
  const Made used = make(scene, "used"), unused = make(scene, "unused");
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(session(random_token())), "invalid/unknown") << "brings the hints";
  Service service(reader, used.token);
  const auto begun = Steady::now();
  // Longer than the timeout: had no use been heard of, the session had ended by then.
  while (Steady::now() - begun < kIdle * 3 / 2) {
    const std::string verdict = service.use();
    if (verdict != "valid" && service.was_idle())
      GTEST_SKIP() << "this machine was too busy to use the session in time";
    ASSERT_EQ(verdict, "valid");
    std::this_thread::sleep_for(kPause);
  }
  EXPECT_GT(service.hits, 10 * service.misses);
  EXPECT_EQ(reader.validate(session(unused.token)), "invalid/expired");
  EXPECT_GT(scene.daemon.stat("sliding", "extended"), 0);
  EXPECT_GT(last_seen(scene, "used"), last_seen(scene, "unused"));
}

TEST(Sliding, WhatWasWrittenOutlivesAKill) {
  Scene scene(sliding("10s"));
  scene.start();
  const Made used = make(scene, "used");
  ReaderProcess reader(scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(session(random_token())), "invalid/unknown") << "brings the hints";
  const std::int64_t made = last_seen(scene, "used");
  Service service(reader, used.token);
  ASSERT_TRUE(eventually([&] {
    (void)service.use();
    return last_seen(scene, "used") > made;
  }));
  const std::int64_t seen = last_seen(scene, "used");
  scene.daemon.kill();
  scene.start(DaemonProcess::First::kNo);
  EXPECT_GE(last_seen(scene, "used"), seen);
}

TEST(Sliding, AReloadThatShortensTheTimeoutIsObeyedAtOnce) {
  Scene scene(sliding("1h"));
  scene.start();
  const Made session_made = make(scene, "carol");
  ReaderProcess reader(scene.daemon.runtime_dir());
  const Question question = session(session_made.token);
  ASSERT_EQ(reader.lookup(question), "valid");
  std::this_thread::sleep_for(seconds(5));
  scene.settings = sliding("5s");
  scene.configure();
  ASSERT_EQ(scene.daemon.authctl({"reload"}).exit, 0);
  EXPECT_NE(reader.lookup(question), "valid");
  EXPECT_EQ(reader.validate(question), "invalid/expired");
}

}  // namespace
}  // namespace authcache_test
