// What the library does with the daemon's replies, right and wrong ones.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "tests/unit/libclient/fake_daemon.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::shm::Place;
using authcache::shm::Reason;
using authcache::shm::SlotState;
using authcache::shm::TableState;
using authcache::shm::Verdict;
using authcache::shm::wire::Head;
using authcache::shm::wire::ValidateReply;
namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;

constexpr int kTimeoutMs = 5000;  // far above what any of these takes
constexpr int kShortMs = 50;

std::string token_in(const std::string& payload) {
  return std::string(wire::decode_validate(payload)->token);
}

std::string reply_bytes(std::uint64_t request_id, const ValidateReply& reply) {
  std::string bytes;
  wire::append_validate_reply(bytes, request_id, reply);
  return bytes;
}

ValidateReply reply_for(const std::string& token, Verdict verdict, Reason reason = Reason::kNone) {
  ValidateReply reply;
  reply.digest = shm::token_digest(kMainId, token);
  reply.verdict = verdict;
  reply.reason = reason;
  return reply;
}

ValidateReply valid_at(const std::string& token, const Place& place) {
  ValidateReply reply = reply_for(token, Verdict::kValid);
  reply.newest_generation = place.generation;
  reply.place_count = 1;
  reply.places[0] = place;
  return reply;
}

class MissPath : public ::testing::Test {
 protected:
  // A daemon that proves every token.
  FakeDaemon::Script proves() {
    return [this](FakeConnection& connection, const Head& head, const std::string& payload) {
      const std::string token = token_in(payload);
      connection.send(reply_bytes(head.request_id, valid_at(token, admit(writer_, kMainId, token))));
    };
  }

  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  OpenClient client_{dir_.path()};
  authcache_requirement* requirement_ = client_.requirement();
};

TEST_F(MissPath, AProvenTokenIsValidByItsPlace) {
  FakeDaemon daemon(dir_.path(), proves());
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs, &identity), "valid");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SUBJECT), "alice");
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "valid");
  EXPECT_EQ(daemon.questions.load(), 1);
}

TEST_F(MissPath, TheRequirementIsEvaluatedOnAReplyToo) {
  FakeDaemon daemon(dir_.path(), proves());
  auto* strict = client_.requirement();
  authcache_requirement_add_scope(strict, "admin");
  EXPECT_EQ(validated(client_, "token", strict, kTimeoutMs), "forbidden/scope");
}

TEST_F(MissPath, AnInvalidReplyIsReturnedWithItsReason) {
  FakeDaemon daemon(
      dir_.path(), [](FakeConnection& connection, const Head& head, const std::string& payload) {
        connection.send(
            reply_bytes(head.request_id, reply_for(token_in(payload), Verdict::kInvalid, Reason::kUnknown)));
      });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "invalid/unknown");
}

TEST_F(MissPath, AnUnavailableReplyIsReturnedWithItsReason) {
  FakeDaemon daemon(dir_.path(), [](FakeConnection& connection, const Head& head, const std::string&) {
    ValidateReply reply;
    reply.reason = Reason::kOverBudget;
    connection.send(reply_bytes(head.request_id, reply));
  });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/over_budget");
}

TEST_F(MissPath, ConnectionsAreReused) {
  FakeDaemon daemon(dir_.path(), proves());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(validated(client_, "token-" + std::to_string(i), requirement_, kTimeoutMs), "valid");
  }
  EXPECT_EQ(daemon.connects.load(), 1);
  EXPECT_EQ(daemon.questions.load(), 10);
}

TEST_F(MissPath, ARestartedDaemonIsAskedOverAFreshConnection) {
  FakeDaemon daemon(dir_.path(), proves());
  ASSERT_EQ(validated(client_, "one", requirement_, kTimeoutMs), "valid");
  daemon.drop_connections();
  EXPECT_EQ(validated(client_, "two", requirement_, kTimeoutMs), "valid");
  EXPECT_EQ(daemon.connects.load(), 2);
}

TEST_F(MissPath, AFreshConnectionThatClosesIsNotTriedForEver) {
  FakeDaemon daemon(
      dir_.path(), [](FakeConnection& connection, const Head&, const std::string&) { connection.hang_up(); });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/daemon_unreachable");
  EXPECT_EQ(daemon.connects.load(), 1);
}

TEST_F(MissPath, NobodyListeningIsUnreachable) {
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/daemon_unreachable");
  EXPECT_NE(client_.last_error().find("authcached"), std::string::npos);
}

TEST_F(MissPath, SilenceIsATimeoutAndItsConnectionIsNotReused) {
  FakeDaemon daemon(dir_.path(), [](FakeConnection&, const Head&, const std::string&) {});
  EXPECT_EQ(validated(client_, "token", requirement_, kShortMs), "unavailable/timeout");
  EXPECT_EQ(validated(client_, "token", requirement_, kShortMs), "unavailable/timeout");
  EXPECT_EQ(daemon.connects.load(), 2);
  EXPECT_EQ(validated(client_, "token", requirement_, 0), "unavailable/timeout");
  EXPECT_EQ(validated(client_, "token", requirement_, -1), "usage_error");
}

TEST_F(MissPath, AnotherRequestIdIsNotBelieved) {
  FakeDaemon daemon(
      dir_.path(), [this](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        connection.send(reply_bytes(head.request_id + 1, valid_at(token, admit(writer_, kMainId, "other"))));
      });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/protocol");
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/protocol");
  EXPECT_EQ(daemon.connects.load(), 2);
}

TEST_F(MissPath, AnotherTokensDigestIsNotBelieved) {
  FakeDaemon daemon(dir_.path(), [this](FakeConnection& connection, const Head& head, const std::string&) {
    connection.send(reply_bytes(head.request_id, valid_at("other", admit(writer_, kMainId, "other"))));
  });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/protocol");
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/protocol");
  EXPECT_EQ(daemon.connects.load(), 2);
  EXPECT_EQ(daemon.questions.load(), 2);
}

TEST_F(MissPath, AnotherTokensPlaceIsNotBelieved) {
  FakeDaemon daemon(
      dir_.path(), [this](FakeConnection& connection, const Head& head, const std::string& payload) {
        connection.send(
            reply_bytes(head.request_id, valid_at(token_in(payload), admit(writer_, kMainId, "other"))));
      });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/overloaded");
}

TEST_F(MissPath, AValidReplyThatNamesADeadPlaceIsAskedAgainThreeTimesAtMost) {
  FakeDaemon daemon(dir_.path(),
                    [this](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      const Place place = admit(writer_, kMainId, token);
                      writer_.kill(shm::key_of(shm::token_digest(kMainId, token)), SlotState::kRevoked);
                      connection.send(reply_bytes(head.request_id, valid_at(token, place)));
                    });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/overloaded");
  EXPECT_EQ(daemon.questions.load(), 3);
}

TEST_F(MissPath, AValidReplyWithoutAPlaceOrOutOfTheTableIsNotValid) {
  int count = 0;
  FakeDaemon daemon(dir_.path(),
                    [&count](FakeConnection& connection, const Head& head, const std::string& payload) {
                      ValidateReply reply = reply_for(token_in(payload), Verdict::kValid);
                      if (count++ % 2 == 0) reply = valid_at(token_in(payload), {100, 1ull << 40, 1});
                      connection.send(reply_bytes(head.request_id, reply));
                    });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/overloaded");
}

TEST_F(MissPath, APlaceOfAnEarlierRecordInTheSameSlotIsAskedAgain) {
  FakeDaemon daemon(dir_.path(),
                    [this](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      const Place before = admit(writer_, kMainId, token);
                      const Place after = admit(writer_, kMainId, token);
                      EXPECT_EQ(before.slot, after.slot);
                      connection.send(reply_bytes(head.request_id, valid_at(token, before)));
                    });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/overloaded");
  EXPECT_EQ(daemon.questions.load(), 3);
}

TEST_F(MissPath, ARecordThatMovedOnceIsFoundAtTheSecondAnswer) {
  int count = 0;
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      const Place place = admit(writer_, kMainId, token);
                      if (count++ == 0)
                        writer_.kill(shm::key_of(shm::token_digest(kMainId, token)), SlotState::kEvicted);
                      connection.send(reply_bytes(head.request_id, valid_at(token, place)));
                    });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "valid");
  EXPECT_EQ(count, 2);
}

TEST_F(MissPath, AProfileReloadedDuringTheQuestionIsAskedAgain) {
  int count = 0;
  constexpr std::uint64_t kReloaded = 0x3333;
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      if (count++ == 0) {
                        const Place place = admit(writer_, kMainId, token);
                        writer_.set_profiles({{.name = "main", .id = kReloaded, .audience = {}}});
                        connection.send(reply_bytes(head.request_id, valid_at(token, place)));
                        return;
                      }
                      ValidateReply reply = valid_at(token, admit(writer_, kReloaded, token));
                      reply.digest = shm::token_digest(kReloaded, token);
                      connection.send(reply_bytes(head.request_id, reply));
                    });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "valid");
  EXPECT_EQ(count, 2);
}

TEST_F(MissPath, ANewerGenerationInAReplyIsAttached) {
  auto successor = make_table(dir_.path(), 101);
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        connection.send(reply_bytes(head.request_id, valid_at(token, admit(successor, kMainId, token))));
      });
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs, &identity), "valid");
  EXPECT_EQ(identity.generation, 101u);
}

TEST_F(MissPath, ANewerGenerationThatIsNotThereLeavesThePlaceInTheAttachedOne) {
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      const std::string token = token_in(payload);
                      ValidateReply reply = valid_at(token, admit(writer_, kMainId, token));
                      reply.newest_generation = 999;
                      connection.send(reply_bytes(head.request_id, reply));
                    });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "valid");
}

TEST(MissPathWithoutATable, TheFirstAnswerAttaches) {
  TempDir dir;
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  ASSERT_EQ(looked_up(client, "token", requirement), "unavailable/no_table");
  auto writer = make_table(dir.path(), 7);
  FakeDaemon daemon(
      dir.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        connection.send(reply_bytes(head.request_id, valid_at(token, admit(writer, kMainId, token))));
      });
  EXPECT_EQ(validated(client, "token", requirement, kTimeoutMs), "valid");
}

TEST(MissPathWithoutATable, AnAnswerWithoutATableIsNoAnswer) {
  TempDir dir;
  OpenClient client(dir.path());
  FakeDaemon daemon(dir.path(), [](FakeConnection& connection, const Head& head, const std::string& payload) {
    connection.send(reply_bytes(head.request_id, valid_at(token_in(payload), {7, 1, 1})));
  });
  EXPECT_EQ(validated(client, "token", client.requirement(), kTimeoutMs), "unavailable/no_table");
}

TEST_F(MissPath, HalfAFrameIsAProtocolError) {
  FakeDaemon daemon(dir_.path(), [this](FakeConnection& connection, const Head& head,
                                        const std::string& payload) {
    const std::string token = token_in(payload);
    const std::string bytes = reply_bytes(head.request_id, valid_at(token, admit(writer_, kMainId, "other")));
    connection.send(std::string_view(bytes).substr(0, bytes.size() - 5));
    connection.hang_up();
  });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/protocol");
}

TEST_F(MissPath, AFrameInPiecesIsPutTogether) {
  FakeDaemon daemon(dir_.path(), [this](FakeConnection& connection, const Head& head,
                                        const std::string& payload) {
    const std::string token = token_in(payload);
    const std::string bytes = reply_bytes(head.request_id, valid_at(token, admit(writer_, kMainId, token)));
    for (const char c : bytes) connection.send({&c, 1});
  });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "valid");
}

TEST_F(MissPath, FramesThatNoDaemonSendsEndTheConnection) {
  int kind = 0;
  FakeDaemon daemon(
      dir_.path(), [&](FakeConnection& connection, const Head& head, const std::string& payload) {
        std::string bytes = reply_bytes(head.request_id, reply_for(token_in(payload), Verdict::kInvalid));
        if (kind == 0) bytes[4] = 9;                       // version
        if (kind == 1) bytes[2] = 1;                       // 64 KiB and more
        if (kind == 2) bytes[6] = static_cast<char>(6);    // a text reply
        if (kind == 3) bytes[wire::kHeadBytes + 32] = 77;  // verdict
        if (kind == 4) bytes[wire::kHeadBytes + 34] = 3;   // more places than there is room for
        if (kind == 5) bytes[wire::kHeadBytes + 32] = 3;   // forbidden: never the daemon's to say
        connection.send(bytes);
      });
  for (kind = 0; kind < 6; ++kind) {
    EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/protocol") << kind;
  }
}

TEST_F(MissPath, AnErrorFrameIsShownInPrintableWords) {
  FakeDaemon daemon(dir_.path(), [](FakeConnection& connection, const Head& head, const std::string&) {
    std::string bytes;
    wire::append_frame(bytes, wire::Type::kError, head.request_id, "too many\x1b[31m connections");
    connection.send(bytes);
  });
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/protocol");
  EXPECT_NE(client_.last_error().find("too many?[31m connections"), std::string::npos);
}

TEST_F(MissPath, AConnectionThatItsDaemonEndedWithASentenceIsReplaced) {
  FakeDaemon daemon(
      dir_.path(), [this](FakeConnection& connection, const Head& head, const std::string& payload) {
        const std::string token = token_in(payload);
        std::string bytes = reply_bytes(head.request_id, valid_at(token, admit(writer_, kMainId, token)));
        wire::append_frame(bytes, wire::Type::kError, 0, "stopping");
        connection.send(bytes);
        connection.hang_up();
      });
  EXPECT_EQ(validated(client_, "one", requirement_, kTimeoutMs), "valid");
  EXPECT_EQ(validated(client_, "two", requirement_, kTimeoutMs), "valid");
  EXPECT_EQ(daemon.connects.load(), 2);
}

TEST_F(MissPath, UnexpectedDescriptorsAreClosed) {
  const shm::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto count = [] {
    std::size_t open = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++open;
    return open;
  };
  FakeDaemon daemon(dir_.path(), [&](FakeConnection& connection, const Head& head,
                                     const std::string& payload) {
    const std::string token = token_in(payload);
    connection.send_with_files(reply_bytes(head.request_id, valid_at(token, admit(writer_, kMainId, token))),
                               {null.get(), null.get(), null.get(), null.get(), null.get(), null.get()});
  });
  ASSERT_EQ(validated(client_, "one", requirement_, kTimeoutMs), "valid");
  const std::size_t before = count();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(validated(client_, "token-" + std::to_string(i), requirement_, kTimeoutMs), "valid");
  }
  EXPECT_EQ(count(), before);
}

TEST_F(MissPath, AReusedDescriptorNumberIsLeftAlone) {
  FakeDaemon daemon(dir_.path(), proves());
  const int next = ::dup(0);
  ::close(next);
  ASSERT_EQ(validated(client_, "one", requirement_, kTimeoutMs), "valid");
  // The application closes what it does not know, and opens something of its own under the same numbers.
  std::vector<int> stolen;
  for (int fd = next; fd < next + 8; ++fd) {
    struct stat inode;
    char peer[128];
    socklen_t size = sizeof peer;
    const bool client_side = ::fstat(fd, &inode) == 0 && S_ISSOCK(inode.st_mode) &&
                             ::getpeername(fd, reinterpret_cast<sockaddr*>(peer), &size) == 0 && size > 2;
    if (!client_side) continue;
    const int mine = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::dup2(mine, fd), fd);
    ::close(mine);
    stolen.push_back(fd);
  }
  ASSERT_EQ(stolen.size(), 1u);
  EXPECT_EQ(validated(client_, "two", requirement_, kTimeoutMs), "valid");
  EXPECT_NE(::fcntl(stolen[0], F_GETFD), -1);
  ::close(stolen[0]);
}

TEST_F(MissPath, AChildOpensItsOwnConnection) {
  FakeDaemon daemon(
      dir_.path(), [](FakeConnection& connection, const Head& head, const std::string& payload) {
        connection.send(
            reply_bytes(head.request_id, reply_for(token_in(payload), Verdict::kInvalid, Reason::kUnknown)));
      });
  ASSERT_EQ(validated(client_, "one", requirement_, kTimeoutMs), "invalid/unknown");
  ASSERT_EQ(daemon.connects.load(), 1);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(validated(client_, "two", requirement_, kTimeoutMs) == "invalid/unknown" ? 0 : 1);
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(daemon.connects.load(), 2);
  EXPECT_EQ(validated(client_, "three", requirement_, kTimeoutMs), "invalid/unknown");
  EXPECT_EQ(daemon.connects.load(), 2);
}

TEST_F(MissPath, ASocketOfAnUntrustedUserIsNotAsked) {
  if (::geteuid() != 0) GTEST_SKIP() << "serving as another user takes root";
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const std::string path = (dir_.path() / wire::kMissSocket).string();
  const shm::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // SO_PEERCRED shows who called listen.
    if (::setuid(4711) != 0 || ::listen(listener.get(), 4) != 0) ::_exit(1);
    (void)!::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(validated(client_, "token", requirement_, kTimeoutMs), "unavailable/daemon_unreachable");
  EXPECT_NE(client_.last_error().find("uid 4711"), std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

class Recency : public MissPath {
 protected:
  shm::UniqueFd file(std::uint64_t bytes, int seals) {
    shm::UniqueFd made(::memfd_create("recency", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::ftruncate(made.get(), static_cast<off_t>(bytes)), 0);
    EXPECT_EQ(::fcntl(made.get(), F_ADD_SEALS, seals), 0);
    return made;
  }
  FakeDaemon::Script hands_over(const shm::UniqueFd& memory, wire::HelloReply hello) {
    return [&memory, hello](FakeConnection& connection, const Head& head, const std::string&) {
      std::string bytes;
      wire::append_hello_reply(bytes, head.request_id, hello);
      connection.send_with_files(bytes, {memory.get()});
    };
  }
  static std::vector<std::uint8_t> contents(const shm::UniqueFd& memory, std::uint64_t bytes) {
    std::vector<std::uint8_t> out(bytes);
    EXPECT_EQ(::pread(memory.get(), out.data(), bytes, 0), static_cast<ssize_t>(bytes));
    return out;
  }
  // A first miss brings the bytes, a hit then marks its slot.
  std::size_t marks_after_a_hit(const shm::UniqueFd& memory, wire::HelloReply hello, std::uint64_t bytes) {
    FakeDaemon daemon(dir_.path(), proves(), hands_over(memory, hello));
    EXPECT_EQ(validated(client_, "one", requirement_, kTimeoutMs), "valid");
    EXPECT_EQ(validated(client_, "two", requirement_, kTimeoutMs), "valid");
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    EXPECT_EQ(looked_up(client_, "one", requirement_, &identity), "valid");
    std::size_t marks = 0;
    for (const std::uint8_t byte : contents(memory, bytes)) marks += byte;
    return marks;
  }
  const std::uint64_t slots_ = writer_.view().geometry.slots;
  static constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
};

TEST_F(Recency, AHitMarksItsSlot) {
  const auto memory = file(slots_, kSeals);
  EXPECT_EQ(marks_after_a_hit(memory, {100, slots_}, slots_), 2u);
}

TEST_F(Recency, BytesThatCouldShrinkAreNotMapped) {
  const auto memory = file(slots_, F_SEAL_GROW | F_SEAL_SEAL);
  EXPECT_EQ(marks_after_a_hit(memory, {100, slots_}, slots_), 0u);
}

TEST_F(Recency, BytesOfAnotherSizeOrGenerationAreNotMapped) {
  const auto few = file(slots_ - 1, kSeals);
  EXPECT_EQ(marks_after_a_hit(few, {100, slots_ - 1}, slots_ - 1), 0u);
}

TEST_F(Recency, BytesThatAreNotAsManyAsSaidAreNotMapped) {
  const auto memory = file(slots_, kSeals);
  EXPECT_EQ(marks_after_a_hit(memory, {100, slots_ + 1}, slots_), 0u);
}

TEST_F(Recency, BytesOfAnotherGenerationAreNotMapped) {
  const auto memory = file(slots_, kSeals);
  EXPECT_EQ(marks_after_a_hit(memory, {99, slots_}, slots_), 0u);
}

TEST(TextOnSocket, AnIdentityTooLargeForTheTableIsFetched) {
  TempDir dir;
  auto writer = make_table(dir.path(), 7, 64);
  OpenClient client(dir.path());
  auto* requirement = client.requirement();
  admit(writer, kMainId, "small");
  const Proven large{.claims = R"({"big":")" + std::string(300, 'x') + R"("})"};
  admit(writer, kMainId, "large", large);
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  ASSERT_EQ(looked_up(client, "large", requirement, &identity), "valid");
  EXPECT_EQ(text(client, identity, AUTHCACHE_FIELD_SUBJECT),
            "error " + std::to_string(AUTHCACHE_ERROR_UNAVAILABLE));
  bool gone = false;
  FakeDaemon daemon(dir.path(), [&](FakeConnection& connection, const Head& head,
                                    const std::string& payload) {
    const auto place = wire::decode_text_request(payload);
    EXPECT_TRUE(place && place->slot == identity.slot && place->sequence == identity.sequence);
    std::string bytes;
    wire::append_frame(bytes, wire::Type::kTextReply, head.request_id, gone ? std::string() : text_of(large));
    connection.send(bytes);
  });
  EXPECT_EQ(text(client, identity, AUTHCACHE_FIELD_SUBJECT), "alice");
  EXPECT_EQ(text(client, identity, AUTHCACHE_FIELD_CLAIMS), large.claims);
  gone = true;
  EXPECT_EQ(text(client, identity, AUTHCACHE_FIELD_SUBJECT), "error " + std::to_string(AUTHCACHE_ERROR_GONE));
}

}  // namespace
