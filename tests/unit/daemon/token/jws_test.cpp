// The JWS layer: structure, header, signature. Payloads are any bytes here. The examples of RFC 7515 appendix
// A and RFC 8037 appendix A.4 stand as constants.
#include "daemon/token/jws.hpp"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <array>

#include "daemon/token/base64url.hpp"
#include "tests/unit/daemon/token/token_fixture.hpp"

namespace {

using namespace authcache_test;
using authcache::shm::Reason;
using authcached::Algorithm;
using authcached::base64url_decode;
using authcached::check_signature;
using authcached::KeySet;
using authcached::parse_jws_header;
using authcached::SignatureCheck;
using authcached::split_compact_jws;
using authcached::VerificationKey;

// Reason::kNone: the signature is good.
Reason verify_layer(std::string_view token, const KeySet& keys) {
  const auto jws = split_compact_jws(token);
  if (!jws) return jws.error();
  const auto text = base64url_decode(jws->header);
  if (!text) return Reason::kMalformed;
  const auto header = parse_jws_header(*text);
  if (!header) return header.error();
  const auto key = verify_jws(*jws, *header, policy().algorithms, keys);
  return key ? Reason::kNone : key.error();
}

Reason header_refusal(std::string_view json) {
  const auto header = parse_jws_header(json);
  return header ? Reason::kNone : header.error();
}

SignatureCheck check(Algorithm algorithm, std::string_view kid, std::string_view input,
                     std::string_view signature) {
  const auto key = all_keys().find(kid, algorithm);
  EXPECT_TRUE(key) << kid;
  return check_signature(algorithm, **key, input, signature);
}

TEST(JwsExamples, Rfc7515A2Rs256) {
  const auto keys = KeySet::parse(
      R"({"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmf)"
      R"(HQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9)"
      R"(wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY)"
      R"(4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDT)"
      R"(W9gb54h4FRWyuXpoQ","e":"AQAB"}]})");
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(
      verify_layer(
          "eyJhbGciOiJSUzI1NiJ9."
          "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc1"
          "9yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
          "lF5Y"
          "Kt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
          "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYE"
          "UipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
          *keys),
      Reason::kNone);
}

TEST(JwsExamples, Rfc7515A3Es256) {
  const auto keys = KeySet::parse(
      R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y")"
      R"(:"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})");
  ASSERT_TRUE(keys);
  EXPECT_EQ(verify_layer("eyJhbGciOiJFUzI1NiJ9."
                         "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc1"
                         "9yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
                         "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
                         *keys),
            Reason::kNone);
}

TEST(JwsExamples, Rfc7515A4Es512) {
  const auto keys = KeySet::parse(
      R"({"keys":[{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpX)"
      R"(p5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_)"
      R"(l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}]})");
  ASSERT_TRUE(keys);
  EXPECT_EQ(
      verify_layer(
          "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-m"
          "ZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9"
          "ERBXukOXolLzeO_Jn",
          *keys),
      Reason::kNone);
}

TEST(JwsExamples, Rfc8037A4Ed25519) {
  const auto keys = KeySet::parse(
      R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
  ASSERT_TRUE(keys);
  EXPECT_EQ(
      verify_layer(
          "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg"
          "3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
          *keys),
      Reason::kNone);
}

TEST(JwsExamples, Rfc7515A1Hs256IsRefused) {
  EXPECT_EQ(
      verify_layer(
          "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0"
          "dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
          all_keys()),
      Reason::kAlgorithm);
}

TEST(JwsExamples, Rfc7515A5NoneIsRefused) {
  const std::string unsecured =
      "eyJhbGciOiJub25lIn0."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ.";
  EXPECT_EQ(verify_layer(unsecured, all_keys()), Reason::kMalformed);  // no signature at all
  EXPECT_EQ(verify_layer(unsecured + "AAAA", all_keys()), Reason::kAlgorithm);
}

TEST(Jws, A1_2_OnlyThreeSegmentsAreTaken) {
  for (const char* token : {"", ".", "..", "...", "a", "ab.cd", "ab.cd.", ".cd.ef", "ab.cd.ef.gh",
                            "ab.cd.ef.", "ab..", "..ef", "ab.cd.ef.gh.ij"}) {
    EXPECT_EQ(split_compact_jws(token).error(), Reason::kMalformed) << token;
  }
  EXPECT_TRUE(split_compact_jws("ab.cd.ef"));
  EXPECT_EQ(split_compact_jws(std::string(10'000, '.')).error(), Reason::kMalformed);
}

TEST(Jws, A1_6_ATokenBeyondTheLimitIsRefusedByItsLengthAlone) {
  const std::string token = "ab.cd." + std::string(authcached::kTokenBytesMax - 6 + 1, 'A');
  EXPECT_EQ(split_compact_jws(token).error(), Reason::kTooLong);
  EXPECT_TRUE(split_compact_jws("ab.cd." + std::string(authcached::kTokenBytesMax - 6, 'A')).has_value());
  EXPECT_EQ(split_compact_jws(std::string(std::size_t{1} << 20, '.')).error(), Reason::kTooLong);
}

TEST(Jws, A1_1_AByteOutsideTheAlphabetIsRefusedInEverySegment) {
  const std::string token = "abcd.abcd.abcd";
  ASSERT_TRUE(split_compact_jws(token));
  for (const std::size_t at : {0u, 3u, 5u, 8u, 10u, 13u}) {
    for (int c = 0; c < 256; ++c) {
      if (authcached::is_base64url_char(static_cast<char>(c))) continue;
      std::string bad = token;
      bad[at] = static_cast<char>(c);
      EXPECT_FALSE(split_compact_jws(bad)) << at << " " << c;
    }
  }
}

TEST(Jws, A1_7_AnEmptyPayloadIsSoundAtThisLayer) {
  const std::string token = mint(p256_key(), "ES256", R"({"alg":"ES256"})", "");
  EXPECT_EQ(verify_layer(token, all_keys()), Reason::kNone);
}

TEST(JwsHeader, A1_7_MustBeAnObject) {
  for (const char* json : {"null", "[]", "\"x\"", "1", "", "{", R"({"alg":"RS256"} x)",
                           R"({"alg":"RS256","a":{"b":1,"b":2}})"}) {
    EXPECT_EQ(header_refusal(json), Reason::kMalformed) << json;
  }
}

TEST(JwsHeader, A2_1_A2_2_AnAlgThatIsNotListedIsRefused) {
  for (const char* json :
       {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"NONE"})", R"({"alg":"nOnE"})",
        R"({"alg":"none "})", R"({"alg":"none","kid":"rs"})", "{}", R"({"alg":null})", R"({"alg":256})",
        R"({"alg":["RS256"]})", R"({"alg":"rs256"})", R"({"alg":"RS256\u0000"})", R"({"alg":"HS256"})",
        R"({"alg":"HS512"})", R"({"alg":""})", R"({"ALG":"RS256"})"}) {
    EXPECT_EQ(header_refusal(json), Reason::kAlgorithm) << json;
  }
  EXPECT_EQ(header_refusal(R"({"alg":"RS256"})"), Reason::kNone);
}

TEST(JwsHeader, A2_6_A2_7_AnyExtensionIsRefused) {
  for (const char* more :
       {R"("crit":["exp"],"exp":1)", R"("crit":[])", R"("crit":"exp")", R"("crit":[1])",
        R"("crit":["x","x"],"x":1)", R"("crit":["alg"])", R"("crit":["absent"])", R"("crit":null)",
        R"("b64":false,"crit":["b64"])", R"("b64":false)", R"("b64":true)", R"("b64":null)"}) {
    EXPECT_EQ(header_refusal(std::string(R"({"alg":"RS256",)") + more + "}"), Reason::kCritical) << more;
  }
}

TEST(JwsHeader, A2_9_UnknownMembersAreIgnored) {
  EXPECT_EQ(
      header_refusal(R"({"alg":"RS256","x":{"crit":1},"Crit":["a"],"jku":"https://evil.example","x5t":7})"),
      Reason::kNone);
}

TEST(JwsHeader, A2_10_AKidThatNoKeyCanHaveIsRefused) {
  for (const std::string& kid :
       {std::string("\"\""), std::string("7"), std::string("[\"rs\"]"), std::string("null"),
        std::string(R"("r\u0000s")"), std::string(R"("a\nb")"), "\"" + std::string(257, 'k') + "\""}) {
    EXPECT_EQ(header_refusal(R"({"alg":"RS256","kid":)" + kid + "}"), Reason::kMalformed) << kid;
  }
  for (const char* kid : {"../../dev/null", "/dev/null", "|sleep 10", "x' UNION SELECT '1';--"}) {
    const auto header = parse_jws_header(R"({"alg":"RS256","kid":")" + std::string(kid) + "\"}");
    ASSERT_TRUE(header) << kid;
    EXPECT_EQ(all_keys().find(header->kid, header->algorithm).error(), Reason::kUnknownKey);
  }
}

struct Case {
  const char* alg;
  Algorithm algorithm;
  const char* kid;
  const SigningKey& (*key)();
};
constexpr std::array kCases{
    Case{"RS256", Algorithm::kRS256, "rs", rsa_key},     Case{"RS384", Algorithm::kRS384, "rs", rsa_key},
    Case{"RS512", Algorithm::kRS512, "rs", rsa_key},     Case{"PS256", Algorithm::kPS256, "rs", rsa_key},
    Case{"PS384", Algorithm::kPS384, "rs", rsa_key},     Case{"PS512", Algorithm::kPS512, "rs", rsa_key},
    Case{"ES256", Algorithm::kES256, "es", p256_key},    Case{"ES384", Algorithm::kES384, "es384", p384_key},
    Case{"ES512", Algorithm::kES512, "es512", p521_key}, Case{"EdDSA", Algorithm::kEdDSA, "ed", ed25519_key},
};

TEST(Signature, EveryAlgorithmVerifiesWhatItsKeySigned) {
  for (const Case& c : kCases) {
    EXPECT_EQ(check(c.algorithm, c.kid, "header.payload", c.key().sign(c.alg, "header.payload")),
              SignatureCheck::kGood)
        << c.alg;
  }
}

TEST(Signature, A3_6_AChangedMessageOrSignatureBitIsBad) {
  for (const Case& c : kCases) {
    const std::string signature = c.key().sign(c.alg, "header.payload");
    EXPECT_EQ(check(c.algorithm, c.kid, "header.payloae", signature), SignatureCheck::kBad) << c.alg;
    EXPECT_EQ(check(c.algorithm, c.kid, "", signature), SignatureCheck::kBad) << c.alg;
    for (std::size_t at = 0; at < signature.size(); at += 13) {
      std::string flipped = signature;
      flipped[at] = static_cast<char>(flipped[at] ^ 1);
      EXPECT_EQ(check(c.algorithm, c.kid, "header.payload", flipped), SignatureCheck::kBad)
          << c.alg << " " << at;
    }
  }
}

TEST(Signature, A3_1_A3_3_OnlyTheExactLengthIsTaken) {
  const std::string zero(1, '\0');
  for (const Case& c : kCases) {
    const std::string signature = c.key().sign(c.alg, "header.payload");
    for (const std::string& other :
         {zero + signature, signature + zero, signature.substr(1), signature.substr(0, signature.size() - 1),
          std::string(), signature + signature, std::string(100'000, 'a')}) {
      EXPECT_EQ(check(c.algorithm, c.kid, "header.payload", other), SignatureCheck::kBad)
          << c.alg << " " << other.size();
    }
  }
}

TEST(Signature, A3_3_APssSignatureWithItsLeadingZeroStrippedIsBad) {
  // One signature in 256 begins with a zero octet; OpenSSL takes it without.
  for (int i = 0; i < 100'000; ++i) {
    const std::string message = "message " + std::to_string(i);
    const std::string signature = rsa_key().sign("PS256", message);
    if (signature[0] != '\0') continue;
    EXPECT_EQ(check(Algorithm::kPS256, "rs", message, signature), SignatureCheck::kGood);
    EXPECT_EQ(check(Algorithm::kPS256, "rs", message, signature.substr(1)), SignatureCheck::kBad);
    return;
  }
  FAIL() << "no signature began with zero";
}

TEST(Signature, A3_3_AnRsaValueNotBelowTheModulusIsBad) {
  const std::string n = rsa_key().public_number("n");
  for (const Algorithm algorithm : {Algorithm::kRS256, Algorithm::kPS256}) {
    EXPECT_EQ(check(algorithm, "rs", "m", n), SignatureCheck::kBad);
    EXPECT_EQ(check(algorithm, "rs", "m", std::string(n.size(), '\xff')), SignatureCheck::kBad);
    EXPECT_EQ(check(algorithm, "rs", "m", std::string(n.size(), '\0')), SignatureCheck::kBad);
    EXPECT_EQ(check(algorithm, "rs", "m", std::string(n.size() - 1, '\0') + "\x01"), SignatureCheck::kBad);
  }
}

std::string order_of_p256() {
  return base64url_decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").value();
}

TEST(Signature, A3_1_DegenerateEcdsaValuesAreBad) {
  const std::string zero(32, '\0'), order = order_of_p256(), one = std::string(31, '\0') + "\x01";
  std::string below = order;
  below.back() = static_cast<char>(below.back() - 1);
  const std::string good = p256_key().sign("ES256", "m");
  for (const std::string& r : {zero, one, below, order, std::string(32, '\xff'), good.substr(0, 32)}) {
    for (const std::string& s : {zero, one, below, order, std::string(32, '\xff')}) {
      EXPECT_EQ(check(Algorithm::kES256, "es", "m", r + s), SignatureCheck::kBad)
          << base64url(r) << " " << base64url(s);
    }
  }
  EXPECT_EQ(check(Algorithm::kES256, "es", "m", zero + good.substr(32)), SignatureCheck::kBad);
}

TEST(Signature, A3_1_DerInsideAJwsIsBad) {
  std::string der = "\x30\x44\x02\x20" + std::string(32, '\x11') + "\x02\x20" + std::string(32, '\x11');
  EXPECT_EQ(check(Algorithm::kES256, "es", "m", der), SignatureCheck::kBad);
  EXPECT_EQ(check(Algorithm::kES256, "es", "m", der.substr(0, 64)), SignatureCheck::kBad);
}

TEST(Signature, A3_2_TheTwinOfAnEcdsaSignatureIsGoodToo) {
  for (const auto& [key, alg] :
       {std::pair{&p256_key(), "ES256"}, std::pair{&p384_key(), "ES384"}, std::pair{&p521_key(), "ES512"}}) {
    const std::string token = mint(*key, alg, R"({"alg":")" + std::string(alg) + "\"}", "payload");
    const std::string twin = malleated_twin(*key, token);
    EXPECT_NE(token, twin);
    EXPECT_EQ(verify_layer(token, all_keys()), Reason::kNone);
    EXPECT_EQ(verify_layer(twin, all_keys()), Reason::kNone);
    EXPECT_EQ(signing_input_digest(*split_compact_jws(token)),
              signing_input_digest(*split_compact_jws(twin)));
  }
}

TEST(Signature, A3_4_APssSaltOfAnotherLengthIsBad) {
  EXPECT_EQ(check(Algorithm::kPS256, "rs", "m", rsa_key().sign("PS256", "m", 32)), SignatureCheck::kGood);
  for (const int salt : {0, 8, 31, 33, 64, 222}) {
    EXPECT_EQ(check(Algorithm::kPS256, "rs", "m", rsa_key().sign("PS256", "m", salt)), SignatureCheck::kBad)
        << salt;
  }
}

TEST(Signature, A3_4_APssMaskOfAnotherHashIsBad) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* key_context = nullptr;
  ASSERT_EQ(EVP_DigestSignInit(context.get(), &key_context, EVP_sha256(), nullptr, rsa_key().pkey()), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_mgf1_md(key_context, EVP_sha1()), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, 32), 1);
  std::string signature(256, '\0');
  std::size_t length = signature.size();
  const unsigned char message[] = {'m'};
  ASSERT_EQ(
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length, message, 1),
      1);
  EXPECT_EQ(check(Algorithm::kPS256, "rs", "m", signature), SignatureCheck::kBad);
}

// s^d mod n of any block: what a signer with a broken padding routine would publish.
std::string sign_raw_block(const std::string& block) {
  const auto number = [](const char* name) {
    BIGNUM* value = nullptr;
    EXPECT_EQ(EVP_PKEY_get_bn_param(rsa_key().pkey(), name, &value), 1);
    return std::unique_ptr<BIGNUM, decltype(&BN_free)>(value, BN_free);
  };
  const auto n = number(OSSL_PKEY_PARAM_RSA_N), d = number(OSSL_PKEY_PARAM_RSA_D);
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_new(), BN_CTX_free);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> m(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(block.data()), static_cast<int>(block.size()),
                nullptr),
      BN_free);
  EXPECT_EQ(BN_mod_exp(m.get(), m.get(), d.get(), n.get(), context.get()), 1);
  std::string signature(256, '\0');
  EXPECT_EQ(BN_bn2binpad(m.get(), reinterpret_cast<unsigned char*>(signature.data()), 256), 256);
  return signature;
}

TEST(Signature, A3_4_EveryMutationOfThePkcs1PaddingIsBad) {
  const std::string prefix = base64url_decode("MDEwDQYJYIZIAWUDBAIBBQAEIA").value();  // DigestInfo of SHA-256
  std::string hash(32, '\0');
  ASSERT_EQ(EVP_Digest("m", 1, reinterpret_cast<unsigned char*>(hash.data()), nullptr, EVP_sha256(), nullptr),
            1);
  const std::string info = prefix + hash;
  const std::string block =
      std::string("\0\x01", 2) + std::string(256 - 3 - info.size(), '\xff') + std::string(1, '\0') + info;
  ASSERT_EQ(block.size(), 256u);
  ASSERT_EQ(check(Algorithm::kRS256, "rs", "m", sign_raw_block(block)), SignatureCheck::kGood);
  for (std::size_t at = 1; at < block.size(); ++at) {
    std::string mutated = block;
    mutated[at] = static_cast<char>(mutated[at] ^ 2);
    EXPECT_EQ(check(Algorithm::kRS256, "rs", "m", sign_raw_block(mutated)), SignatureCheck::kBad) << at;
  }
  // Short padding with room for a forger's bytes behind the hash, parameters left out, no DigestInfo at all.
  const std::string short_padding =
      std::string("\0\x01", 2) + std::string(8, '\xff') + std::string(1, '\0') + info;
  EXPECT_EQ(check(Algorithm::kRS256, "rs", "m",
                  sign_raw_block(short_padding + std::string(256 - short_padding.size(), 'x'))),
            SignatureCheck::kBad);
  const std::string bare =
      std::string("\0\x01", 2) + std::string(256 - 3 - 32, '\xff') + std::string(1, '\0') + hash;
  EXPECT_EQ(check(Algorithm::kRS256, "rs", "m", sign_raw_block(bare)), SignatureCheck::kBad);
}

TEST(Signature, A2_4_AKeyServesNoOtherAlgorithmThanItsOwn) {
  // The P-256 key signed SHA-384: mathematically good, and OpenSSL says so.
  const std::string crossed = p256_key().sign("ES384", "m");
  const VerificationKey& es = **all_keys().find("es", Algorithm::kES256);
  EXPECT_EQ(check_signature(Algorithm::kES384, es, "m", crossed), SignatureCheck::kBad);
  EXPECT_EQ(check_signature(Algorithm::kES256, es, "m", crossed), SignatureCheck::kBad);
  const auto keys = KeySet::parse(jwks({rsa_key().public_jwk("r", "RS256")}));
  ASSERT_TRUE(keys);
  const VerificationKey& rs256 = keys->keys()[0];
  EXPECT_EQ(check_signature(Algorithm::kRS256, rs256, "m", rsa_key().sign("RS256", "m")),
            SignatureCheck::kGood);
  EXPECT_EQ(check_signature(Algorithm::kPS256, rs256, "m", rsa_key().sign("PS256", "m")),
            SignatureCheck::kBad);
  EXPECT_EQ(check_signature(Algorithm::kRS384, rs256, "m", rsa_key().sign("RS384", "m")),
            SignatureCheck::kBad);
  EXPECT_EQ(check_signature(Algorithm::kEdDSA, rs256, "m", ed25519_key().sign("EdDSA", "m")),
            SignatureCheck::kBad);
}

}  // namespace
