#include "daemon/control/face/identity_fields.hpp"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "daemon/control/face/face_requirement.hpp"
#include "daemon/control/face/form.hpp"
#include "shm/text.hpp"

namespace authcached {
namespace {

namespace shm = authcache::shm;
using shm::TextField;

std::string text(std::initializer_list<std::pair<TextField, std::string>> fields) {
  shm::TextBuilder builder;
  for (const auto& [field, value] : fields) EXPECT_TRUE(builder.add(field, value));
  return std::string(builder.bytes());
}

std::string headers(const std::string& identity, HttpEncoding encoding = HttpEncoding::kPlain) {
  HttpAnswer answer;
  const bool written =
      append_identity(answer, identity,
                      {HttpIdentity::kSubject, HttpIdentity::kScopes, HttpIdentity::kPermissions}, encoding);
  return written ? answer.fields : "<refused>";
}

TEST(IdentityHeaders, PartsThatAreNotStatedHaveNoHeader) {
  EXPECT_EQ(headers(text({{TextField::kSubject, "alice"}, {TextField::kIssuer, "i"}})),
            "X-Auth-Subject: alice\r\n");
  EXPECT_EQ(
      headers(text({{TextField::kScopes, "a"}, {TextField::kPermissions, "p"}, {TextField::kScopes, "b"}})),
      "X-Auth-Scopes: a b\r\nX-Auth-Permissions: p\r\n");
}

// Else a service would read one scope as two, or another subject.
TEST(IdentityHeaders, WhatWouldBeReadOtherwiseIsRefusedOrEncoded) {
  for (const std::string& subject :
       {std::string("a\r\nb"), std::string("a\nb"), std::string(" a"), std::string("a "),
        std::string("\xc3\xa4"), std::string("a\0b", 3), std::string("a\tb")}) {
    EXPECT_EQ(headers(text({{TextField::kSubject, subject}})), "<refused>") << subject;
  }
  EXPECT_EQ(headers(text({{TextField::kSubject, "a b"}})), "X-Auth-Subject: a b\r\n");
  EXPECT_EQ(headers(text({{TextField::kScopes, "a b"}})), "<refused>");
  EXPECT_EQ(headers(text({{TextField::kScopes, "a b"}, {TextField::kScopes, "c%"}}), HttpEncoding::kPercent),
            "X-Auth-Scopes: a%20b c%25\r\n");
  EXPECT_EQ(headers(text({{TextField::kSubject, std::string("\0\xff,\"", 4)}}), HttpEncoding::kPercent),
            "X-Auth-Subject: %00%FF%2C%22\r\n");
}

TEST(Introspection, TimesAreInSecondsWithoutTheLeeway) {
  const std::string identity = text({{TextField::kSubject, "alice"}});
  Decision decision{.verdict = shm::Verdict::kValid,
                    .text = identity,
                    .expires_wall_ns = 107'000'000'000,
                    .issued_wall_ns = 50'000'000'000,
                    .leeway_ns = 7'000'000'000};
  EXPECT_EQ(boost::json::serialize(introspection_of(decision)),
            R"({"active":true,"sub":"alice","exp":100,"iat":50,"token_type":"Bearer"})");
  decision.expires_wall_ns = 0;
  decision.issued_wall_ns = INT64_MIN;
  EXPECT_EQ(boost::json::serialize(introspection_of(decision)),
            R"({"active":true,"sub":"alice","token_type":"Bearer"})");
  decision.verdict = shm::Verdict::kInvalid;
  EXPECT_EQ(boost::json::serialize(introspection_of(decision)), R"({"active":false})");
}

TEST(CertificateHeader, IsAThumbprintInThreeSpellingsOrAPem) {
  const auto bytes = [](std::string_view header) {
    const auto found = certificate_thumbprint(header);
    return found ? std::string(reinterpret_cast<const char*>(found->bytes.data()), 2) : std::string("-");
  };
  EXPECT_EQ(bytes(std::string(60, '0') + "4142"), std::string(2, '\0'));
  EXPECT_EQ(bytes("4142" + std::string(60, 'f')), "AB");
  EXPECT_EQ(bytes("QUI" + std::string(40, 'A')), "AB");
  EXPECT_EQ(bytes("QUI" + std::string(40, 'A') + "="), "AB");
  // SHA-256 of "abc", and what stands behind the first certificate does not count.
  EXPECT_EQ(bytes("-----BEGIN%20CERTIFICATE-----%0AYWJj%0A-----END%20CERTIFICATE-----%0A-----BEGIN"),
            "\xba\x78");
  for (const std::string& header :
       {std::string("a"), std::string(64, 'g'), std::string(43, '+'), std::string(44, '!'),
        std::string("-----BEGIN CERTIFICATE-----"),
        std::string("-----BEGIN CERTIFICATE-----YW-----END CERTIFICATE-----"), std::string("-----BEGIN%2")}) {
    EXPECT_EQ(bytes(header), "-") << header;
  }
}

TEST(Forms, AreDecodedOnceAndRefusedWhenBroken) {
  const auto form = Form::parse("a=1+2%2B%26&b=&a=%00&&c=x=y", Plus::kIsBlank);
  ASSERT_TRUE(form);
  EXPECT_EQ(form->first("a"), "1 2+&");
  EXPECT_EQ(form->count("a"), 2u);
  EXPECT_EQ(form->count("b"), 1u);
  EXPECT_EQ(form->first("c"), "x=y");
  EXPECT_TRUE(form->has_duplicates());
  EXPECT_EQ(Form::parse("a=1+2", Plus::kIsItself)->first("a"), "1+2");
  for (const std::string_view broken : {"a", "a=%", "a=%4", "a=%4g", "%zz=1"})
    EXPECT_FALSE(Form::parse(broken, Plus::kIsBlank)) << broken;
  std::string many;
  for (int i = 0; i < 200; ++i) many += "a=1&";
  EXPECT_FALSE(Form::parse(many, Plus::kIsBlank));
}

TEST(Requirements, AreBounded) {
  std::string scopes = "profile=api";
  for (int i = 0; i < 64; ++i) scopes += "&scope=s" + std::to_string(i);
  EXPECT_TRUE(parse_requirement(scopes));
  EXPECT_FALSE(parse_requirement(scopes + "&scope=one-more"));
  EXPECT_FALSE(parse_requirement("profile=api&audience=" + std::string(4'097, 'a')));
  EXPECT_FALSE(parse_requirement("profile=api&scope=" + std::string(9'000, 'a')));
}

}  // namespace
}  // namespace authcached
