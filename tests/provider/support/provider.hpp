// The real OpenID provider (npm oidc-provider) as a process of its own; provider.mjs says what it can be told. It keeps
// its port and keys in the directory given, so that it can be killed and come back as the same issuer. One thread.
#pragma once

#include <signal.h>

#include <boost/json/object.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shm/unique_fd.hpp"
#include "tests/process/support/child_process.hpp"
#include "tests/support/jwt_mint.hpp"
#include "tests/support/test_ca.hpp"

namespace authcache_test {

// What a token is for, and thereby its form.
inline constexpr std::string_view kOpaqueApi = "urn:test:api:opaque";
inline constexpr std::string_view kEs256Api = "urn:test:api:es256";
inline constexpr std::string_view kRs256Api = "urn:test:api:rs256";

class Provider {
 public:
  // Why it cannot run here, as a sentence; empty if it can.
  [[nodiscard]] static std::string missing();

  explicit Provider(std::filesystem::path directory);

  void start();  // and waits until it answers; std::runtime_error if it does not
  void kill();   // SIGKILL, and waits until it is gone
  void suspend() const { child_->signal(SIGSTOP); }
  void resume() const { child_->signal(SIGCONT); }

  [[nodiscard]] const std::string& issuer() const { return issuer_; }
  [[nodiscard]] const std::filesystem::path& ca_file() const { return ca_.file(); }
  [[nodiscard]] const authcached::testing::TestCa& ca() const { return ca_; }  // for servers in its place
  [[nodiscard]] const std::filesystem::path& secret_file() const { return secret_file_; }
  [[nodiscard]] const std::filesystem::path& client_key_file() const { return client_key_file_; }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

  [[nodiscard]] std::vector<std::string> issue(std::string_view api, std::size_t count);
  [[nodiscard]] std::string issue(std::string_view api) { return issue(api, 1).at(0); }
  // The endpoint's status and body for it.
  boost::json::object revoke(std::string_view token) { return tell("revoke", {{"token", token}}); }
  boost::json::object introspect(std::string_view token) { return tell("introspect", {{"token", token}}); }
  boost::json::object tell(std::string_view command, boost::json::object rest = {});
  // How often a path was asked for.
  [[nodiscard]] std::int64_t asked(std::string_view path);

 private:
  [[nodiscard]] boost::json::object read_line();

  std::filesystem::path directory_;
  authcached::testing::TestCa ca_;
  SigningKey client_key_ = SigningKey::generate(KeyKind::kP256);
  std::filesystem::path secret_file_, client_key_file_;
  authcache::shm::UniqueFd input_, output_;  // ours
  std::unique_ptr<ChildProcess> child_;
  std::string issuer_, received_;
};

}  // namespace authcache_test
