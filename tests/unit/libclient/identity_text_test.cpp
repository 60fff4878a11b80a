#include "libclient/identity_text.hpp"

#include <gtest/gtest.h>

#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::client::shape_field;
using authcache::shm::SlotState;
using authcache::shm::TextField;
namespace shm = authcache::shm;

const std::string kGone = "error " + std::to_string(AUTHCACHE_ERROR_GONE);

class IdentityText : public ::testing::Test {
 protected:
  authcache_identity valid(const std::string& token) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    EXPECT_EQ(looked_up(client_, token, requirement_, &identity), "valid");
    return identity;
  }

  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  OpenClient client_{dir_.path()};
  authcache_requirement* requirement_ = client_.requirement();
};

TEST_F(IdentityText, EachFieldHasItsShape) {
  admit(writer_, kMainId, "token",
        {.scopes = {"read", "write"},
         .permissions = {"a", "b"},
         .audience = {"x", "y"},
         .claims = R"({"k":1})"});
  const auto identity = valid("token");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SUBJECT), "alice");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_ISSUER), "https://issuer.example");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SCOPES), "read write");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_PERMISSIONS), "a b");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_AUDIENCE), R"(["x","y"])");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_CLAIMS), R"({"k":1})");
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_CLIENT_ID), "");
}

TEST_F(IdentityText, ATooSmallBufferGetsAnEmptyTextAndTheLengthNeeded) {
  admit(writer_, kMainId, "token", {.subject = "abcdef"});
  const auto identity = valid("token");
  char buffer[8] = "zzzzzzz";
  EXPECT_EQ(authcache_identity_text(client_.get(), &identity, AUTHCACHE_FIELD_SUBJECT, buffer, 6), 6);
  EXPECT_STREQ(buffer, "");
  EXPECT_EQ(authcache_identity_text(client_.get(), &identity, AUTHCACHE_FIELD_SUBJECT, buffer, 7), 6);
  EXPECT_STREQ(buffer, "abcdef");
  EXPECT_EQ(authcache_identity_text(client_.get(), &identity, AUTHCACHE_FIELD_SUBJECT, nullptr, 0), 6);
}

TEST_F(IdentityText, ADeadRecordIsGone) {
  admit(writer_, kMainId, "token");
  const auto identity = valid("token");
  writer_.kill(shm::key_of(shm::token_digest(kMainId, "token")), SlotState::kRevoked);
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SUBJECT), kGone);
}

TEST_F(IdentityText, ALaterRecordInTheSameSlotIsNotTaken) {
  admit(writer_, kMainId, "token", {.subject = "alice"});
  const auto identity = valid("token");
  const auto place = admit(writer_, kMainId, "token", {.subject = "mallory"});
  ASSERT_EQ(place.slot, identity.slot);
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SUBJECT), kGone);
}

TEST_F(IdentityText, HandlesThatNoLookupGaveAreRefused) {
  admit(writer_, kMainId, "token");
  auto identity = valid("token");
  identity.slot = ~0ull;
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SUBJECT), kGone);
  identity = valid("token");
  identity.generation = 99;
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SUBJECT), kGone);
  const authcache_identity none = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(text(client_, none, AUTHCACHE_FIELD_SUBJECT), "error " + std::to_string(AUTHCACHE_ERROR_USAGE));
  identity = valid("token");
  identity.size = 0;
  EXPECT_EQ(text(client_, identity, AUTHCACHE_FIELD_SUBJECT), "error " + std::to_string(AUTHCACHE_ERROR_USAGE));
  EXPECT_EQ(authcache_identity_text(client_.get(), nullptr, AUTHCACHE_FIELD_SUBJECT, nullptr, 0), AUTHCACHE_ERROR_USAGE);
  identity = valid("token");
  EXPECT_EQ(text(client_, identity, static_cast<authcache_field>(10)),
            "error " + std::to_string(AUTHCACHE_ERROR_USAGE));
}

TEST(ShapeField, AudiencesAreEscapedAsJson) {
  shm::TextBuilder builder;
  builder.add(TextField::kAudience, "a\"b\\c");
  builder.add(TextField::kAudience, std::string("\x01\n", 2));
  char buffer[64];
  EXPECT_EQ(shape_field(builder.bytes(), TextField::kAudience, buffer, sizeof buffer), 26u);
  EXPECT_STREQ(buffer, R"(["a\"b\\c","\u0001\u000a"])");
  EXPECT_EQ(shape_field("", TextField::kAudience, buffer, sizeof buffer), 2u);
  EXPECT_STREQ(buffer, "[]");
}

TEST(ShapeField, AListThatDoesNotFitShowsNoneOfItsMembers) {
  shm::TextBuilder builder;
  builder.add(TextField::kScopes, "read");
  builder.add(TextField::kScopes, "write");
  char buffer[8] = "zzzzzzz";
  EXPECT_EQ(shape_field(builder.bytes(), TextField::kScopes, buffer, sizeof buffer), 10u);
  EXPECT_STREQ(buffer, "");
}

TEST(ShapeField, OnlyTheFirstOfASingleFieldCounts) {
  shm::TextBuilder builder;
  builder.add(TextField::kSubject, "alice");
  builder.add(TextField::kSubject, "bob");
  char buffer[64];
  EXPECT_EQ(shape_field(builder.bytes(), TextField::kSubject, buffer, sizeof buffer), 5u);
  EXPECT_STREQ(buffer, "alice");
}

}  // namespace
