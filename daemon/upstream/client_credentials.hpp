// How the daemon says who it is at an issuer's endpoint: client_secret_basic, client_secret_post (RFC 6749 section 2.3.1)
// or private_key_jwt (RFC 7523). Read from files, wiped at the end, in no error and no log. Immutable: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/client_key.hpp"
#include "daemon/base/config.hpp"
#include "daemon/base/secret_file.hpp"
#include "daemon/io/http_client.hpp"
#include "shm/result.hpp"

namespace authcached {

// An assertion is used once and at once; the rest is for clocks that differ.
inline constexpr std::int64_t kAssertionSeconds = 60;

class ClientCredentials {
 public:
  // Reads the profile's secret or key file: blocks.
  [[nodiscard]] static authcache::shm::Result<std::shared_ptr<const ClientCredentials>> read(const ProfileConfig& profile);

  // True if authenticate takes the time of a signature and belongs to a worker.
  [[nodiscard]] bool signs() const { return key_.has_value(); }

  // Adds to a form request what proves the client; the form's other fields may stand in the body already.
  [[nodiscard]] authcache::shm::Result<void> authenticate(HttpRequest& request, std::int64_t wall_now_ns) const;

 private:
  ClientCredentials() = default;
  [[nodiscard]] authcache::shm::Result<std::string> assertion(std::int64_t wall_now_ns) const;

  ClientAuth auth_ = ClientAuth::kSecretBasic;
  std::string client_id_;
  SecretText secret_;       // client_secret_post
  SecretText basic_;        // client_secret_basic: the header's whole value
  std::optional<ClientKey> key_;
  std::string header_;      // of assertions, as JSON
  std::string audience_;
};

// Appends name=value as a form has them (RFC 6749 appendix B), behind an & where something stands before it. What the
// string outgrows is wiped.
void append_form_field(std::string& form, std::string_view name, std::string_view value);

}  // namespace authcached
