#include "daemon/cache/identity_text.hpp"

#include <gtest/gtest.h>

#include "daemon/base/sha256.hpp"

namespace {

using authcache::shm::TextBuilder;
using authcache::shm::TextCursor;
using authcache::shm::TextField;
using authcached::Confirmation;
using authcached::Identity;
using Fields = std::vector<std::pair<TextField, std::string>>;

Fields fields_of(std::string_view text) {
  Fields fields;
  TextCursor cursor(text);
  while (const auto item = cursor.next()) fields.emplace_back(item->field, item->value);
  EXPECT_TRUE(cursor.whole());
  return fields;
}

TEST(IdentityText, HoldsEachMemberThatIsThereAndNoOther) {
  Identity identity;
  identity.subject = "alice";
  identity.issuer = "https://issuer.example";
  identity.client_id = "web";
  identity.sid = "s-1";
  identity.jti = "j-1";
  identity.scopes = {"read", "write"};
  identity.permissions = {"role:admin"};
  identity.audience = {"api", "other"};
  identity.claims_json = "{}";
  TextBuilder text;
  ASSERT_TRUE(build_text(identity, text));
  const Fields expected = {{TextField::kSubject, "alice"}, {TextField::kIssuer, "https://issuer.example"},
                           {TextField::kClientId, "web"},  {TextField::kSid, "s-1"},
                           {TextField::kJti, "j-1"},       {TextField::kScopes, "read"},
                           {TextField::kScopes, "write"},  {TextField::kPermissions, "role:admin"},
                           {TextField::kAudience, "api"},  {TextField::kAudience, "other"},
                           {TextField::kClaims, "{}"}};
  EXPECT_EQ(fields_of(text.bytes()), expected);
  TextBuilder empty;
  EXPECT_TRUE(build_text(Identity{}, empty));
  EXPECT_EQ(empty.bytes(), "");
}

TEST(IdentityText, AConfirmationIsItsKindAndAllOfItsThumbprint) {
  for (const auto kind : {Confirmation::Kind::kJwkThumbprint, Confirmation::Kind::kCertificate}) {
    Identity identity;
    identity.confirmation = {kind, authcached::sha256("a key of the client's")};
    TextBuilder text;
    ASSERT_TRUE(build_text(identity, text));
    const Fields fields = fields_of(text.bytes());
    ASSERT_EQ(fields.size(), 1u);
    EXPECT_EQ(fields[0].first, TextField::kConfirmation);
    const auto& thumbprint = identity.confirmation->thumbprint;
    EXPECT_EQ(fields[0].second, static_cast<char>(kind) + std::string(thumbprint.begin(), thumbprint.end()));
  }
}

TEST(IdentityText, OneMemberThatDoesNotFitMakesItNotWhole) {
  Identity identity;
  identity.subject = "alice";
  identity.claims_json = std::string(100, 'x');
  TextBuilder tight(100);
  EXPECT_FALSE(build_text(identity, tight));
  identity.claims_json.clear();
  identity.scopes = {std::string(70'000, 'x'), "read"};
  TextBuilder wide(1 << 20);
  EXPECT_FALSE(build_text(identity, wide))
      << "longer than its length field can say, though what follows fits";
}

}  // namespace
