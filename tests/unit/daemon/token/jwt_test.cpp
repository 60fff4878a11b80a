// Whole tokens, as a caller presents them.
#include "daemon/token/jwt.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <random>

#include "tests/unit/daemon/token/token_fixture.hpp"

namespace {

using namespace authcache_test;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcached::Algorithm;
using authcached::is_compact_jws;
using authcached::JwtPolicy;
using authcached::KeySet;
using authcached::Proof;
using authcached::TokenType;

Reason reason_of(std::string_view token, const JwtPolicy& with = policy(), const KeySet& keys = all_keys()) {
  const Proof proof = verify(token, with, keys);
  EXPECT_EQ(proof.verdict, proof.reason == Reason::kNone ? Verdict::kValid : Verdict::kInvalid);
  if (proof.verdict != Verdict::kValid) {
    EXPECT_EQ(proof.identity, authcached::Identity{});
    EXPECT_FALSE(proof.key_thumbprint);
    EXPECT_FALSE(proof.expires_wall_ns);
  }
  return proof.reason;
}

std::string good_token() { return mint_access_token(p256_key(), "ES256", "es", claims().json()); }

std::string with_header(std::string_view header) {
  return mint(p256_key(), "ES256", header, claims().json());
}

std::string with_payload(std::string_view payload) {
  return mint_access_token(p256_key(), "ES256", "es", payload);
}

TEST(Jwt, EveryAlgorithmProvesAToken) {
  for (const auto& [key, alg, kid] :
       {std::tuple{&rsa_key(), "RS256", "rs"}, std::tuple{&rsa_key(), "RS384", "rs"},
        std::tuple{&rsa_key(), "RS512", "rs"}, std::tuple{&rsa_key(), "PS256", "rs"},
        std::tuple{&rsa_key(), "PS384", "rs"}, std::tuple{&rsa_key(), "PS512", "rs"},
        std::tuple{&p256_key(), "ES256", "es"}, std::tuple{&p384_key(), "ES384", "es384"},
        std::tuple{&p521_key(), "ES512", "es512"}, std::tuple{&ed25519_key(), "EdDSA", "ed"}}) {
    const std::string token = mint_access_token(*key, alg, kid, claims().json());
    const Proof proof = verify(token);
    EXPECT_EQ(proof.verdict, Verdict::kValid) << alg << " " << reason_name(proof.reason);
    EXPECT_EQ(proof.identity.subject, "alice");
    EXPECT_TRUE(is_compact_jws(token));
  }
}

TEST(Jwt, AProofNamesTheSigningInputAndTheKey) {
  const std::string token = good_token();
  const Proof proof = verify(token);
  ASSERT_TRUE(proof.signing_input && proof.key_thumbprint);
  authcached::Sha256 expected;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.rfind('.'), expected.data());
  EXPECT_EQ(*proof.signing_input, expected);
  EXPECT_EQ(*proof.key_thumbprint, (*all_keys().find("es", Algorithm::kES256))->thumbprint);
}

TEST(Jwt, ARefusedTokenStillNamesItsSigningInput) {
  EXPECT_TRUE(verify("ab.cd.ef").signing_input);
  EXPECT_TRUE(verify(with_payload("[]")).signing_input);
  EXPECT_FALSE(verify("ab.cd").signing_input);
  EXPECT_FALSE(verify("ab.cd." + std::string(20'000, 'A')).signing_input);
}

TEST(Jwt, A3_2_TheTwinIsAcceptedUnderTheSameSigningInput) {
  const std::string token = good_token(), twin = malleated_twin(p256_key(), token);
  ASSERT_NE(token, twin);
  EXPECT_EQ(verify(twin).verdict, Verdict::kValid);
  EXPECT_EQ(verify(twin).signing_input, verify(token).signing_input);
}

TEST(Jwt, A1_1_AForeignByteAnywhereIsMalformed) {
  const std::string token = good_token();
  for (const char bad : {' ', '\t', '\r', '\n', '=', '+', '/', '{', '"', '\0', '\x80', '\xff'}) {
    for (std::size_t at = 0; at <= token.size(); at += 1 + token.size() / 20) {
      std::string inserted = token;
      inserted.insert(at, 1, bad);
      EXPECT_EQ(reason_of(inserted), Reason::kMalformed) << at;
      EXPECT_FALSE(is_compact_jws(inserted));
    }
    EXPECT_EQ(reason_of(token + bad), Reason::kMalformed);
  }
}

TEST(Jwt, A1_2_A1_3_OtherSegmentCountsAreMalformed) {
  const std::string token = good_token();
  const std::string head = token.substr(0, token.find('.')), rest = token.substr(token.find('.'));
  for (const std::string& other : {std::string(), head, head + rest.substr(0, rest.rfind('.')), token + ".",
                                   token + ".AAAA", "." + token, token + ".AAAA.AAAA", head + ".." + "AAAA",
                                   rest.substr(0), head + rest.substr(0, rest.rfind('.') + 1)}) {
    EXPECT_EQ(reason_of(other), Reason::kMalformed) << other.size();
    EXPECT_FALSE(is_compact_jws(other));
  }
  EXPECT_EQ(reason_of(std::string(std::size_t{1} << 20, '.')), Reason::kTooLong);
}

TEST(Jwt, A1_4_AnotherSpellingOfTheSameBytesIsMalformed) {
  // Each segment is made to end in unused bits, then spelled with every other value of them.
  const std::string token =
      mint(p256_key(), "ES256", R"({"alg":"ES256","typ":"at+jwt","kid":"es"})", claims().json());
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string changed = token;
  for (int bits = 1; bits < 4; ++bits) {
    changed.back() = kAlphabet[kAlphabet.find(token.back()) + static_cast<std::size_t>(bits)];
    EXPECT_EQ(reason_of(changed), Reason::kMalformed) << changed.back();
  }
  EXPECT_EQ(reason_of(token), Reason::kNone);
  EXPECT_EQ(reason_of(token + "="), Reason::kMalformed);
  EXPECT_EQ(reason_of(token + "AAA"), Reason::kMalformed);  // length mod 4 == 1
}

TEST(Jwt, A1_5_AJsonSerializationIsMalformed) {
  const std::string token = good_token();
  const std::size_t first = token.find('.'), last = token.rfind('.');
  const std::string flat = R"({"protected":")" + token.substr(0, first) + R"(","payload":")" +
                           token.substr(first + 1, last - first - 1) + R"(","signature":")" +
                           token.substr(last + 1) + "\"}";
  EXPECT_EQ(reason_of(flat), Reason::kMalformed);
}

TEST(Jwt, A1_6_ATokenBeyondTheLimitIsTooLong) {
  const std::string token = with_payload(claims().text("pad", std::string(13'000, 'x')).json());
  EXPECT_EQ(reason_of(token), Reason::kTooLong);
  EXPECT_FALSE(is_compact_jws(token));
  EXPECT_EQ(reason_of(with_payload(claims().text("pad", std::string(11'000, 'x')).json())), Reason::kNone);
}

TEST(Jwt, A1_7_TheClaimsMustBeAnObject) {
  for (const char* payload : {"", "null", "[]", "\"x\"", "1", "[{}]"}) {
    EXPECT_EQ(reason_of(with_payload(payload)), Reason::kMalformed) << payload;
  }
  EXPECT_FALSE(is_compact_jws(with_payload("")));
}

TEST(Jwt, A1_8_A1_9_A1_10_ClaimsThatTwoParsersCouldReadDifferentlyAreMalformed) {
  const std::string good = claims().json();
  const std::string open = good.substr(0, good.size() - 1);
  for (const std::string& payload :
       {"\xef\xbb\xbf" + good, good + "x", good + good, good + "/*c*/", open + R"(,"x":NaN})",
        open + ",\"x\":\"\xff\"}", open + R"(,"x":"\ud800"})", open + R"(,"sub":"root"})",
        open + R"(,"\u0073ub":"root"})", open + R"(,"x":{"a":1,"a":2}})",
        open + ",\"x\":" + std::string(16, '[') + std::string(16, ']') + "}",
        open + ",\"x\":" + std::string(9000, '[') + "}", open + ",\"x\":" + std::string(9000, '1') + "}",
        open + R"(,"x":1e400})", "{" + open.substr(1) + ",}"}) {
    EXPECT_EQ(reason_of(with_payload(payload)), Reason::kMalformed) << payload.substr(0, 200);
  }
  EXPECT_EQ(reason_of(with_payload(open + ",\"x\":" + std::string(15, '[') + std::string(15, ']') + "}")),
            Reason::kNone);
}

TEST(Jwt, A2_1_AnUnsecuredTokenIsRefused) {
  const std::string good = good_token();
  const std::string payload = good.substr(good.find('.') + 1);
  for (const char* alg : {"none", "None", "NONE", "nOnE", "none "}) {
    for (const char* kid : {"", R"(,"kid":"es")"}) {
      const std::string header =
          base64url(R"({"typ":"at+jwt","alg":")" + std::string(alg) + "\"" + kid + "}");
      EXPECT_EQ(reason_of(header + "." + payload), Reason::kAlgorithm);
      EXPECT_EQ(reason_of(header + "." + payload.substr(0, payload.find('.') + 1)), Reason::kMalformed);
    }
  }
}

TEST(Jwt, A2_3_APublicKeyIsNeverAMacSecret) {
  const std::string header = R"({"typ":"at+jwt","alg":"HS256","kid":"rs"})", payload = claims().json();
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(rsa_key().pkey(), &der);
  ASSERT_GT(length, 0);
  const std::string spki(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  std::string armour((spki.size() + 2) / 3 * 4 + 1, '\0');
  armour.resize(
      static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(armour.data()),
                                               reinterpret_cast<const unsigned char*>(spki.data()), length)));
  const std::string pem = "-----BEGIN PUBLIC KEY-----\n" + armour + "\n-----END PUBLIC KEY-----";
  for (const std::string& secret :
       {spki, pem, pem + "\n", rsa_key().public_jwk("rs"), rsa_key().public_number("n"),
        p256_key().public_number("x") + p256_key().public_number("y"), std::string()}) {
    EXPECT_EQ(reason_of(mint_hs256(secret, header, payload)), Reason::kAlgorithm);
    // The same bytes under the name of the key's own algorithm.
    EXPECT_EQ(reason_of(mint_hs256(secret, R"({"typ":"at+jwt","alg":"RS256","kid":"rs"})", payload)),
              Reason::kBadSignature);
  }
}

TEST(Jwt, A2_4_AKeyIsUsedForItsOwnAlgorithmOnly) {
  const auto keys = KeySet::parse(jwks({rsa_key().public_jwk("rs", "RS256"), p256_key().public_jwk("es")}));
  ASSERT_TRUE(keys);
  const auto signed_as = [&](const SigningKey& key, const char* alg, const char* kid) {
    return reason_of(mint_access_token(key, alg, kid, claims().json()), policy(), *keys);
  };
  EXPECT_EQ(signed_as(rsa_key(), "RS256", "rs"), Reason::kNone);
  EXPECT_EQ(signed_as(rsa_key(), "PS256", "rs"), Reason::kAlgorithm);
  EXPECT_EQ(signed_as(rsa_key(), "RS384", "rs"), Reason::kAlgorithm);
  EXPECT_EQ(signed_as(p256_key(), "ES384", "es"), Reason::kAlgorithm);
  EXPECT_EQ(signed_as(p256_key(), "ES384", ""), Reason::kUnknownKey);
  EXPECT_EQ(signed_as(ed25519_key(), "EdDSA", "es"), Reason::kAlgorithm);
}

TEST(Jwt, AnAlgorithmThatTheProfileDoesNotListIsRefused) {
  JwtPolicy with = policy();
  with.algorithms = {Algorithm::kRS256};
  EXPECT_EQ(reason_of(good_token(), with), Reason::kAlgorithm);
  with.algorithms = {};
  EXPECT_EQ(reason_of(good_token(), with), Reason::kAlgorithm);
  with.algorithms = {Algorithm::kES256};
  EXPECT_EQ(reason_of(good_token(), with), Reason::kNone);
}

TEST(Jwt, A2_5_AKeyInTheHeaderIsNeverLookedAt) {
  const SigningKey attacker = SigningKey::generate(KeyKind::kP256);
  const std::string start = R"({"alg":"ES256","typ":"at+jwt","kid":"es",)";
  for (const std::string& more :
       {"\"jwk\":" + attacker.public_jwk("es"), std::string(R"("jku":"http://127.0.0.1:9/jwks")"),
        std::string(R"("x5u":"http://127.0.0.1:9/cert")"), std::string(R"("x5c":["AAAA"])")}) {
    EXPECT_EQ(reason_of(mint(attacker, "ES256", start + more + "}", claims().json())), Reason::kBadSignature)
        << more;
    EXPECT_EQ(reason_of(with_header(start + more + "}")), Reason::kNone) << more;
  }
  EXPECT_EQ(reason_of(with_header(start + R"("x5t":"AAAA","jku":"https://other.example/"})")), Reason::kNone);
}

TEST(Jwt, A2_6_A2_7_ExtensionsAreRefused) {
  const std::string start = R"({"alg":"ES256","typ":"at+jwt","kid":"es",)";
  for (const char* more :
       {R"("crit":["x"],"x":1)", R"("crit":[])", R"("b64":true)", R"("b64":false,"crit":["b64"])"}) {
    EXPECT_EQ(reason_of(with_header(start + more + "}")), Reason::kCritical) << more;
  }
  EXPECT_EQ(reason_of(with_header(start + R"("x":1,"exp":1})")), Reason::kNone);
}

TEST(Jwt, A2_8_ANestedTokenIsRefused) {
  const std::string start = R"({"alg":"ES256","typ":"at+jwt","kid":"es","cty":)";
  for (const char* cty : {"\"JWT\"", "\"jwt\"", "\"application/JWT\"", "7", "null"}) {
    EXPECT_EQ(reason_of(with_header(start + cty + "}")), Reason::kType) << cty;
  }
  EXPECT_EQ(reason_of(with_header(start + "\"json\"}")), Reason::kNone);
  EXPECT_EQ(reason_of(with_payload(good_token())), Reason::kMalformed);
}

TEST(Jwt, A2_10_AnUnknownKidIsAnUnknownKeyAndAnImpossibleOneMalformed) {
  const auto with_kid = [](const std::string& kid) {
    return with_header(R"({"alg":"ES256","typ":"at+jwt","kid":)" + kid + "}");
  };
  for (const char* kid : {"\"../../dev/null\"", "\"/dev/null\"", "\"|sleep 10\"",
                          "\"x' UNION SELECT '1';--\"", "\"ES\"", "\"es \""}) {
    EXPECT_EQ(reason_of(with_kid(kid)), Reason::kUnknownKey) << kid;
  }
  for (const char* kid : {"\"\"", "7", "[\"es\"]", R"("es\u0000")"})
    EXPECT_EQ(reason_of(with_kid(kid)), Reason::kMalformed) << kid;
  EXPECT_EQ(reason_of(with_kid("\"" + std::string(65'536, 'k') + "\"")), Reason::kTooLong);
}

TEST(Jwt, A2_12_WithoutAKidTheOneKeyThatFitsIsUsed) {
  EXPECT_EQ(reason_of(mint_access_token(p256_key(), "ES256", "", claims().json())), Reason::kNone);
  const auto two =
      KeySet::parse(jwks({p256_key().public_jwk("a"), SigningKey::generate(KeyKind::kP256).public_jwk("b")}));
  ASSERT_TRUE(two);
  EXPECT_EQ(reason_of(mint_access_token(p256_key(), "ES256", "", claims().json()), policy(), *two),
            Reason::kUnknownKey);
  EXPECT_EQ(reason_of(mint_access_token(p256_key(), "ES256", "a", claims().json()), policy(), *two),
            Reason::kNone);
}

TEST(Jwt, A2_13_AKeyOfAnotherIssuerWithTheSameKidProvesNothing) {
  const auto other = KeySet::parse(jwks({SigningKey::generate(KeyKind::kP256).public_jwk("es")}));
  ASSERT_TRUE(other);
  EXPECT_EQ(reason_of(good_token(), policy(), *other), Reason::kBadSignature);
}

TEST(Jwt, A2_14_TheNameEd25519IsAcceptedWithKeysOfEitherName) {
  const std::string token =
      mint(ed25519_key(), "EdDSA", R"({"alg":"Ed25519","typ":"at+jwt","kid":"ed"})", claims().json());
  for (const char* alg : {"EdDSA", "Ed25519", ""}) {
    const auto keys = KeySet::parse(jwks({ed25519_key().public_jwk("ed", alg)}));
    ASSERT_TRUE(keys);
    EXPECT_EQ(reason_of(token, policy(), *keys), Reason::kNone) << alg;
  }
}

TEST(Jwt, A3_6_AChangedHeaderOrPayloadIsABadSignature) {
  const std::string token = good_token();
  const std::string rest = token.substr(token.find('.'));
  EXPECT_EQ(reason_of(base64url(R"({ "typ":"at+jwt", "alg":"ES256", "kid":"es" })") + rest),
            Reason::kBadSignature);
  const std::string other = with_payload(claims().text("sub", "root").json());
  const std::string spliced = other.substr(0, other.rfind('.')) + token.substr(token.rfind('.'));
  EXPECT_EQ(reason_of(spliced), Reason::kBadSignature);
}

TEST(Jwt, A5_1_A5_2_TheTypeHeaderKeepsOtherTokensOut) {
  JwtPolicy legacy = policy();
  legacy.token_type = TokenType::kLegacy;
  const auto typed = [](const std::string& typ) {
    return with_header(R"({"alg":"ES256","kid":"es")" + typ + "}");
  };
  for (const char* typ : {"at+jwt", "application/at+jwt", "AT+JWT", "Application/At+Jwt"}) {
    const std::string token = typed(R"(,"typ":")" + std::string(typ) + "\"");
    EXPECT_EQ(reason_of(token), Reason::kNone) << typ;
    EXPECT_EQ(reason_of(token, legacy), Reason::kNone) << typ;
  }
  for (const std::string& typ : {std::string(R"(,"typ":"JWT")"), std::string()}) {
    EXPECT_EQ(reason_of(typed(typ)), Reason::kType) << typ;
    EXPECT_EQ(reason_of(typed(typ), legacy), Reason::kNone) << typ;
  }
  for (const char* typ : {"\"logout+jwt\"", "\"secevent+jwt\"", "\"dpop+jwt\"", "\"token-introspection+jwt\"",
                          "\"text/at+jwt\"", "\"application/application/at+jwt\"", "\"at+jwt \"", "\"\"",
                          "\"JOSE\"", "7", "null"}) {
    const std::string token = typed(std::string(",\"typ\":") + typ);
    EXPECT_EQ(reason_of(token), Reason::kType) << typ;
    EXPECT_EQ(reason_of(token, legacy), Reason::kType) << typ;
  }
}

TEST(Jwt, ClaimsAreJudgedOnlyUnderAGoodSignature) {
  const std::string forged =
      mint(SigningKey::generate(KeyKind::kP256), "ES256", R"({"alg":"ES256","typ":"at+jwt","kid":"es"})",
           claims().number("nbf", kNow + 50).json());
  const Proof proof = verify(forged);
  EXPECT_EQ(proof.reason, Reason::kBadSignature);
  EXPECT_FALSE(proof.retry_wall_ns);
}

TEST(Jwt, A8_2_ADpopBoundTokenYieldsItsBinding) {
  const std::string jkt = base64url(std::string(32, '\x21'));
  const Proof proof = verify(with_payload(claims().set("cnf", R"({"jkt":")" + jkt + "\"}").json()));
  ASSERT_EQ(proof.verdict, Verdict::kValid);
  ASSERT_TRUE(proof.identity.confirmation);
  EXPECT_EQ(proof.identity.confirmation->kind, authcached::Confirmation::Kind::kJwkThumbprint);
}

TEST(Jwt, A8_4_ACertificateBoundTokenYieldsTheThumbprintToCompare) {
  const std::string bytes(32, '\x7e');
  const Proof proof =
      verify(with_payload(claims().set("cnf", R"({"x5t#S256":")" + base64url(bytes) + "\"}").json()));
  ASSERT_TRUE(proof.identity.confirmation);
  EXPECT_EQ(proof.identity.confirmation->kind, authcached::Confirmation::Kind::kCertificate);
  EXPECT_TRUE(
      std::ranges::all_of(proof.identity.confirmation->thumbprint, [](std::uint8_t b) { return b == 0x7e; }));
}

TEST(Jwt, NoMutationOfATokenIsValid) {
  const unsigned seed = 20'260'101;
  std::mt19937 random(seed);
  const std::string token = mint_access_token(ed25519_key(), "EdDSA", "ed", claims().json());
  for (int round = 0; round < 20'000; ++round) {
    std::string mutated = token;
    const int edits = 1 + static_cast<int>(random() % 3);
    for (int edit = 0; edit < edits; ++edit) {
      const std::size_t at = random() % mutated.size();
      switch (random() % 4) {
        case 0: mutated[at] = static_cast<char>(random() & 0xff); break;
        case 1: mutated.erase(at, 1 + random() % 8); break;
        case 2: mutated.insert(at, 1, "Az09-_.=\n"[random() % 9]); break;
        default: std::swap(mutated[at], mutated[random() % mutated.size()]); break;
      }
      if (mutated.empty()) mutated = ".";
    }
    if (mutated != token) {
      ASSERT_EQ(verify(mutated).verdict, Verdict::kInvalid) << "seed " << seed << " round " << round;
    }
  }
}

}  // namespace
