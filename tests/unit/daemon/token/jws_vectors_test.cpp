// The JOSE cookbook (RFC 7520, RFC 8037, RFC 7797) at the JWS layer: payloads there are prose, not claims.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/token/base64url.hpp"
#include "daemon/token/jws.hpp"
#include "tests/support/vectors.hpp"
#include "tests/unit/daemon/token/token_fixture.hpp"

namespace {

namespace json = boost::json;
using namespace authcache_test;
using authcache::shm::Reason;
using authcached::KeySet;

json::value read(const std::filesystem::path& path) { return json::parse(file_text(path)); }

// The cookbook prints private keys; a published set has only these members.
std::string public_part(const json::object& jwk) {
  json::object left;
  for (const char* name : {"kty", "kid", "use", "alg", "crv", "n", "e", "x", "y"}) {
    if (const json::value* value = jwk.if_contains(name)) left[name] = *value;
  }
  return json::serialize(left);
}

Reason verify_layer(std::string_view token, const KeySet& keys) {
  const auto jws = authcached::split_compact_jws(token);
  if (!jws) return jws.error();
  const auto header = authcached::parse_jws_header(authcached::base64url_decode(jws->header).value_or(""));
  if (!header) return header.error();
  const auto key = verify_jws(*jws, *header, policy().algorithms, keys);
  return key ? Reason::kNone : key.error();
}

std::string compact(const json::value& vector) {
  return std::string(vector.at("output").at("compact").as_string());
}

TEST(Cookbook, SignaturesVerifyWithTheCookbooksKeysAndNoOther) {
  const auto root = vectors_directory("rfc7520");
  if (!root) GTEST_SKIP() << kNoVectors;
  int verified = 0;
  for (const char* name : {"jws/4_1.rsa_v15_signature.json", "jws/4_2.rsa-pss_signature.json",
                           "jws/4_3.ecdsa_signature.json", "curve25519/jws.json"}) {
    const json::value vector = read(*root / name);
    const auto keys = KeySet::parse(jwks({public_part(vector.at("input").at("key").as_object())}));
    ASSERT_TRUE(keys) << name << ": " << keys.error().message;
    std::string token = compact(vector);
    EXPECT_EQ(verify_layer(token, *keys), Reason::kNone) << name;
    EXPECT_NE(verify_layer(token, all_keys()), Reason::kNone) << name;
    token[token.size() / 2] = token[token.size() / 2] == 'A' ? 'B' : 'A';
    EXPECT_NE(verify_layer(token, *keys), Reason::kNone) << name;
    ++verified;
  }
  EXPECT_EQ(verified, 4);
}

// 4_8 has no compact form: each of its signatures is put into one.
TEST(Cookbook, TheAsymmetricSignaturesOfSeveralVerifyAndTheMacDoesNot) {
  const auto root = vectors_directory("rfc7520");
  if (!root) GTEST_SKIP() << kNoVectors;
  const json::value vector = read(*root / "jws/4_8.multiple_signatures.json");
  const json::value& output = vector.at("output").at("json");
  const json::array& keys = vector.at("input").at("key").as_array();
  ASSERT_EQ(keys.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const json::object& signature = output.at("signatures").at(i).as_object();
    const json::value* header = signature.if_contains("protected");
    const std::string token = std::string(header != nullptr ? header->as_string() : json::string()) + "." +
                              std::string(output.at("payload").as_string()) + "." +
                              std::string(signature.at("signature").as_string());
    const auto set = KeySet::parse(jwks({public_part(keys[i].as_object())}));
    if (i == 0) {
      ASSERT_TRUE(set);
      EXPECT_EQ(verify_layer(token, *set), Reason::kNone);
    } else {
      // The second names its algorithm in the unprotected header only, the third is a MAC under a symmetric
      // key.
      EXPECT_NE(verify_layer(token, set ? *set : all_keys()), Reason::kNone);
    }
  }
}

TEST(Cookbook, MacsAreRefusedAndTheirKeysNeverImported) {
  const auto root = vectors_directory("rfc7520");
  if (!root) GTEST_SKIP() << kNoVectors;
  const json::value vector = read(*root / "jws/4_4.hmac-sha2_integrity_protection.json");
  EXPECT_EQ(verify_layer(compact(vector), all_keys()), Reason::kAlgorithm);
  EXPECT_FALSE(KeySet::parse(jwks({json::serialize(vector.at("input").at("key"))})));
}

TEST(Cookbook, A1_3_EncryptedTokensAreRefused) {
  const auto root = vectors_directory("rfc7520");
  if (!root) GTEST_SKIP() << kNoVectors;
  int refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*root / "jwe")) {
    const json::value vector = read(entry.path());
    if (const json::value* text = vector.at("output").as_object().if_contains("compact")) {
      EXPECT_EQ(verify_layer(text->as_string(), all_keys()), Reason::kMalformed) << entry.path();
      ++refused;
    }
  }
  EXPECT_GT(refused, 5);
}

TEST(Cookbook, A1_5_JsonSerializationsAreRefused) {
  const auto root = vectors_directory("rfc7520");
  if (!root) GTEST_SKIP() << kNoVectors;
  int refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*root / "jws")) {
    const json::value vector = read(entry.path());
    const json::object& output = vector.at("output").as_object();
    for (const char* form : {"json", "json_flat"}) {
      if (const json::value* value = output.if_contains(form)) {
        EXPECT_NE(verify_layer(json::serialize(*value), all_keys()), Reason::kNone) << entry.path() << form;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 8);
}

TEST(Cookbook, A2_7_UnencodedPayloadsAreRefused) {
  const auto root = vectors_directory("rfc7520");
  if (!root) GTEST_SKIP() << kNoVectors;
  int refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*root / "rfc7797")) {
    const json::value vector = read(entry.path());
    for (const auto& form : vector.at("output").as_object()) {
      const std::string text =
          form.value().is_string() ? std::string(form.value().get_string()) : json::serialize(form.value());
      EXPECT_NE(verify_layer(text, all_keys()), Reason::kNone) << entry.path();
      ++refused;
    }
  }
  EXPECT_GE(refused, 3);
}

TEST(Cookbook, A4_5_PublicKeysAreImportedAndPrivateOrSymmetricOnesRefused) {
  const auto root = vectors_directory("rfc7520");
  if (!root) GTEST_SKIP() << kNoVectors;
  const auto import = [&](const char* name) {
    return KeySet::parse(jwks({file_text(*root / "jwk" / name)}));
  };
  EXPECT_TRUE(import("3_1.ec_public_key.json"));
  EXPECT_TRUE(import("3_3.rsa_public_key.json"));
  for (const char* name : {"3_2.ec_private_key.json", "3_4.rsa_private_key.json",
                           "3_5.symmetric_key_mac_computation.json", "3_6.symmetric_key_encryption.json"}) {
    EXPECT_FALSE(import(name)) << name;
  }
}

}  // namespace
