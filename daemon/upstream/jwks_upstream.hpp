// JWTs against a key set, wherever it comes from (key_set_source.hpp). Signatures are checked by a small pool. Loop thread
// only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/token/jwt.hpp"
#include "daemon/upstream/key_set_source.hpp"
#include "daemon/upstream/keyed_checks.hpp"
#include "daemon/upstream/upstream.hpp"

namespace authcached {

class JwksUpstream final : public Upstream {
 public:
  JwksUpstream(const ProfileConfig& profile, std::shared_ptr<KeySetSource> source, std::vector<Executor*> pool, Executor& loop,
               const Clock& clock);

  void resolve(Query query, Answer answer) override;
  [[nodiscard]] bool well_formed(std::string_view token) const override { return is_compact_jws(token); }
  [[nodiscard]] KeySetSource* key_set() const override { return source_.get(); }
  [[nodiscard]] bool has_key(const Sha256& thumbprint) const override { return source_->has_key(thumbprint); }
  [[nodiscard]] bool ready() const override { return source_->ready(); }
  [[nodiscard]] std::string complaint() const override { return source_->complaint(); }
  [[nodiscard]] std::string state_json() const override;

 private:
  std::shared_ptr<KeySetSource> source_;
  std::shared_ptr<KeyedChecks> checks_;
  std::shared_ptr<const JwtPolicy> policy_;
  const Clock& clock_;
  std::uint64_t questions_ = 0;
};

}  // namespace authcached
