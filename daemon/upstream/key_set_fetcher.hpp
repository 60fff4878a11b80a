// One fetch of an issuer's key set: its metadata first where the URL is not configured or that metadata is out of date,
// then the set itself, conditionally where the server gave a tag for the last one. What arrives is parsed by a worker,
// because checking the keys of a large set takes seconds. Loop thread only; no other thread ever holds it, as it must end
// there with its client.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/io/http_client.hpp"
#include "daemon/token/key_set.hpp"
#include "shm/result.hpp"

namespace authcached {

struct FetchedKeys {
  std::optional<KeySet> keys;  // nothing: still the same as last time
  std::int64_t fresh_ns = 0;   // from now
};

class KeySetFetcher : public std::enable_shared_from_this<KeySetFetcher> {
 public:
  using Done = std::move_only_function<void(authcache::shm::Result<FetchedKeys>)>;

  // jwks_url empty: found by the issuer's metadata.
  KeySetFetcher(std::string issuer, std::string jwks_url, std::shared_ptr<HttpClient> client, Executor& reader, Executor& loop,
                const Clock& clock);

  // done is called exactly once, on the loop, never from within. One fetch at a time.
  void fetch(Done done);

  [[nodiscard]] const std::string& url() const { return url_; }  // empty: not discovered yet
  [[nodiscard]] const HttpClient& client() const { return *client_; }

 private:
  void discover(std::size_t attempt);
  void discovered(std::size_t attempt, authcache::shm::Result<HttpResponse> response);
  void get_keys();
  void got_keys(authcache::shm::Result<HttpResponse> response);
  void parse(std::string body, const Sha256& digest, std::optional<std::string> tag, std::int64_t fresh_ns);
  void parsed(authcache::shm::Result<KeySet> keys, const Sha256& digest, std::optional<std::string> tag, std::int64_t fresh_ns);
  void fail(std::string sentence);
  void finish(authcache::shm::Result<FetchedKeys> result);
  [[nodiscard]] HttpRequest request(std::string url, std::string_view accept, std::size_t body_max) const;

  const std::string issuer_;
  const bool discovers_;
  std::string url_;
  std::shared_ptr<HttpClient> client_;
  Executor& reader_;
  Executor& loop_;
  const Clock& clock_;
  Done done_;
  std::uint64_t deadline_ns_ = 0;         // CLOCK_MONOTONIC, of the fetch under way
  std::size_t place_ = 0;                 // where this issuer's metadata was last found
  std::int64_t discovered_until_ns_ = 0;  // CLOCK_BOOTTIME
  std::string why_not_;                   // what was wrong at the first place asked
  std::optional<std::string> tag_;        // of the last good set
  std::optional<Sha256> digest_;
};

}  // namespace authcached
