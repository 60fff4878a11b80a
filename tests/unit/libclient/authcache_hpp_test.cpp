// The C++ header over the C ABI.
#include "authcache/authcache.hpp"

#include <gtest/gtest.h>

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
}

}  // namespace
