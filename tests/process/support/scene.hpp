// What most cases begin with: an issuer, the key set it publishes, and a daemon that trusts it. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/process/support/client.hpp"
#include "tests/process/support/daemon_process.hpp"
#include "tests/support/jwt_mint.hpp"

namespace authcache_test {

inline constexpr const char* kIssuer = "https://issuer.example";
inline constexpr const char* kAudience = "https://api.example";

[[nodiscard]] std::int64_t now_seconds();
[[nodiscard]] std::string random_token();  // 43 characters, as our own sessions have them

class Issuer {
 public:
  Issuer();

  // Fresh claims: kIssuer, kAudience, alice, a jti of its own, scope "read write", 300 s from now.
  [[nodiscard]] Claims claims();
  [[nodiscard]] std::string es256(const Claims& claims) const;
  [[nodiscard]] std::string es256() { return es256(claims()); }
  [[nodiscard]] std::string rs256();
  [[nodiscard]] std::string eddsa();
  [[nodiscard]] std::string key_set() const;
  [[nodiscard]] const SigningKey& ec() const { return ec_; }

 private:
  SigningKey rsa_, ec_, ed_;
  std::uint64_t tokens_ = 0;
};

struct Settings {
  std::string heartbeat_timeout = "10s";
  std::uint64_t capacity = 10'000;
  std::string log_level = "info";
  std::string limits = {};  // lines of [limits]
  std::string api = {};     // further lines of [profile.api]
  std::string algorithms = R"("RS256", "ES256", "EdDSA")";
  std::string sessions = {};  // further lines of [profile.sessions]
  std::string more = {};      // further sections
};

struct Scene {
  Issuer issuer;
  DaemonProcess daemon;
  Settings settings;

  explicit Scene(Settings chosen = {});
  // Writes the configuration and the key set as they now should be.
  void configure() const;
  void start(DaemonProcess::First first = DaemonProcess::First::kYes) { daemon.start(first); }
  [[nodiscard]] std::filesystem::path jwks_file() const { return daemon.scratch("jwks.json"); }
  [[nodiscard]] std::filesystem::path state_db() const { return daemon.state_dir() / "state.db"; }
  [[nodiscard]] std::filesystem::path sessions_db() const { return daemon.state_dir() / "sessions.db"; }
  // Creates sessions with authctl; their tokens.
  [[nodiscard]] std::vector<std::string> create_sessions(unsigned count,
                                                         std::vector<std::string> options = {}) const;
  [[nodiscard]] std::string create_session(std::vector<std::string> options = {}) const {
    return create_sessions(1, std::move(options)).at(0);
  }
};

[[nodiscard]] inline Question api(std::string token) { return {.profile = "api", .token = std::move(token)}; }
[[nodiscard]] inline Question session(std::string token) {
  return {.profile = "sessions", .token = std::move(token)};
}

}  // namespace authcache_test
