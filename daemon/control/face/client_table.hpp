// OAuth client authentication (RFC 6749 section 2.3.1) for those who may introspect and revoke: names and
// hashes of secrets, read from the files that the configuration names. Loop thread only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "shm/result.hpp"

namespace authcached {

class ClientTable {
 public:
  struct Client {
    std::string name;
    Sha256 secret{};
    bool may_introspect = false;
    bool may_revoke = false;
  };

  // Every file must hold 64 hex digits, with white space or a file name (as sha256sum prints) behind them at
  // most.
  [[nodiscard]] static authcache::shm::Result<ClientTable> load(const std::vector<HttpClientConfig>& clients);

  // The time taken does not tell how much of a secret was right.
  [[nodiscard]] const Client* find(std::string_view name, std::string_view secret) const;

 private:
  std::vector<Client> clients_;
};

struct Credentials {
  std::string name;
  std::string secret;
  Credentials(std::string n, std::string s) : name(std::move(n)), secret(std::move(s)) {}
  Credentials(Credentials&&) = default;
  Credentials& operator=(Credentials&&) = default;
  ~Credentials();
};
// Of an Authorization header with the scheme Basic; name and secret are form-encoded within it. Nothing if it
// is anything else.
[[nodiscard]] std::optional<Credentials> basic_credentials(std::string_view header);

}  // namespace authcached
