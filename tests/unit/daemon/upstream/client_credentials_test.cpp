// How the daemon says who it is: the very bytes that go out.
#include "daemon/upstream/client_credentials.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <cstdio>
#include <fstream>
#include <set>

#include "daemon/token/base64url.hpp"
#include "daemon/token/jws.hpp"
#include "daemon/token/key_set.hpp"
#include "tests/support/jwt_mint.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace authcached;
using authcache_test::KeyKind;
using authcache_test::SigningKey;

constexpr std::int64_t kNow = 1'700'000'000;
// What a key of each kind signs with unless told otherwise.
constexpr Algorithm kNatural[] = {Algorithm::kES256, Algorithm::kES384, Algorithm::kES512, Algorithm::kRS256, Algorithm::kEdDSA};

class ClientCredentialsTest : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& text, mode_t mode = 0400) {
    const auto path = directory_.path() / ("f" + std::to_string(++files_));
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  std::filesystem::path key_file(const SigningKey& key) {
    const auto path = file("", 0600);
    std::FILE* out = std::fopen(path.c_str(), "w");
    EXPECT_EQ(PEM_write_PrivateKey(out, key.pkey(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(out);
    return path;
  }
  ProfileConfig with_secret(const std::string& secret, ClientAuth auth, const std::string& client = "rs") {
    ProfileConfig profile;
    profile.client_id = client;
    profile.client_auth = auth;
    profile.client_secret_file = file(secret);
    return profile;
  }
  ProfileConfig with_key(const SigningKey& key) {
    ProfileConfig profile;
    profile.issuer = "https://issuer.example";
    profile.client_id = "rs";
    profile.client_auth = ClientAuth::kPrivateKeyJwt;
    profile.client_key_file = key_file(key);
    profile.client_key_id = "k1";
    return profile;
  }
  static HttpRequest request(const ProfileConfig& profile) {
    const auto credentials = ClientCredentials::read(profile);
    EXPECT_TRUE(credentials) << credentials.error().message;
    HttpRequest made;
    append_form_field(made.body, "token", "a.b~c+d/e==");
    const auto done = (*credentials)->authenticate(made, kNow * 1'000'000'000);
    EXPECT_TRUE(done) << done.error().message;
    return made;
  }
  static std::string assertion_of(const HttpRequest& request) {
    const std::string name = "client_assertion=";
    return request.body.substr(request.body.find(name) + name.size());
  }

  authcached::testing::TemporaryDirectory directory_;
  int files_ = 0;
};

TEST_F(ClientCredentialsTest, TheTokenIsPercentEncodedInTheForm_A6_10) {
  std::string form;
  append_form_field(form, "token", "a.b~c+d/e==&x= \xc3\xa9");
  append_form_field(form, "token_type_hint", "access_token");
  EXPECT_EQ(form, "token=a.b%7Ec%2Bd%2Fe%3D%3D%26x%3D+%C3%A9&token_type_hint=access_token");
}

TEST_F(ClientCredentialsTest, BasicCredentialsAreFormEncodedFirst_A6_10) {
  const HttpRequest made = request(with_secret("a:b+c%d e\n", ClientAuth::kSecretBasic, "client:1"));
  ASSERT_EQ(made.headers.size(), 1u);
  EXPECT_EQ(made.headers[0].name, "Authorization");
  // base64 of client%3A1:a%3Ab%2Bc%25d+e
  EXPECT_EQ(made.headers[0].value, "Basic Y2xpZW50JTNBMTphJTNBYiUyQmMlMjVkK2U=");
  EXPECT_FALSE(made.body.contains("client"));
}

TEST_F(ClientCredentialsTest, PostedCredentialsStandInTheFormOnly_A6_10) {
  const HttpRequest made = request(with_secret("a:b+c%d e", ClientAuth::kSecretPost));
  EXPECT_TRUE(made.headers.empty());
  EXPECT_EQ(made.body, "token=a.b%7Ec%2Bd%2Fe%3D%3D&client_id=rs&client_secret=a%3Ab%2Bc%25d+e");
}

TEST_F(ClientCredentialsTest, AnAssertionIsSignedForTheIssuerShortLivedAndUsedOnce_A6_10) {
  for (const KeyKind kind : {KeyKind::kP256, KeyKind::kP384, KeyKind::kP521, KeyKind::kRsa, KeyKind::kEd25519}) {
    const SigningKey key = SigningKey::generate(kind);
    const ProfileConfig profile = with_key(key);
    const HttpRequest made = request(profile);
    EXPECT_TRUE(made.headers.empty());
    EXPECT_TRUE(made.body.contains("&client_id=rs&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&"));
    const std::string text = assertion_of(made);
    const auto jws = split_compact_jws(text);
    ASSERT_TRUE(jws);
    const auto header = parse_jws_header(*base64url_decode(jws->header));
    ASSERT_TRUE(header);
    EXPECT_EQ(header->kid, "k1");
    const KeySet set = KeySet::parse(authcache_test::jwks({key.public_jwk("k1")})).value();
    EXPECT_TRUE(verify_jws(*jws, *header, kNatural, set));
    const auto claims = boost::json::parse(*base64url_decode(jws->payload)).as_object();
    EXPECT_EQ(claims.at("iss").as_string(), "rs");
    EXPECT_EQ(claims.at("sub").as_string(), "rs");
    EXPECT_EQ(claims.at("aud").as_string(), "https://issuer.example");
    EXPECT_EQ(claims.at("iat").as_int64(), kNow);
    EXPECT_EQ(claims.at("exp").as_int64(), kNow + 60);
    EXPECT_GE(claims.at("jti").as_string().size(), 22u);
    EXPECT_NE(assertion_of(request(profile)), text);
  }
}

TEST_F(ClientCredentialsTest, AnAssertionsAudienceAndAlgorithmMayBeChosen) {
  ProfileConfig profile = with_key(SigningKey::generate(KeyKind::kRsa));
  profile.client_key_algorithm = Algorithm::kPS256;
  profile.client_assertion_audience = "https://issuer.example/token";
  profile.client_key_id.clear();
  const auto jws_text = assertion_of(request(profile));
  const auto jws = split_compact_jws(jws_text);
  ASSERT_TRUE(jws);
  EXPECT_EQ(*base64url_decode(jws->header), R"({"alg":"PS256","typ":"JWT"})");
  EXPECT_TRUE(base64url_decode(jws->payload)->contains("https://issuer.example/token"));
}

TEST_F(ClientCredentialsTest, KeysThatCannotSignAsAskedAreRefusedAndNothingOfThemIsQuoted) {
  const auto why = [](const ProfileConfig& profile) {
    const auto credentials = ClientCredentials::read(profile);
    return credentials ? std::string("taken") : credentials.error().message;
  };
  ProfileConfig profile = with_key(SigningKey::generate(KeyKind::kP256));
  profile.client_key_algorithm = Algorithm::kES384;
  EXPECT_TRUE(why(profile).contains("ES384"));
  profile.client_key_algorithm = Algorithm::kRS256;
  EXPECT_TRUE(why(profile).contains("RS256"));
  profile.client_key_algorithm.reset();
  profile.client_key_file = key_file(SigningKey::generate_rsa(1'024));
  EXPECT_TRUE(why(profile).contains("2048 bits"));
  profile.client_key_file = file("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
  EXPECT_TRUE(why(profile).contains("no private key"));
  EXPECT_FALSE(why(profile).contains("c2VjcmV0"));
  profile.client_key_file = directory_.path() / "absent";
  EXPECT_TRUE(why(profile).contains("client_key_file")) << why(profile);
}

TEST_F(ClientCredentialsTest, ASecretFileMustBeOneLineAndGuarded) {
  const auto why = [](const ProfileConfig& profile) {
    const auto credentials = ClientCredentials::read(profile);
    return credentials ? std::string("taken") : credentials.error().message;
  };
  ProfileConfig profile = with_secret("s3cret\r\n", ClientAuth::kSecretPost);
  EXPECT_EQ(why(profile), "taken");
  for (const std::string& text : {std::string(), std::string("\n"), std::string("a\nb\n"), std::string("a\0b", 3), std::string(100'000, 'x')}) {
    profile.client_secret_file = file(text);
    EXPECT_NE(why(profile), "taken") << text.substr(0, 10);
  }
  for (const mode_t mode : {0444, 0604, 0420, 0402, 0401}) {
    profile.client_secret_file = file("s3cret", mode);
    EXPECT_TRUE(why(profile).contains("chmod")) << mode;
    EXPECT_FALSE(why(profile).contains("s3cret"));
  }
  profile.client_secret_file = file("s3cret", 0440);  // its group may read it
  EXPECT_EQ(why(profile), "taken");
  profile.client_secret_file = directory_.path();
  EXPECT_TRUE(why(profile).contains("regular file"));
}

}  // namespace
