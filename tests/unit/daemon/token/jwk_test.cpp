#include "daemon/token/jwk.hpp"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include "daemon/token/base64url.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/key_material.hpp"
#include "daemon/token/weak_keys.hpp"
#include "tests/unit/daemon/token/token_fixture.hpp"

namespace {

using namespace authcache_test;
using authcached::Algorithm;
using authcached::import_jwk;
using authcached::KeyFault;
using authcached::KeyRefusal;
using authcached::VerificationKey;

std::expected<VerificationKey, KeyRefusal> import_text(const std::string& text) {
  return import_jwk(authcached::parse_json(text, authcached::kKeySetJson).value().get_object());
}

std::optional<KeyFault> fault_of(const std::string& text) {
  const auto key = import_text(text);
  if (key) return std::nullopt;
  EXPECT_FALSE(key.error().sentence.empty());
  return key.error().fault;
}

std::string rsa_jwk(std::string_view n, std::string_view e) {
  return R"({"kty":"RSA","n":")" + base64url(n) + R"(","e":")" + base64url(e) + "\"}";
}
std::string ec_jwk(std::string_view crv, std::string_view x, std::string_view y) {
  return R"({"kty":"EC","crv":")" + std::string(crv) + R"(","x":")" + base64url(x) + R"(","y":")" +
         base64url(y) + "\"}";
}
std::string ed_jwk(std::string_view x) {
  return R"({"kty":"OKP","crv":"Ed25519","x":")" + base64url(x) + "\"}";
}

const std::string kF4("\x01\x00\x01", 3);

std::string thumbprint_text(const VerificationKey& key) {
  return base64url({reinterpret_cast<const char*>(key.thumbprint.data()), key.thumbprint.size()});
}

TEST(Jwk, TheThumbprintIsTheOneOfRfc7638) {
  const auto key = import_text(
      R"({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7)"
      R"(aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0)"
      R"(h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD0)"
      R"(8qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJ)"
      R"(zKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"})");
  ASSERT_TRUE(key) << key.error().sentence;
  EXPECT_EQ(thumbprint_text(*key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  EXPECT_EQ(key->kid, "2011-04-29");
  EXPECT_EQ(key->algorithms, std::vector{Algorithm::kRS256});
}

TEST(Jwk, TheThumbprintOfAnEd25519KeyIsTheOneOfRfc8037) {
  const auto key =
      import_text(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
  ASSERT_TRUE(key) << key.error().sentence;
  EXPECT_EQ(thumbprint_text(*key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

TEST(Jwk, KidAlgAndUseDoNotChangeTheThumbprint) {
  const auto plain = import_text(p256_key().public_jwk());
  const auto named = import_text(p256_key().public_jwk("k", "ES256", R"("use":"sig","x5c":["AA"])"));
  ASSERT_TRUE(plain && named);
  EXPECT_EQ(plain->thumbprint, named->thumbprint);
}

TEST(Jwk, EachKindServesItsOwnAlgorithmsOnly) {
  using enum Algorithm;
  EXPECT_EQ(import_text(p256_key().public_jwk())->algorithms, std::vector{kES256});
  EXPECT_EQ(import_text(p384_key().public_jwk())->algorithms, std::vector{kES384});
  EXPECT_EQ(import_text(p521_key().public_jwk())->algorithms, std::vector{kES512});
  EXPECT_EQ(import_text(ed25519_key().public_jwk())->algorithms, std::vector{kEdDSA});
  EXPECT_EQ(import_text(ed25519_key().public_jwk("", "Ed25519"))->algorithms, std::vector{kEdDSA});
  EXPECT_EQ(import_text(rsa_key().public_jwk("", "PS384"))->algorithms, std::vector{kPS384});
  EXPECT_EQ(import_text(rsa_key().public_jwk())->algorithms,
            (std::vector{kRS256, kRS384, kRS512, kPS256, kPS384, kPS512}));
}

TEST(Jwk, A4_1_UnknownTypesAndCurvesAreUnsupported) {
  const std::string x(32, '\x09');
  for (const std::string& text :
       {std::string(R"({"kty":"AKP","alg":"ML-DSA-44","pub":"AA"})"), ec_jwk("secp256k1", x, x),
        R"({"kty":"OKP","crv":"Ed448","x":")" + base64url(std::string(57, 'a')) + "\"}",
        R"({"kty":"OKP","crv":"X25519","x":")" + base64url(x) + "\"}",
        std::string(R"({"kty":"rsa","n":"AQAB","e":"AQAB"})")}) {
    EXPECT_EQ(fault_of(text), KeyFault::kUnsupported) << text;
  }
}

TEST(Jwk, A4_1_MissingMembersAndWrongTypesAreMalformed) {
  for (const char* text :
       {"{}", R"({"kty":1})", R"({"kty":"RSA","e":"AQAB"})", R"({"kty":"RSA","n":1,"e":"AQAB"})",
        R"({"kty":"EC","x":"AA","y":"AA"})", R"({"kty":"EC","crv":"P-256","x":"AA"})",
        R"({"kty":"EC","crv":["P-256"],"x":"AA","y":"AA"})", R"({"kty":"OKP","crv":"Ed25519"})",
        R"({"kty":"OKP","crv":"Ed25519","x":"AA=="})", R"({"kty":"OKP","crv":"Ed25519","x":"AB"})"}) {
    EXPECT_EQ(fault_of(text), KeyFault::kMalformed) << text;
  }
}

TEST(Jwk, A4_2_AnRsaModulusOutsideItsLengthsIsWeak) {
  EXPECT_EQ(fault_of(SigningKey::generate_rsa(1024).public_jwk()), KeyFault::kWeak);
  const std::string n = rsa_key().public_number("n");
  std::string bits2047 = n;
  bits2047[0] = static_cast<char>(bits2047[0] & 0x7f);
  EXPECT_EQ(fault_of(rsa_jwk(bits2047, kF4)), KeyFault::kWeak);
  const auto lengthy = import_text(rsa_jwk(std::string(1, '\x01') + std::string(1023, '\0') + "\x01", kF4));
  ASSERT_FALSE(lengthy);
  EXPECT_NE(lengthy.error().sentence.find("8193 bits"), std::string::npos) << lengthy.error().sentence;
  EXPECT_EQ(fault_of(rsa_jwk(std::string(2501, '\xff'), kF4)), KeyFault::kWeak);
  EXPECT_EQ(fault_of(rsa_jwk("", kF4)), KeyFault::kWeak);
}

TEST(Jwk, A4_2_AnRsaExponentThatIsSmallEvenOrHugeIsWeak) {
  const std::string n = rsa_key().public_number("n");
  const auto exponent = [&](std::string_view bytes) { return fault_of(rsa_jwk(n, bytes)); };
  EXPECT_EQ(exponent("\x01"), KeyFault::kWeak);
  EXPECT_EQ(exponent("\x02"), KeyFault::kWeak);
  EXPECT_EQ(exponent("\x03"), KeyFault::kWeak);
  EXPECT_EQ(exponent("\xff\xff"), KeyFault::kWeak);  // 65535
  EXPECT_EQ(exponent(std::string_view("\x01\x00\x02", 3)), KeyFault::kWeak);
  EXPECT_EQ(exponent(std::string_view("\x02\x00\x00\x00\x01", 5)), KeyFault::kWeak);  // 2^33 + 1
  EXPECT_EQ(exponent(std::string(32, '\x01')), KeyFault::kWeak);
  EXPECT_EQ(exponent("\x01\xff\xff\xff\xff"), std::nullopt);  // 2^33 - 1
  EXPECT_EQ(exponent(""), KeyFault::kMalformed);
  EXPECT_EQ(exponent(std::string_view("\x00\x01\x00\x01", 4)), KeyFault::kMalformed);  // leading zero
}

TEST(Jwk, A4_2_AnEvenExponentIsRefusedBeforeOpenSslSeesIt) {
  const auto key = import_text(rsa_jwk(rsa_key().public_number("n"), std::string_view("\x01\x00\x02", 3)));
  ASSERT_FALSE(key);
  EXPECT_NE(key.error().sentence.find("odd"), std::string::npos) << key.error().sentence;
}

TEST(Jwk, A4_2_AModulusWithALeadingZeroOctetIsRefused) {
  EXPECT_EQ(fault_of(rsa_jwk(std::string(1, '\0') + rsa_key().public_number("n"), kF4)),
            KeyFault::kMalformed);
  EXPECT_EQ(fault_of(rsa_jwk(rsa_key().public_number("n"), kF4)), std::nullopt);
}

TEST(Jwk, A4_2_AnEvenOrPrimeModulusIsRefused) {
  std::string even = rsa_key().public_number("n");
  even.back() = static_cast<char>(even.back() & 0xfe);
  EXPECT_EQ(fault_of(rsa_jwk(even, kF4)), KeyFault::kWeak);
}

// Two primes of the form k * M + (65537^a mod M), as the flawed library chose them; 1025 bits, so that their
// product has no fewer than 2048.
std::string roca_modulus() {
  using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_new(), BN_CTX_free);
  const auto number = [] { return Number(BN_new(), BN_free); };
  auto primorial = number(), generator = number(), power = number(), residue = number(), p = number(),
       q = number(), n = number();
  BN_one(primorial.get());
  for (unsigned i = 2; i <= 167; ++i) {
    bool prime = true;
    for (unsigned d = 2; d * d <= i; ++d) prime = prime && i % d != 0;
    if (prime) BN_mul_word(primorial.get(), i);
  }
  BN_set_word(generator.get(), 65537);
  for (auto [factor, exponent] : {std::pair{p.get(), 12345u}, std::pair{q.get(), 98765u}}) {
    BN_set_word(power.get(), exponent);
    BN_mod_exp(residue.get(), generator.get(), power.get(), primorial.get(), context.get());
    EXPECT_EQ(BN_generate_prime_ex(factor, 1025, 0, primorial.get(), residue.get(), nullptr), 1);
  }
  BN_mul(n.get(), p.get(), q.get(), context.get());
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(n.get())), '\0');
  BN_bn2bin(n.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  return bytes;
}

TEST(Jwk, A4_2_ARocaModulusIsWeakAndAnHonestOneIsNot) {
  const std::string modulus = roca_modulus();
  EXPECT_TRUE(authcached::has_roca_fingerprint(modulus));
  EXPECT_FALSE(authcached::has_roca_fingerprint(rsa_key().public_number("n")));
  const auto key = import_text(rsa_jwk(modulus, kF4));
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().fault, KeyFault::kWeak);
  EXPECT_NE(key.error().sentence.find("ROCA"), std::string::npos) << key.error().sentence;
}

TEST(Jwk, A4_3_APointThatIsNotOnItsCurveIsRefused) {
  const std::string x = p256_key().public_number("x");
  std::string y = p256_key().public_number("y");
  EXPECT_EQ(fault_of(ec_jwk("P-256", x, y)), std::nullopt);
  y.back() = static_cast<char>(y.back() ^ 1);
  EXPECT_EQ(fault_of(ec_jwk("P-256", x, y)), KeyFault::kMalformed);
  const std::string zero(32, '\0');
  EXPECT_EQ(fault_of(ec_jwk("P-256", zero, zero)), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(ec_jwk("P-256", std::string(32, '\xff'), y)), KeyFault::kMalformed);
}

TEST(Jwk, A4_3_CoordinatesMustHaveTheExactLengthOfTheCurve) {
  const std::string x = p256_key().public_number("x"), y = p256_key().public_number("y");
  const std::string zero(1, '\0');
  EXPECT_EQ(fault_of(ec_jwk("P-256", zero + x, y)), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(ec_jwk("P-256", x, zero + y)), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(ec_jwk("P-256", x.substr(1), y)), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(ec_jwk("P-384", x, y)), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(ec_jwk("P-256", "", "")), KeyFault::kMalformed);  // infinity
  EXPECT_EQ(fault_of(ec_jwk("P-256", x, "")), KeyFault::kMalformed);   // compressed
  EXPECT_EQ(fault_of(ec_jwk("P-521", p521_key().public_number("x").substr(1), p521_key().public_number("y"))),
            KeyFault::kMalformed);
}

// The same 65 octets reach OpenSSL; the thumbprint would be another.
TEST(Jwk, A4_3_AnOctetMovedFromOneCoordinateToTheOtherIsNoSecondSpelling) {
  const std::string x = p256_key().public_number("x"), y = p256_key().public_number("y");
  EXPECT_EQ(fault_of(ec_jwk("P-256", x + y.substr(0, 1), y.substr(1))), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(ec_jwk("P-256", x.substr(0, 31), x.substr(31) + y)), KeyFault::kMalformed);
}

TEST(Jwk, A4_4_SmallOrderAndUnreducedEd25519PointsAreWeak) {
  // Little-endian y and the sign of x: the eight points whose order divides 8, then the same values written
  // otherwise.
  const std::string zeros(31, '\0'), ones(30, '\xff');
  const std::string order8_a =
      authcached::base64url_decode("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU").value();
  const std::string order8_b =
      authcached::base64url_decode("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o").value();
  const auto negated = [](std::string point) {
    point.back() = static_cast<char>(point.back() | 0x80);
    return point;
  };
  const std::vector<std::string> weak{
      "\x01" + zeros,          // order 1
      "\xec" + ones + "\x7f",  // order 2
      std::string(32, '\0'),
      negated(std::string(32, '\0')),  // order 4
      order8_a,
      negated(order8_a),
      order8_b,
      negated(order8_b),
      negated("\x01" + zeros),
      negated("\xec" + ones + "\x7f"),  // minus zero
      "\xed" + ones + "\x7f",
      "\xee" + ones + "\x7f",
      negated("\xed" + ones + "\x7f"),  // p and p + 1
      std::string(32, '\xff'),
      "\xff" + ones + "\x7f",
  };
  for (const std::string& point : weak) {
    ASSERT_EQ(point.size(), 32u);
    EXPECT_EQ(fault_of(ed_jwk(point)), KeyFault::kWeak) << base64url(point);
  }
  EXPECT_EQ(fault_of(ed_jwk(ed25519_key().public_number("x"))), std::nullopt);
  EXPECT_EQ(fault_of(ed_jwk("\x02" + zeros)), std::nullopt);  // another y is not caught by the net
}

TEST(Jwk, A4_4_AnEd25519PointMustHave32Octets) {
  const std::string x = ed25519_key().public_number("x");
  EXPECT_EQ(fault_of(ed_jwk(x.substr(1))), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(ed_jwk(x + "a")), KeyFault::kMalformed);
}

TEST(Jwk, A4_5_SymmetricKeysAndPrivateMembersAreRefused) {
  EXPECT_EQ(fault_of(R"({"kty":"oct","k":"AAAA"})"), KeyFault::kSymmetric);
  for (const char* name : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    const std::string member = std::string("\"") + name + R"(":"AQ")";
    EXPECT_EQ(fault_of(rsa_key().public_jwk("", "", member)), KeyFault::kPrivate) << name;
    EXPECT_EQ(fault_of(ed25519_key().public_jwk("", "", member)), KeyFault::kPrivate) << name;
  }
}

TEST(Jwk, A4_6_AKeyForAnotherPurposeIsRefused) {
  const auto with = [](std::string_view extra) { return fault_of(p256_key().public_jwk("", "", extra)); };
  EXPECT_EQ(with(R"("use":"enc")"), KeyFault::kPurpose);
  EXPECT_EQ(with(R"("use":"Sig")"), KeyFault::kPurpose);
  EXPECT_EQ(with(R"("use":["sig"])"), KeyFault::kMalformed);
  EXPECT_EQ(with(R"("key_ops":["sign"])"), KeyFault::kPurpose);
  EXPECT_EQ(with(R"("key_ops":[])"), KeyFault::kPurpose);
  EXPECT_EQ(with(R"("key_ops":"verify")"), KeyFault::kMalformed);
  EXPECT_EQ(with(R"("key_ops":["verify","verify"])"), KeyFault::kMalformed);
  EXPECT_EQ(with(R"("use":"sig","key_ops":["verify","encrypt"])"), KeyFault::kPurpose);
  EXPECT_EQ(with(R"("use":"enc","key_ops":["verify"])"), KeyFault::kPurpose);
  EXPECT_EQ(with(R"("use":"sig","key_ops":["verify"])"), std::nullopt);
  EXPECT_EQ(with(R"("key_ops":["sign","verify"])"), std::nullopt);
}

TEST(Jwk, A4_6_AnAlgThatDoesNotGoWithTheKeyIsRefused) {
  EXPECT_EQ(fault_of(p256_key().public_jwk("", "ES384")), KeyFault::kPurpose);
  EXPECT_EQ(fault_of(p256_key().public_jwk("", "RS256")), KeyFault::kPurpose);
  EXPECT_EQ(fault_of(rsa_key().public_jwk("", "ES256")), KeyFault::kPurpose);
  EXPECT_EQ(fault_of(rsa_key().public_jwk("", "RSA-OAEP")), KeyFault::kUnsupported);
  EXPECT_EQ(fault_of(rsa_key().public_jwk("", "HS256")), KeyFault::kUnsupported);
  EXPECT_EQ(fault_of(ed25519_key().public_jwk("", "ES256")), KeyFault::kPurpose);
  EXPECT_EQ(fault_of(rsa_key().public_jwk("", "", R"("alg":7)")), KeyFault::kMalformed);
}

TEST(Jwk, AKidMustBeAShortTextWithoutControlCharacters) {
  for (const std::string& kid : {std::string(R"("")"), std::string("7"), std::string(R"("a\u0000b")"),
                                 std::string(R"("a\nb")"), "\"" + std::string(257, 'k') + "\""}) {
    EXPECT_EQ(fault_of(p256_key().public_jwk("", "", "\"kid\":" + kid)), KeyFault::kMalformed) << kid;
  }
  EXPECT_EQ(fault_of(p256_key().public_jwk(std::string(256, 'k'))), std::nullopt);
}

}  // namespace
