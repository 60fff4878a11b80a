// The C++ header over the C ABI.
#include "authcache/authcache.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include "tests/unit/libclient/fake_daemon.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using authcache::BoundRequirement;
using authcache::Client;
using authcache::Identity;
using authcache::Requirement;
using authcache::Thumbprint;
using authcache::Verdict;
using namespace authcache::client_test;

class Hpp : public ::testing::Test {
 protected:
  TempDir dir_;
  authcache::shm::TableWriter writer_ = make_table(dir_.path(), 100);
  std::optional<Client> client_ = Client::open({.runtime_dir = dir_.path().string()});
};

TEST_F(Hpp, LookupTextAndReason) {
  ASSERT_TRUE(client_);
  const std::string subject(500, 's');  // longer than the first buffer
  admit(writer_, kMainId, "token", {.scopes = {"read"}, .subject = subject});
  Requirement requirement = client_->requirement("main");
  requirement.scope("read");
  Identity identity;
  EXPECT_EQ(client_->lookup("token", requirement, &identity), Verdict::kValid);
  EXPECT_EQ(client_->text(identity, AUTHCACHE_FIELD_SUBJECT), subject);
  EXPECT_EQ(client_->text(identity, AUTHCACHE_FIELD_SCOPES), "read");
  Requirement strict = client_->requirement("main");
  strict.scope("write");
  EXPECT_EQ(client_->lookup("token", strict, &identity), Verdict::kForbidden);
  EXPECT_EQ(identity.reason(), AUTHCACHE_REASON_SCOPE);
  EXPECT_EQ(client_->lookup(std::string_view(), requirement), Verdict::kInvalid);
  EXPECT_EQ(client_->validate("absent", requirement, std::chrono::milliseconds(100)), Verdict::kUnavailable);
}

TEST_F(Hpp, ARequirementThatFailedNeverAnswers) {
  admit(writer_, kMainId, "token");
  Requirement requirement = client_->requirement("main");
  requirement.scope("").scope("read");
  EXPECT_FALSE(requirement);
  Identity identity;
  EXPECT_EQ(client_->lookup("token", Requirement(), &identity), Verdict::kUsageError);
  EXPECT_EQ(client_->lookup("token", requirement, &identity), Verdict::kUsageError);
  EXPECT_EQ(identity.verdict(), Verdict::kUsageError);
  EXPECT_EQ(Client().lookup("token", requirement), Verdict::kUsageError);
}

TEST_F(Hpp, AFailedCallLeavesNoOlderVerdict) {
  admit(writer_, kMainId, "token");
  Identity identity;
  ASSERT_EQ(client_->lookup("token", client_->requirement("main"), &identity), Verdict::kValid);
  ASSERT_EQ(client_->lookup("token", Requirement(), &identity), Verdict::kUsageError);
  EXPECT_FALSE(identity.has_record());
}

TEST_F(Hpp, BoundRequirements) {
  admit(writer_, kMainId, "bound", {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_JKT, 'k')});
  Requirement base = client_->requirement("main");
  std::uint8_t key[32];
  std::fill(std::begin(key), std::end(key), std::uint8_t{'k'});
  EXPECT_EQ(client_->lookup("bound", base), Verdict::kForbidden);
  EXPECT_EQ(client_->lookup("bound", BoundRequirement(base, Thumbprint::jkt(key))), Verdict::kValid);
  EXPECT_EQ(client_->lookup("bound", BoundRequirement(base, Thumbprint::x5t_s256(key))), Verdict::kForbidden);
  EXPECT_EQ(client_->lookup("bound", BoundRequirement(Requirement(), Thumbprint::jkt(key))),
            Verdict::kUsageError);
}

TEST_F(Hpp, ARefusedTableIsASentence) {
  ::chmod((dir_.path() / "table").c_str(), 0666);
  std::string error;
  EXPECT_FALSE(Client::open({.runtime_dir = dir_.path().string()}, &error));
  EXPECT_NE(error.find("0640"), std::string::npos);
}

TEST_F(Hpp, BearerHeaders) {
  EXPECT_EQ(authcache::bearer("Bearer abc").token, "abc");
  EXPECT_EQ(authcache::bearer("Basic abc").result, AUTHCACHE_ERROR_NOT_BEARER);
  EXPECT_EQ(authcache::bearer("Bearer a b").result, AUTHCACHE_ERROR_MALFORMED);
  EXPECT_EQ(authcache::dpop_token("DPoP abc").token, "abc");
  EXPECT_EQ(authcache::dpop_token("Bearer abc").result, AUTHCACHE_ERROR_NOT_BEARER);
  EXPECT_EQ(authcache::dpop_token("DPoP a b").result, AUTHCACHE_ERROR_MALFORMED);
}

TEST_F(Hpp, AWatchIsANumberAndEndsByAnEventOrByItsOwner) {
  ASSERT_TRUE(client_);
  admit(writer_, kMainId, "token");
  const Requirement requirement = client_->requirement("main");
  Identity identity;
  EXPECT_FALSE(client_->watch(identity, 1)) << "no record";
  EXPECT_FALSE(client_->last_error().empty());
  ASSERT_EQ(client_->lookup("token", requirement, &identity), Verdict::kValid);
  const auto first = client_->watch(identity, 1), second = client_->watch(identity, 2);
  ASSERT_TRUE(first && second);
  EXPECT_GE(client_->watch_fd(), 0);
  EXPECT_FALSE(client_->next_event());
  EXPECT_TRUE(client_->unwatch(*first));
  EXPECT_FALSE(client_->unwatch(*first));
  writer_.beat(authcache::shm::coarse_now_ns() - 2 * kHeartbeatTimeoutNs);
  const auto event = client_->next_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->verdict, Verdict::kUnavailable);
  EXPECT_EQ(event->reason, AUTHCACHE_REASON_HEARTBEAT_STALE);
  EXPECT_EQ(event->data, 2u);
  EXPECT_EQ(event->watch, *second);
  Client none;
  EXPECT_FALSE(none.watch(identity, 1));
  EXPECT_LT(none.watch_fd(), 0);
  EXPECT_FALSE(none.next_event());
}

TEST_F(Hpp, ASubmittedQuestionIsCollectedOrCancelled) {
  ASSERT_TRUE(client_);
  namespace wire = authcache::shm::wire;
  FakeDaemon daemon(dir_.path(), [](FakeConnection& connection, const wire::Head& head, const std::string& payload) {
    wire::ValidateReply reply{.digest = authcache::shm::token_digest(kMainId, wire::decode_validate(payload)->token),
                              .verdict = authcache::shm::Verdict::kInvalid,
                              .reason = authcache::shm::Reason::kUnknown};
    std::string bytes;
    wire::append_validate_reply(bytes, head.request_id, reply);
    connection.send(bytes);
  });
  const Requirement requirement = client_->requirement("main");
  constexpr std::chrono::seconds kLong{20};
  admit(writer_, kMainId, "known");
  Identity identity;
  auto known = client_->submit("known", requirement, kLong, 1, &identity);
  EXPECT_EQ(known.verdict, Verdict::kValid);
  EXPECT_FALSE(known.pending());
  EXPECT_TRUE(identity.has_record());
  const auto asked = client_->submit("token", requirement, kLong, 7), other = client_->submit("other", requirement, kLong);
  EXPECT_EQ(asked.verdict, Verdict::kMiss);
  ASSERT_TRUE(asked.pending() && other.pending());
  EXPECT_TRUE(client_->cancel(other.question));
  EXPECT_FALSE(client_->cancel(other.question));
  authcache::Collected answers[4];
  int count = 0;
  while (count == 0) {
    pollfd entry{client_->fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 20'000), 1);
    count = client_->collect(answers, 4);
  }
  ASSERT_EQ(count, 1);
  EXPECT_EQ(answers[0].verdict(), Verdict::kInvalid);
  EXPECT_EQ(answers[0].reason(), AUTHCACHE_REASON_UNKNOWN);
  EXPECT_EQ(answers[0].data(), 7u);
  EXPECT_EQ(answers[0].question(), asked.question);
  EXPECT_EQ(answers[0].identity().verdict(), Verdict::kInvalid);
  EXPECT_EQ(client_->collect(answers, 0), 0);
  Client none;
  EXPECT_EQ(none.submit("token", requirement, kLong, 1, &identity).verdict, Verdict::kUsageError);
  EXPECT_EQ(identity.verdict(), Verdict::kUsageError);
  EXPECT_LT(none.fd(), 0);
  EXPECT_LT(none.collect(answers, 4), 0);
}

}  // namespace
