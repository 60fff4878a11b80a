#include "daemon/upstream/jwks_upstream.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "daemon/base/secret_file.hpp"

namespace authcached {

JwksUpstream::JwksUpstream(const ProfileConfig& profile, std::shared_ptr<KeySetSource> source, std::vector<Executor*> pool,
                           Executor& loop, const Clock& clock)
    : source_(std::move(source)), checks_(std::make_shared<KeyedChecks>(source_, std::move(pool), loop, clock)), clock_(clock) {
  auto policy = std::make_shared<JwtPolicy>();
  policy->issuer = profile.issuer;
  policy->algorithms = profile.algorithms;
  policy->token_type = profile.token_type;
  policy->leeway_ns = std::chrono::nanoseconds(profile.leeway).count();
  policy->max_lifetime_ns = std::chrono::nanoseconds(profile.max_token_lifetime).count();
  policy_ = std::move(policy);
}

void JwksUpstream::resolve(Query query, Answer answer) {
  ++questions_;
  auto check = [token = SecretText(std::move(query.token)), policy = policy_, &clock = clock_](const KeySet& keys) {
    return verify_jwt(token.view(), *policy, keys, clock.wall_ns());
  };
  checks_->run(std::move(check), query.uid, query.deadline_ns, std::move(answer));
}

std::string JwksUpstream::state_json() const {
  boost::json::object state = boost::json::parse(source_->state_json()).as_object();
  state["questions"] = questions_;
  state["in_flight"] = checks_->in_pool();
  return boost::json::serialize(state);
}

}  // namespace authcached
