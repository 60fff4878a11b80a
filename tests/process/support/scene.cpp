#include "tests/process/support/scene.hpp"

#include <sys/random.h>

#include <boost/json/array.hpp>
#include <chrono>
#include <stdexcept>

namespace authcache_test {

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string random_token() {
  char bytes[32];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) throw std::runtime_error("no random bytes");
  return base64url({bytes, sizeof bytes});
}

Issuer::Issuer()
    : rsa_(SigningKey::generate(KeyKind::kRsa)),
      ec_(SigningKey::generate(KeyKind::kP256)),
      ed_(SigningKey::generate(KeyKind::kEd25519)) {}

Claims Issuer::claims() {
  Claims claims(kIssuer, kAudience, now_seconds());
  claims.text("jti", "t-" + std::to_string(++tokens_)).text("scope", "read write");
  return claims;
}

std::string Issuer::es256(const Claims& claims) const {
  return mint_access_token(ec_, "ES256", "ec-1", claims.json());
}
std::string Issuer::rs256() { return mint_access_token(rsa_, "RS256", "rsa-1", claims().json()); }
std::string Issuer::eddsa() { return mint_access_token(ed_, "EdDSA", "ed-1", claims().json()); }

std::string Issuer::key_set() const {
  return jwks(
      {rsa_.public_jwk("rsa-1", "RS256"), ec_.public_jwk("ec-1", "ES256"), ed_.public_jwk("ed-1", "EdDSA")});
}

Scene::Scene(Settings chosen) : settings(std::move(chosen)) { configure(); }

void Scene::configure() const {
  if (!std::filesystem::exists(jwks_file())) replace_file(jwks_file(), issuer.key_set());
  const std::string jwks_profile = std::string("upstream = \"jwks\"\nissuer = \"") + kIssuer +
                                   "\"\naudience = [\"" + kAudience + "\"]\njwks_file = \"" +
                                   jwks_file().string() + "\"\n";
  daemon.configure(
      "log_level = \"" + settings.log_level + "\"\n[table]\ncapacity = " + std::to_string(settings.capacity) +
      "\nheartbeat_timeout = \"" + settings.heartbeat_timeout + "\"\n[limits]\n" + settings.limits +
      "\n[profile.sessions]\nupstream = \"sqlite\"\n" + settings.sessions + "\n[profile.api]\n" +
      jwks_profile + "algorithms = [" + settings.algorithms + "]\n" + settings.api +
      // Trusts the same issuer, and is told apart by its leeway.
      "\n[profile.twin]\n" + jwks_profile + "algorithms = [\"ES256\"]\nleeway = \"7s\"\n" + settings.more);
}

std::vector<std::string> Scene::create_sessions(unsigned count, std::vector<std::string> options) const {
  std::vector<std::string> line{"session", "create", "--subject", "alice", "--count", std::to_string(count),
                                "--json"};
  for (std::string& option : options) line.push_back(std::move(option));
  const Ran ran = daemon.authctl(line);
  if (ran.exit != 0) throw std::runtime_error("session create: " + ran.out + ran.err);
  std::vector<std::string> tokens;
  const boost::json::object document = ran.json();
  for (const auto& each : document.at("sessions").as_array())
    tokens.emplace_back(each.at("token").as_string());
  return tokens;
}

}  // namespace authcache_test
