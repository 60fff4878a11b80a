// Makes an issuer for the demonstration: real keys, the key set as the issuer would publish it, and tokens good and bad.
// usage: demo_mint DIRECTORY. Writes jwks.json and tokens: label, profile, expected verdict, token, split by tabs.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/support/jwt_mint.hpp"

namespace {

using namespace authcache_test;

constexpr const char* kIssuer = "https://issuer.example";
constexpr const char* kAudience = "https://api.example";

std::string tampered(std::string token) {
  // A letter of the payload changes; the signature stays.
  char& letter = token[token.find('.') + 20];
  letter = letter == 'A' ? 'B' : 'A';
  return token;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: demo_mint DIRECTORY\n";
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const SigningKey rsa = SigningKey::generate(KeyKind::kRsa);
  const SigningKey ec = SigningKey::generate(KeyKind::kP256);
  const SigningKey ed = SigningKey::generate(KeyKind::kEd25519);
  std::ofstream(directory / "jwks.json") << jwks({rsa.public_jwk("rsa-1", "RS256"), ec.public_jwk("ec-1", "ES256"), ed.public_jwk("ed-1", "EdDSA")});

  std::ofstream tokens(directory / "tokens");
  const auto add = [&](const char* label, const char* expected, const std::string& token) {
    tokens << label << "\tapi\t" << expected << '\t' << token << '\n';
  };
  const auto claims = [&](const char* jti) { return Claims(kIssuer, kAudience, now).text("jti", jti).text("scope", "read write"); };
  const std::string good = mint_access_token(rsa, "RS256", "rsa-1", claims("d-1").json());
  add("RS256 JWT", "valid", good);
  add("ES256 JWT", "valid", mint_access_token(ec, "ES256", "ec-1", claims("d-2").json()));
  add("EdDSA JWT", "valid", mint_access_token(ed, "EdDSA", "ed-1", claims("d-3").json()));
  add("tampered JWT", "invalid", tampered(good));
  add("expired JWT", "invalid",
      mint_access_token(ec, "ES256", "ec-1", Claims(kIssuer, kAudience, now - 600).text("jti", "d-4").json()));
  add("wrong audience", "invalid",
      mint_access_token(ec, "ES256", "ec-1", Claims(kIssuer, "https://other.example", now).text("jti", "d-5").json()));
  return tokens.good() ? 0 : 1;
}
