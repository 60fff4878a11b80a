// D10, B13, B14, B20: the miss socket under many, greedy and broken peers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

namespace wire = authcache::shm::wire;
using std::chrono::milliseconds;
using wire::Type;

constexpr const char* kNoBudget = "misses_per_second_per_uid = 10_000_000\nmiss_burst_per_uid = 10_000_000\n";

std::filesystem::path miss_socket(const Scene& scene) {
  return scene.daemon.runtime_dir() / "authcached.sock";
}

TEST(Misses, B14_ThousandsAtOnceOfOneTokenAreOneQuestionToTheUpstream) {
  Scene scene;
  scene.start();
  const std::string token = scene.issuer.rs256();
  std::vector<RawConnection> connections;
  constexpr std::uint64_t kConnections = 200, kEach = 10;
  for (std::uint64_t i = 0; i < kConnections; ++i) connections.emplace_back(miss_socket(scene));
  std::string frames;
  for (std::uint64_t i = 0; i < kEach; ++i) frames += validate_frame(i, "api", token);
  const std::int64_t asked = scene.daemon.stat("daemon", "misses");
  // While the daemon stands still the questions gather, so that it finds them all at once.
  scene.daemon.suspend();
  for (const RawConnection& connection : connections) ASSERT_TRUE(connection.send(frames));
  scene.daemon.resume();
  for (RawConnection& connection : connections) {
    for (std::uint64_t i = 0; i < kEach; ++i) {
      const auto frame = connection.receive();
      ASSERT_TRUE(frame && frame->head.type == Type::kValidateReply);
      const auto reply = wire::decode_validate_reply(frame->payload);
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->verdict, authcache::shm::Verdict::kValid);
    }
  }
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), 1);
  EXPECT_EQ(scene.daemon.stat("daemon", "misses"), asked + static_cast<std::int64_t>(kConnections * kEach));
  EXPECT_GT(scene.daemon.stat("daemon", "coalesced"), 0);
}

TEST(Misses, B13_AUidBeyondItsBudgetIsToldSoAndAnotherIsServed) {
  if (::geteuid() != 0) GTEST_SKIP() << "a second user needs root";
  Scene scene({.limits = "misses_per_second_per_uid = 10\nmiss_burst_per_uid = 100\n"});
  scene.start();
  ReaderProcess greedy(scene.daemon.runtime_dir(), 12'345), modest(scene.daemon.runtime_dir(), 12'346);
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string answer = greedy.validate(session(random_token()));
    EXPECT_TRUE(answer == "invalid/unknown" || answer == "unavailable/over_budget") << answer;
    refused += answer == "unavailable/over_budget" ? 1 : 0;
  }
  EXPECT_GT(refused, 300);
  EXPECT_EQ(modest.validate(api(scene.issuer.es256())), "valid");
  EXPECT_EQ(greedy.lookup(session(scene.create_session())), "valid") << "hits cost no budget";
  EXPECT_GE(scene.daemon.stat("daemon", "over_budget"), refused);
  EXPECT_TRUE(eventually([&] { return greedy.validate(api(scene.issuer.es256())) == "valid"; }))
      << "the budget fills up again";
}

TEST(Misses, AnUnstructuredTokenCostsNoQuestion) {
  Scene scene;
  scene.start();
  ReaderProcess reader(scene.daemon.runtime_dir());
  for (const char* junk : {"a.b", "a.b.c.d.e", "....", "e30.e30.", "Bearer x"})
    EXPECT_EQ(reader.validate(api(junk)), "invalid/malformed") << junk;
  EXPECT_EQ(reader.validate(session("with blank")), "invalid/malformed");
  EXPECT_EQ(reader.validate(api(std::string(17'000, 'a'))), "invalid/too_long");
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), 0);
}

struct Broken {
  const char* what;
  std::string bytes;
  bool answered;  // by an error frame before the connection ends
};

std::vector<Broken> broken_frames() {
  const std::string good = validate_frame(7, "api", "a.b.c");
  std::string lying = good;
  lying[16 + 4] = '\xff';  // the profile name's length
  std::string control_text = R"({"verb":"revoke","token":"x"})";
  return {{"another version", raw_frame(0, 2, 1, 7, ""), true},
          {"version 0", raw_frame(0, 0, 1, 7, ""), true},
          {"a size beyond the limit", raw_frame(wire::kMissPayloadMax + 1, 1, 3, 7, ""), true},
          {"the greatest size there is", raw_frame(UINT32_MAX, 1, 3, 7, ""), true},
          {"an unknown type", raw_frame(0, 1, 99, 7, ""), true},
          {"a reply from a client", raw_frame(0, 1, 4, 7, ""), true},
          {"a control frame",
           raw_frame(static_cast<std::uint32_t>(control_text.size()), 1, 16, 7, control_text), true},
          {"an empty validate", raw_frame(0, 1, 3, 7, ""), true},
          {"a validate whose lengths lie", lying, true},
          {"an empty text request", raw_frame(0, 1, 5, 7, ""), true},
          {"a text request too long", raw_frame(25, 1, 5, 7, std::string(25, 'x')), true}};
}

TEST(MalformedFrames, EachIsAnsweredByASentenceAndTheDaemonServesOn) {
  Scene scene;
  scene.start();
  for (const Broken& each : broken_frames()) {
    RawConnection connection(miss_socket(scene));
    ASSERT_TRUE(connection.send(each.bytes)) << each.what;
    const auto frame = connection.receive();
    ASSERT_TRUE(frame) << each.what;
    EXPECT_EQ(frame->head.type, Type::kError) << each.what;
    EXPECT_EQ(frame->head.request_id, 7u) << each.what;
    EXPECT_FALSE(frame->payload.empty()) << each.what;
  }
  EXPECT_TRUE(scene.daemon.running());
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
}

// WIRE.md: error, "the connection ends after it"
TEST(MalformedFrames, TheConnectionEndsAfterTheSentence) {
  Scene scene;
  scene.start();
  for (const Broken& each : broken_frames()) {
    RawConnection connection(miss_socket(scene));
    ASSERT_TRUE(connection.send(each.bytes)) << each.what;
    EXPECT_TRUE(connection.is_closed(milliseconds(2'000))) << each.what;
  }
}

TEST(MalformedFrames, AControlSocketTakesNoMissesAndNoGarbage) {
  Scene scene;
  scene.start();
  const auto socket = scene.daemon.runtime_dir() / "control.sock";
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("{}"), std::string(R"({"verb":1})"),
        std::string(R"({"verb":"x"})"), std::string(R"({"verb":"revoke"})"),
        std::string(R"({"verb":"revoke","token":[]})"), std::string(100'000, '[')}) {
    RawConnection connection(socket);
    ASSERT_TRUE(connection.send(raw_frame(static_cast<std::uint32_t>(text.size()), 1, 16, 9, text)));
    const auto frame = connection.receive();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->head.type, Type::kControlReply);
    EXPECT_TRUE(frame->payload.contains("\"ok\":false")) << frame->payload;
  }
  RawConnection miss(socket);
  ASSERT_TRUE(miss.send(validate_frame(3, "api", scene.issuer.es256())));
  const auto frame = miss.receive();
  EXPECT_TRUE(!frame || frame->payload.contains("\"ok\":false"));
  EXPECT_EQ(scene.daemon.stat("daemon", "upstream_questions"), 0);
}

TEST(MalformedFrames, RandomBytesAndCutFramesNeverEndTheDaemon) {
  Scene scene({.limits = kNoBudget});
  scene.start();
  std::mt19937 random(20'240'607);
  const std::string good =
      validate_frame(5, "api", scene.issuer.es256()) + validate_frame(6, "sessions", random_token());
  for (int i = 0; i < 500; ++i) {
    RawConnection connection(miss_socket(scene));
    std::string bytes = good;
    for (int j = 0; j < 3; ++j) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    if (i % 5 == 0) std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
    connection.send(bytes);
    if (i % 7 == 0) (void)connection.receive(milliseconds(20));
  }
  EXPECT_TRUE(scene.daemon.running());
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_EQ(reader.validate(api(scene.issuer.es256())), "valid");
}

TEST(Connections, FramesMayComeByteByByteAndManyAtOnce) {
  Scene scene;
  scene.start();
  RawConnection connection(miss_socket(scene));
  for (const char byte : validate_frame(1, "api", scene.issuer.es256()))
    ASSERT_TRUE(connection.send({&byte, 1}));
  const auto frame = connection.receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->head.request_id, 1u);
  std::string many;
  for (std::uint64_t i = 100; i < 1'100; ++i) many += validate_frame(i, "sessions", "x");
  ASSERT_TRUE(connection.send(many));
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(connection.receive()) << i;
}

TEST(Connections, BeyondTheLimitNewOnesAreClosedAndOldOnesServed) {
  Scene scene({.limits = "connections = 10\n"});
  scene.start();
  std::vector<RawConnection> open;
  for (int i = 0; i < 10; ++i) {
    open.emplace_back(miss_socket(scene));
    ASSERT_TRUE(open.back().send(raw_frame(4, 1, 1, 1, std::string(4, '\0'))));
    ASSERT_TRUE(open.back().receive());
  }
  RawConnection beyond(miss_socket(scene));
  EXPECT_TRUE(beyond.is_closed());
  ASSERT_TRUE(open.front().send(validate_frame(2, "api", scene.issuer.es256())));
  EXPECT_TRUE(open.front().receive());
  EXPECT_EQ(scene.daemon.authctl({"stats"}).exit, 0) << "operators are not shut out";
  open.clear();
  ReaderProcess reader(scene.daemon.runtime_dir());
  EXPECT_TRUE(eventually([&] { return reader.validate(api(scene.issuer.es256())) == "valid"; }));
}

// The limit is 5 s, looked at once a second.
TEST(Connections, B20_AHalfFrameThatStopsIsClosedAndAnIdleConnectionIsNot) {
  Scene scene;
  scene.start();
  RawConnection slow(miss_socket(scene)), idle(miss_socket(scene));
  ASSERT_TRUE(slow.send(validate_frame(1, "api", scene.issuer.es256()).substr(0, 20)));
  EXPECT_TRUE(slow.is_closed(milliseconds(8'000)));
  ASSERT_TRUE(idle.send(validate_frame(2, "api", scene.issuer.es256())));
  EXPECT_TRUE(idle.receive());
}

}  // namespace
}  // namespace authcache_test
