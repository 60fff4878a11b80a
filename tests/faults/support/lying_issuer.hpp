// A server in an issuer's place that answers every question with one kind of lie: its metadata, its key set
// and its introspection endpoint. Whose issuer it plays it takes from the request's Host. Where it does not
// garble its answers it says what an attacker would: every token is active, and the keys are the attacker's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/support/fault_server.hpp"

namespace authcache_test {

enum class Lie : std::uint8_t {
  kNone,           // the attacker's answers, well formed
  kHtml,           // 200 with a page
  kWrongType,      // "active": "true"; "keys" is a text
  kHuge,           // a body beyond every bound
  kAnotherIssuer,  // metadata and answers name somebody else
  kEmpty,          // {} and {"keys": []}
  kGzip,           // Content-Encoding: gzip, and no gzip in it
  kServerError,    // 500 with an answer in it
  kRedirect,       // to another origin
};

class LyingIssuer {
 public:
  LyingIssuer(authcached::testing::Leaf leaf, Lie lie, std::string attackers_jwks);

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  [[nodiscard]] int connections() const { return server_->connections(); }

 private:
  void serve(authcached::testing::ServerSide& side) const;
  // The whole answer to the request with this head.
  [[nodiscard]] std::string answer(const std::string& head) const;
  [[nodiscard]] std::string honest_looking_body(const std::string& head) const;

  Lie lie_;
  std::string jwks_;
  std::unique_ptr<authcached::testing::FaultServer> server_;
};

}  // namespace authcache_test
