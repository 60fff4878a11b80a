// The SDK in this process, its answers as words: "valid", "miss", "invalid/expired",
// "unavailable/heartbeat_stale". One thread.
#pragma once

#include <authcache/authcache.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace authcache_test {

// What is asked of one token. Empty texts ask nothing.
struct Question {
  std::string profile, token;
  std::string audience = {}, scope = {}, permission = {};
  int timeout_ms = 5'000;
};

// A DPoP proof and the request it is shown with.
struct Shown {
  std::string proof, method, url, token;
  std::string nonce = {};  // empty: none is asked for
  int timeout_ms = 5'000;
};

class Client {
 public:
  // A refused table leaves a client that answers "not open"; refused() then says why.
  explicit Client(const std::filesystem::path& runtime_dir, std::uint32_t flags = 0);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  [[nodiscard]] const std::string& refused() const { return refused_; }
  [[nodiscard]] std::string lookup(const Question& question) { return ask(question, false); }
  [[nodiscard]] std::string validate(const Question& question) { return ask(question, true); }
  // Keeps the thumbprint for validate_shown; without one that binds a refusal leaves "usage_error".
  [[nodiscard]] std::string prove(const Shown& shown);
  [[nodiscard]] std::string validate_shown(const Question& question);
  // The same with a TLS client certificate in place of a proof.
  [[nodiscard]] std::string validate_with_certificate(const Question& question, const std::string& certificate);
  [[nodiscard]] std::string subject();  // of the last answer
  [[nodiscard]] const authcache_identity& identity() const { return identity_; }
  [[nodiscard]] std::uint64_t generation();  // the attached one's, 0: none
  [[nodiscard]] authcache_client* handle() { return client_; }
  [[nodiscard]] authcache_requirement* requirement(const Question& question);

 private:
  std::string ask(const Question& question, bool may_ask_daemon);

  authcache_client* client_ = nullptr;
  std::string refused_;
  std::map<std::string, authcache_requirement*> requirements_;
  authcache_thumbprint thumbprint_{};
  authcache_identity identity_ = AUTHCACHE_IDENTITY_INIT;
};

}  // namespace authcache_test
