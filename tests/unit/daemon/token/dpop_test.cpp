// A8.3: DPoP proofs, each wrong in one thing. Check numbers are those of RFC 9449 section 4.3.
#include "daemon/token/dpop.hpp"

#include <gtest/gtest.h>

#include "daemon/token/base64url.hpp"
#include "shm/wire.hpp"
#include "tests/unit/daemon/token/dpop_fixture.hpp"

namespace {

using namespace authcache_test;
using authcache::shm::Reason;
using authcached::verify_dpop;

constexpr std::int64_t kNowNs = kNow * kNanos;

std::string encoded(const authcached::Sha256& digest) {
  return base64url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// A good signature over any header.
std::string with_header(std::string_view header) {
  return mint(p256_key(), "ES256", header, proof_claims().json());
}
std::string with_jwk(std::string_view jwk) {
  return with_header(R"({"typ":"dpop+jwt","alg":"ES256","jwk":)" + std::string(jwk) + "}");
}

// RFC 9449 section 7.1, with the key thumbprint of section 6.1.
constexpr std::string_view kRfcProof =
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik"
    "VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR"
    "nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE"
    "QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj"
    "oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z"
    "WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF"
    "c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E"
    "OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
constexpr std::string_view kRfcToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
constexpr std::int64_t kRfcIssued = 1'562'262'618;

TEST(Dpop, TheExampleOfTheRfcHoldsAndNamesItsKey) {
  const auto request = request_for("GET", "https://resource.example.org/protectedresource", kRfcToken);
  const auto proof = verify_dpop(kRfcProof, request, kRfcIssued * kNanos);
  ASSERT_TRUE(proof) << reason_name(proof.error());
  EXPECT_EQ(encoded(proof->thumbprint), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
  EXPECT_EQ(proof->issued_wall_ns, kRfcIssued * kNanos);
  EXPECT_EQ(proof_reason(kRfcProof, request, kNowNs), Reason::kExpired);
}

TEST(Dpop, EveryKindOfKeyThatIsTakenProves) {
  for (const auto& [key, alg] :
       {std::pair{&p256_key(), "ES256"}, std::pair{&p384_key(), "ES384"}, std::pair{&p521_key(), "ES512"},
        std::pair{&ed25519_key(), "EdDSA"}, std::pair{&ed25519_key(), "Ed25519"}}) {
    EXPECT_EQ(proof_reason(mint_proof(proof_claims(), *key, alg)), Reason::kNone) << alg;
  }
}

TEST(Dpop, TheIdIsTheKeysAndTheJtisAndNothingElses) {
  const auto id = [](std::string_view proof, const authcached::DpopRequest& request = request_for()) {
    return verify_dpop(proof, request, kNowNs).value().id;
  };
  const std::string proof = mint_proof();
  EXPECT_EQ(id(proof), id(malleated_twin(p256_key(), proof))) << "a second signature of one proof";
  EXPECT_EQ(id(proof), id(mint_proof(proof_claims().number("iat", kNow - 1))));
  EXPECT_EQ(id(proof), id(mint_proof(proof_claims().text("htm", "GET")), request_for("GET")));
  EXPECT_NE(id(proof), id(mint_proof(proof_claims().text("jti", "proof-2"))));
  EXPECT_NE(id(proof), id(mint_proof(proof_claims(), ed25519_key(), "EdDSA")))
      << "another's jti is not used up";
}

// Check 1 is the server's, which sees the headers; two that were joined into one value are no proof.
TEST(Dpop, A8_3_Check1_TwoProofsAreNone) {
  const std::string proof = mint_proof();
  EXPECT_EQ(proof_reason(proof + "," + proof), Reason::kMalformed);
  EXPECT_EQ(proof_reason(proof + ", " + proof), Reason::kMalformed);
}

TEST(Dpop, A8_3_Check2_WhatIsNoWholeJwtIsMalformed) {
  const std::string proof = mint_proof();
  const std::size_t first = proof.find('.'), last = proof.rfind('.');
  for (const std::string& broken :
       {std::string(), std::string("."), proof.substr(0, last), proof + ".", proof + "=", " " + proof,
        proof.substr(first), proof.substr(0, first) + ".." + proof.substr(last + 1),
        proof.substr(0, last + 1), "!" + proof}) {
    EXPECT_EQ(proof_reason(broken), Reason::kMalformed) << broken;
    EXPECT_EQ(authcached::judge_dpop_shape(broken), Reason::kMalformed) << broken;
  }
  EXPECT_EQ(authcached::judge_dpop_shape(proof), Reason::kNone);
  const std::string long_one(authcache::shm::wire::kProofBytesMax + 1, 'a');
  EXPECT_EQ(proof_reason(long_one), Reason::kTooLong);
  EXPECT_EQ(authcached::judge_dpop_shape(long_one), Reason::kTooLong);
  for (const char* payload : {"[]", "1", "\"x\"", "{", R"({"jti":"a","jti":"b"})"}) {
    EXPECT_EQ(proof_reason(mint(p256_key(), "ES256", proof_header(), payload)), Reason::kMalformed)
        << payload;
  }
  EXPECT_EQ(proof_reason(with_header("[]")), Reason::kMalformed);
}

TEST(Dpop, A8_3_Check3_EachRequiredClaimMustBeThereAndOfItsType) {
  for (const char* name : {"jti", "htm", "htu", "iat", "ath"}) {
    EXPECT_EQ(proof_reason(mint_proof(proof_claims().without(name))), Reason::kClaims) << name;
    for (const char* value : {"null", "true", "[]", "{}"}) {
      EXPECT_EQ(proof_reason(mint_proof(proof_claims().set(name, value))), Reason::kClaims) << name << value;
    }
  }
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("iat", std::to_string(kNow)))), Reason::kClaims);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().number("jti", 1))), Reason::kClaims);
}

TEST(Dpop, A8_3_Check3_TheJtiIsBounded) {
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("jti", ""))), Reason::kClaims);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("jti", std::string(257, 'x')))), Reason::kClaims);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("jti", std::string(256, 'x')))), Reason::kNone);
}

TEST(Dpop, A8_3_Check4_AnotherTypIsRefused) {
  const std::string jwk = p256_key().public_jwk();
  for (const char* typ :
       {R"("typ":"jwt",)", R"("typ":"at+jwt",)", R"("typ":"DPoP+JWT",)", R"("typ":"application/dpop+jwt",)",
        R"("typ":"dpop+jwt ",)", R"("typ":1,)", "", R"("typ":"dpop+jwt","cty":"jwt",)"}) {
    EXPECT_EQ(proof_reason(with_header("{" + std::string(typ) + R"("alg":"ES256","jwk":)" + jwk + "}")),
              Reason::kType)
        << typ;
  }
  EXPECT_EQ(proof_reason(mint_access_token(p256_key(), "ES256", "es", proof_claims().json())), Reason::kType);
}

TEST(Dpop, A8_3_Check5_OnlyAsymmetricAlgorithmsOfTheListAreTaken) {
  const std::string jwk = p256_key().public_jwk();
  for (const char* alg : {"none", "None", "HS256", "es256", "ES256K", "RS256", "PS256", ""}) {
    const std::string header = R"({"typ":"dpop+jwt","alg":")" + std::string(alg) + R"(","jwk":)" + jwk + "}";
    EXPECT_EQ(proof_reason(with_header(header)), Reason::kAlgorithm) << alg;
  }
  EXPECT_EQ(proof_reason(with_header(R"({"typ":"dpop+jwt","jwk":)" + jwk + "}")), Reason::kAlgorithm);
  const std::string oct = R"({"typ":"dpop+jwt","alg":"HS256","jwk":{"kty":"oct","k":"c2VjcmV0"}})";
  EXPECT_EQ(proof_reason(mint_hs256("secret", oct, proof_claims().json())), Reason::kAlgorithm);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims(), rsa_key(), "RS256")), Reason::kAlgorithm);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims(), rsa_key(), "PS256")), Reason::kAlgorithm);
}

TEST(Dpop, A8_3_Check5_TheAlgorithmIsTheKeys) {
  EXPECT_EQ(proof_reason(with_header(proof_header(p384_key(), "ES256"))), Reason::kAlgorithm);
  EXPECT_EQ(proof_reason(with_header(proof_header(ed25519_key(), "ES256"))), Reason::kAlgorithm);
  EXPECT_EQ(proof_reason(mint(p384_key(), "ES256", proof_header(p384_key(), "ES256"), proof_claims().json())),
            Reason::kAlgorithm);
  EXPECT_EQ(proof_reason(with_header(proof_header(rsa_key(), "ES256"))), Reason::kProofKey)
      << "not even imported";
}

TEST(Dpop, A8_3_Check5_AnExtensionThatMustBeUnderstoodIsRefused) {
  const std::string good = proof_header(), open = good.substr(0, good.size() - 1);
  for (const char* more : {R"(,"crit":["exp"]})", R"(,"crit":[]})", R"(,"b64":false})", R"(,"b64":true})"}) {
    EXPECT_EQ(proof_reason(with_header(open + more)), Reason::kCritical) << more;
  }
  EXPECT_EQ(proof_reason(
                with_header(open + R"(,"jku":"https://evil.example","x5u":"https://evil.example","y":1})")),
            Reason::kNone);
}

TEST(Dpop, A8_3_Check6_TheSignatureIsTheEmbeddedKeys) {
  const SigningKey stranger = SigningKey::generate(KeyKind::kP256);
  EXPECT_EQ(proof_reason(mint(stranger, "ES256", proof_header(), proof_claims().json())),
            Reason::kBadSignature);
  const std::string proof = mint_proof(), other = mint_proof(proof_claims().text("jti", "proof-2"));
  const std::string swapped = other.substr(0, other.rfind('.')) + proof.substr(proof.rfind('.'));
  EXPECT_EQ(proof_reason(swapped), Reason::kBadSignature) << "another payload under it";
  const std::string header = base64url(proof_header(stranger));
  EXPECT_EQ(proof_reason(header + proof.substr(proof.find('.'))), Reason::kBadSignature)
      << "another key beside it";
  EXPECT_EQ(proof_reason(proof.substr(0, proof.rfind('.') + 1) + base64url(std::string(64, '\0'))),
            Reason::kBadSignature);
  EXPECT_EQ(proof_reason(proof.substr(0, proof.rfind('.') + 1) + base64url(std::string(63, 'x'))),
            Reason::kBadSignature);
  EXPECT_EQ(proof_reason(malleated_twin(p256_key(), proof)), Reason::kNone)
      << "as good as the first, and not another proof";
}

TEST(Dpop, A8_3_Check7_APrivateOrSymmetricKeyIsRefused) {
  for (const char* name : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    const std::string jwk = p256_key().public_jwk({}, {}, "\"" + std::string(name) + R"(":"AQ")");
    EXPECT_EQ(proof_reason(with_jwk(jwk)), Reason::kProofKey) << name;
  }
  EXPECT_EQ(proof_reason(with_jwk(R"({"kty":"oct","k":"c2VjcmV0"})")), Reason::kProofKey);
}

TEST(Dpop, A8_3_Check7_TheKeyIsJudgedAsAPublishedOneIs) {
  for (
      const char* jwk :
      {R"("x")", "[]", "null", "1", "{}", R"({"kty":1})", R"({"kty":"EC","crv":"P-256","x":"","y":""})",
       R"({"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"})",
       R"({"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"})",
       // On no curve, and all zero; a point of small order that any signature of zeros fits.
       R"({"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})",
       R"({"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})"}) {
    EXPECT_EQ(proof_reason(with_jwk(jwk)), Reason::kProofKey) << jwk;
  }
  EXPECT_EQ(proof_reason(with_header(R"({"typ":"dpop+jwt","alg":"ES256"})")), Reason::kProofKey);
  EXPECT_EQ(proof_reason(
                with_header(R"({"typ":"dpop+jwt","alg":"ES256","kid":"es","jku":"https://issuer.example"})")),
            Reason::kProofKey);
  EXPECT_EQ(proof_reason(with_jwk(p256_key().public_jwk({}, {}, R"("use":"enc")"))), Reason::kProofKey);
}

TEST(Dpop, A8_3_Check8_AnotherMethodIsRefused) {
  for (const char* method : {"GET", "post", "POST ", "POS", ""}) {
    EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("htm", method))), Reason::kProofMethod) << method;
    EXPECT_EQ(proof_reason(mint_proof(), request_for(method)), Reason::kProofMethod) << method;
  }
}

TEST(Dpop, A8_3_Check9_AnotherUrlIsRefused) {
  for (const char* url :
       {"https://api.example/order", "https://api.example/orders/1", "http://api.example/orders",
        "https://evil.example/orders", "https://api.example:8443/orders", "/orders", "", "not a url",
        "https://u@api.example/orders"}) {
    EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("htu", url))), Reason::kProofUrl) << url;
    EXPECT_EQ(proof_reason(mint_proof(), request_for("POST", url)), Reason::kProofUrl) << url;
    EXPECT_NE(proof_reason(mint_proof(proof_claims().text("htu", url)), request_for("POST", "")),
              Reason::kNone)
        << "none is none's";
  }
}

TEST(Dpop, A8_3_Check9_QueryFragmentAndSpellingAreNotCompared) {
  for (const char* url :
       {"https://api.example/orders?page=2", "https://api.example/orders#x", "HTTPS://API.EXAMPLE:443/orders",
        "https://api.example/./%6Frders", "https://api.example/x/../orders?y"}) {
    EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("htu", url))), Reason::kNone) << url;
    EXPECT_EQ(proof_reason(mint_proof(), request_for("POST", url)), Reason::kNone) << url;
  }
}

TEST(Dpop, A8_3_Check10_TheNonceThatWasAskedForMustBeThere) {
  auto request = request_for();
  request.nonce = "n-1";
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("nonce", "n-1")), request), Reason::kNone);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("nonce", "n-2")), request), Reason::kProofNonce);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("nonce", "")), request), Reason::kProofNonce);
  EXPECT_EQ(proof_reason(mint_proof(), request), Reason::kProofNonce);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().number("nonce", 1)), request), Reason::kClaims);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("nonce", "n-2"))), Reason::kNone)
      << "none was asked for";
  request.nonce = "";
  EXPECT_EQ(proof_reason(mint_proof(), request), Reason::kProofNonce) << "an empty one is not none";
}

TEST(Dpop, A8_3_Check11_OutsideItsWindowAProofIsRefusedOnBothSides) {
  const auto at = [](std::int64_t issued, std::int64_t now_ns = kNowNs) {
    return proof_reason(mint_proof(proof_claims().number("iat", issued)), request_for(), now_ns);
  };
  EXPECT_EQ(at(kNow - 60), Reason::kNone);
  EXPECT_EQ(at(kNow - 60, kNowNs + 1), Reason::kExpired);
  EXPECT_EQ(at(kNow - 61), Reason::kExpired);
  EXPECT_EQ(at(kNow + 5), Reason::kNone);
  EXPECT_EQ(at(kNow + 5, kNowNs - 1), Reason::kNotYetValid);
  EXPECT_EQ(at(kNow + 6), Reason::kNotYetValid);
  EXPECT_EQ(at(0), Reason::kExpired);
  EXPECT_EQ(at(-1), Reason::kClaims);
  EXPECT_EQ(at(kNow * 1000), Reason::kClaims) << "milliseconds";
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().set("iat", "1e300"))), Reason::kClaims);
}

TEST(Dpop, A8_3_Check11_AnEndAndABeginThatAProofStatesAreHeard) {
  const auto with = [](std::string_view name, std::int64_t at) {
    return proof_reason(mint_proof(proof_claims().number(name, at)));
  };
  EXPECT_EQ(with("exp", kNow), Reason::kExpired);
  EXPECT_EQ(with("exp", kNow + 1), Reason::kNone);
  EXPECT_EQ(with("nbf", kNow + 6), Reason::kNotYetValid);
  EXPECT_EQ(with("nbf", kNow + 5), Reason::kNone);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("exp", "never"))), Reason::kClaims);
  EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("nbf", "now"))), Reason::kClaims);
}

TEST(Dpop, A8_3_Check12_TheProofIsForThisToken) {
  EXPECT_EQ(proof_reason(mint_proof(), request_for("POST", kUrl, "another-token")), Reason::kProofToken);
  const std::string hash = token_hash(kAccessToken);
  for (const std::string& ath :
       {std::string(), hash + "=", hash.substr(1), std::string(kAccessToken), hash + hash}) {
    EXPECT_EQ(proof_reason(mint_proof(proof_claims().text("ath", ath))), Reason::kProofToken) << ath;
  }
}

// Nothing of a proof that did not verify is believed, so what is told first is that.
TEST(Dpop, TheClaimsOfAnUnsignedProofAreNotLookedAt) {
  const SigningKey stranger = SigningKey::generate(KeyKind::kP256);
  EXPECT_EQ(proof_reason(mint(stranger, "ES256", proof_header(), "not json")), Reason::kBadSignature);
}

}  // namespace
