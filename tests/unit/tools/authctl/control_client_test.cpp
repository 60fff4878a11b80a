#include "tools/authctl/control_client.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/tools/authctl/fake_control_server.hpp"

namespace authctl {
namespace {

namespace wire = authcache::shm::wire;
using testing::FakeControlServer;

constexpr auto kPatient = std::chrono::seconds(20);         // never reached
constexpr auto kImpatient = std::chrono::milliseconds(50);  // always reached

Outcome<std::string> exchange_with(FakeControlServer::Serve serve,
                                   std::chrono::nanoseconds timeout = kPatient) {
  const FakeControlServer server(std::move(serve));
  auto client = ControlClient::connect(server.directory(), timeout);
  if (!client) return std::unexpected(client.error());
  return client->exchange(R"({"verb":"stats"})");
}

void expect_cannot_tell(const Outcome<std::string>& reply, std::string_view words) {
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().exit, Exit::kCannotTell);
  EXPECT_NE(reply.error().sentence.find(words), std::string::npos) << reply.error().sentence;
  EXPECT_NE(reply.error().sentence.find("not known"), std::string::npos) << reply.error().sentence;
}

TEST(ControlClient, ReturnsTheAnswerToItsRequest) {
  const auto reply =
      exchange_with(testing::answering([](const std::string& asked) { return "to " + asked; }));
  ASSERT_TRUE(reply) << reply.error().sentence;
  EXPECT_EQ(*reply, R"(to {"verb":"stats"})");
}

TEST(ControlClient, SendsOneControlFrameWithAFreshIdEachTime) {
  std::vector<std::uint64_t> ids;
  {
    const FakeControlServer server([&](int connection) {
      for (int i = 0; i < 2; ++i) {
        const auto asked = testing::read_request(connection);
        ids.push_back(asked.id);
        testing::send_bytes(connection, testing::reply_frame(asked.id, asked.text));
      }
    });
    auto client = ControlClient::connect(server.directory(), kPatient);
    ASSERT_TRUE(client);
    EXPECT_TRUE(client->exchange("1"));
    EXPECT_TRUE(client->exchange("2"));
  }
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_NE(ids[0], ids[1]);
}

TEST(ControlClient, AnAnswerInPiecesIsPutTogether) {
  const auto reply = exchange_with([](int connection) {
    const auto asked = testing::read_request(connection);
    for (const char byte : testing::reply_frame(asked.id, "whole"))
      testing::send_bytes(connection, std::string(1, byte));
    testing::wait_for_close(connection);
  });
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, "whole");
}

TEST(ControlClient, HalfAFrameIsNoAnswer) {
  const auto reply = exchange_with([](int connection) {
    const auto asked = testing::read_request(connection);
    std::string frame = testing::reply_frame(asked.id, R"({"ok":true})");
    frame.resize(frame.size() - 1);
    testing::send_bytes(connection, frame);
  });
  expect_cannot_tell(reply, "closed the connection");
}

TEST(ControlClient, AnAnswerOverTheLimitIsRefusedByItsHeadAlone) {
  const auto reply = exchange_with([](int connection) {
    const auto asked = testing::read_request(connection);
    std::string head = testing::reply_frame(asked.id, "");
    const std::uint32_t size = wire::kControlReplyMax + 1;
    std::memcpy(head.data(), &size, sizeof size);
    testing::send_bytes(connection, head);
    testing::wait_for_close(connection);  // were the payload waited for, this would end in a timeout
  });
  expect_cannot_tell(reply, "over the limit");
}

TEST(ControlClient, AnAnswerToAnotherRequestIsNotTaken) {
  const auto reply = exchange_with([](int connection) {
    const auto asked = testing::read_request(connection);
    testing::send_bytes(connection, testing::reply_frame(asked.id + 1, R"({"ok":true})"));
  });
  expect_cannot_tell(reply, "belongs to no request");
}

TEST(ControlClient, AnotherFrameTypeIsNotTakenForAnAnswer) {
  const auto reply = exchange_with([](int connection) {
    const auto asked = testing::read_request(connection);
    testing::send_bytes(connection, testing::reply_frame(asked.id, R"({"ok":true})", wire::Type::kTextReply));
  });
  expect_cannot_tell(reply, "belongs to no request");
}

TEST(ControlClient, AnotherProtocolVersionIsNamed) {
  const auto reply = exchange_with([](int connection) {
    const auto asked = testing::read_request(connection);
    std::string frame = testing::reply_frame(asked.id, R"({"ok":true})");
    frame[4] = 9;
    testing::send_bytes(connection, frame);
  });
  expect_cannot_tell(reply, "version 9");
}

TEST(ControlClient, SilenceEndsAtTheDeadline) {
  expect_cannot_tell(exchange_with(testing::wait_for_close, kImpatient), "did not answer within 50ms");
}

TEST(ControlClient, SilenceInTheMiddleOfAFrameEndsAtTheDeadlineToo) {
  const auto reply = exchange_with(
      [](int connection) {
        const auto asked = testing::read_request(connection);
        testing::send_bytes(connection, testing::reply_frame(asked.id, "12345678").substr(0, 20));
        testing::wait_for_close(connection);
      },
      kImpatient);
  expect_cannot_tell(reply, "did not answer");
}

TEST(ControlClient, AnErrorFrameIsTheDaemonsOwnSentenceMadeHarmless) {
  const auto reply = exchange_with([](int connection) {
    const auto asked = testing::read_request(connection);
    testing::send_bytes(connection, testing::reply_frame(asked.id, "bad \x1b[2Jframe", wire::Type::kError));
  });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().exit, Exit::kFailed);
  EXPECT_EQ(reply.error().sentence, "the daemon refused: bad \\u{1b}[2Jframe");
}

TEST(ControlClient, NothingIsAskedOnAConnectionThatFailed) {
  const FakeControlServer server([](int connection) { testing::read_request(connection); });
  auto client = ControlClient::connect(server.directory(), kPatient);
  ASSERT_TRUE(client);
  EXPECT_EQ(client->exchange("1").error().exit, Exit::kCannotTell);
  EXPECT_EQ(client->exchange("2").error().exit, Exit::kUnreachable);
}

TEST(ControlClient, ARequestOverTheLimitIsNotSent) {
  const FakeControlServer server(testing::wait_for_close);
  auto client = ControlClient::connect(server.directory(), kPatient);
  ASSERT_TRUE(client);
  EXPECT_EQ(client->exchange(std::string(wire::kControlRequestMax + 1, 'x')).error().exit, Exit::kUsage);
}

TEST(ControlClient, AMissingDirectoryMeansUnreachable) {
  const auto client = ControlClient::connect("/tmp/authctl-no-such-directory", kPatient);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().exit, Exit::kUnreachable);
}

TEST(ControlClient, ADirectoryThatOthersMayWriteIsNotTrusted) {
  const FakeControlServer server(testing::wait_for_close);
  ::chmod(server.directory().c_str(), 0770);
  const auto client = ControlClient::connect(server.directory(), kPatient);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().exit, Exit::kFailed);
  EXPECT_NE(client.error().sentence.find("writable by others"), std::string::npos);
}

TEST(ControlClient, AnAbandonedSocketSaysThatNobodyListens) {
  const FakeControlServer server(testing::wait_for_close);
  const auto socket = server.directory() / wire::kControlSocket;
  std::filesystem::remove(socket);
  const authcache::shm::UniqueFd abandoned(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(abandoned.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const auto client = ControlClient::connect(server.directory(), kPatient);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().exit, Exit::kUnreachable);
  EXPECT_NE(client.error().sentence.find("nobody listens"), std::string::npos) << client.error().sentence;
}

TEST(ControlClient, ConnectFailuresNameTheRemedy) {
  EXPECT_NE(connect_failure("/r/control.sock", ENOENT).sentence.find("start authcached"), std::string::npos);
  EXPECT_NE(connect_failure("/r/control.sock", EACCES).sentence.find("admin group"), std::string::npos);
  for (const int error : {ENOENT, ECONNREFUSED, EACCES, EIO}) {
    EXPECT_EQ(connect_failure("/r/control.sock", error).exit, Exit::kUnreachable);
  }
}

TEST(ControlClient, APeerThatIsNobodyWeTrustIsSentNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can serve a socket as another user";
  constexpr uid_t kForeigner = 4242;
  FakeControlServer server(testing::wait_for_close);
  server.serve_as(kForeigner);
  const auto refused = ControlClient::connect(server.directory(), kPatient);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit, Exit::kFailed);
  EXPECT_NE(refused.error().sentence.find("served by uid 4242"), std::string::npos)
      << refused.error().sentence;
  EXPECT_NE(refused.error().sentence.find("nothing was sent"), std::string::npos);
}

TEST(ControlClient, OnlyRootThisUserAndTheDirectorysOwnerAreTrusted) {
  EXPECT_TRUE(trusted_peer(0, 1000, 990));
  EXPECT_TRUE(trusted_peer(1000, 1000, 990));
  EXPECT_TRUE(trusted_peer(990, 1000, 990));
  EXPECT_FALSE(trusted_peer(1001, 1000, 990));
  // What a foreign user namespace shows, for the peer and for the owner alike.
  EXPECT_FALSE(trusted_peer(65534, 1000, 65534));
}

}  // namespace
}  // namespace authctl
