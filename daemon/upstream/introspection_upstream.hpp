// Tokens that their issuer is asked about (RFC 7662; signed answers: RFC 9701). Whatever is not a clear answer is
// "unavailable": a refusal of our own credentials, an error status, a body that is not understood. Loop thread only; the
// worker threads that sign and check hold none of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/io/http_client.hpp"
#include "daemon/token/introspection.hpp"
#include "daemon/upstream/client_credentials.hpp"
#include "daemon/upstream/key_set_source.hpp"
#include "daemon/upstream/keyed_checks.hpp"
#include "daemon/upstream/upstream.hpp"
#include "shm/result.hpp"

namespace authcached {

class IntrospectionUpstream final : public Upstream, public std::enable_shared_from_this<IntrospectionUpstream> {
 public:
  // Reads the client's credentials on the calling thread; unusable ones are an error. keys: null unless answers are signed.
  static authcache::shm::Result<std::shared_ptr<IntrospectionUpstream>> open(const ProfileConfig& profile, std::shared_ptr<HttpClient> client,
                                                                             std::shared_ptr<KeySetSource> keys, std::vector<Executor*> pool,
                                                                             Executor& reader, Executor& loop, const Clock& clock);

  void resolve(Query query, Answer answer) override;
  [[nodiscard]] bool well_formed(std::string_view token) const override;
  [[nodiscard]] KeySetSource* key_set() const override { return keys_.get(); }
  [[nodiscard]] bool has_key(const Sha256& thumbprint) const override { return keys_ && keys_->has_key(thumbprint); }
  [[nodiscard]] bool ready() const override { return !keys_ || keys_->ready(); }
  [[nodiscard]] std::string complaint() const override;
  [[nodiscard]] std::string state_json() const override;

 private:
  struct Question;
  enum class Health : std::uint8_t { kUnasked, kGood, kFailed, kCredentialsRefused };
  struct Counters {
    std::uint64_t questions = 0, active = 0, refused = 0, failures = 0, credentials_refused = 0;
  };
  IntrospectionUpstream(const ProfileConfig& profile, std::shared_ptr<HttpClient> client, std::shared_ptr<KeySetSource> keys,
                        std::vector<Executor*> pool, Executor& reader, Executor& loop, const Clock& clock);

  void sign(std::shared_ptr<Question> question);
  void send(const std::shared_ptr<Question>& question, authcache::shm::Result<HttpRequest> request);
  void answered(const std::shared_ptr<Question>& question, authcache::shm::Result<HttpResponse> response);
  void refused(const std::shared_ptr<Question>& question, const HttpResponse& response);
  void judge(const std::shared_ptr<Question>& question, const HttpResponse& response);
  void judge_signed(const std::shared_ptr<Question>& question, HttpResponse& response);
  void fail(const std::shared_ptr<Question>& question, std::string sentence, Health health = Health::kFailed);
  void finish(const std::shared_ptr<Question>& question, Proof proof);
  void read_credentials_again();

  const ProfileConfig profile_;
  std::shared_ptr<const IntrospectionPolicy> policy_;
  std::shared_ptr<HttpClient> client_;
  std::shared_ptr<KeySetSource> keys_;
  std::shared_ptr<KeyedChecks> checks_;
  std::vector<Executor*> pool_;
  Executor& reader_;
  Executor& loop_;
  const Clock& clock_;
  std::shared_ptr<const ClientCredentials> credentials_;
  std::size_t next_ = 0;  // pool, in turn
  std::size_t in_flight_ = 0;
  std::int64_t read_ns_ = 0;  // the credentials, CLOCK_BOOTTIME
  Health health_ = Health::kUnasked;
  std::string last_error_;
  std::int64_t failed_ns_ = 0;
  std::int64_t answered_ns_ = 0;
  Counters counters_;
};

}  // namespace authcached
