#include "daemon/upstream/redis_upstream.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <exception>

#include "daemon/io/http/secret_text.hpp"
#include "daemon/io/http/timers.hpp"
#include "daemon/token/base64url.hpp"
#include "daemon/upstream/keyed_checks.hpp"
#include "daemon/upstream/redis_session.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

namespace {

// A key holds the whole token where key_encoding = "raw".
constexpr std::size_t kRedisTokenBytesMax = 4'096;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

RedisUpstream::RedisUpstream(const ProfileConfig& profile, std::shared_ptr<RedisClient> client, Loop& loop,
                             const Clock& clock)
    : profile_(profile), lookup_(profile), client_(std::move(client)), loop_(loop), clock_(clock) {}

shm::Result<std::shared_ptr<RedisUpstream>> RedisUpstream::open(const ProfileConfig& profile, Loop& loop,
                                                                Executor& blocking, const Clock& clock) {
  auto client = RedisClient::create(profile.redis, profile.ca_file, loop, blocking, clock);
  if (!client) return std::unexpected(client.error());
  return std::shared_ptr<RedisUpstream>(new RedisUpstream(profile, std::move(*client), loop, clock));
}

bool RedisUpstream::well_formed(std::string_view token) const {
  if (token.empty() || token.size() > kRedisTokenBytesMax) return false;
  if (profile_.key_encoding == KeyEncoding::kRaw)
    return std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
  while (token.ends_with('=')) token.remove_suffix(1);
  return !token.empty() && std::ranges::all_of(token, [](char c) {
    return is_base64url_char(c) || c == '.' || c == '~' || c == '+' || c == '/';
  });
}

void RedisUpstream::resolve(Query query, Answer answer) {
  ++counters_.questions;
  if (client_->full()) {
    ++counters_.overloaded;
    wipe(query.token);
    return loop_.post(
        [answer = std::move(answer)]() mutable { answer(unavailable_proof(Reason::kOverloaded)); });
  }
  RedisQuestion question;
  question.commands = lookup_.commands_for(query.token);
  wipe(query.token);
  question.replies = kRedisLookupReplies;
  question.deadline_ns = query.deadline_ns;
  // From before it is sent: the time to live is counted from here, and so never beyond the session's.
  question.answer = [weak = weak_from_this(), asked_boot_ns = clock_.boot_ns(),
                     deadline_ns = query.deadline_ns,
                     answer = std::move(answer)](const shm::Result<RedisReply>& reply) mutable {
    const auto self = weak.lock();
    return !self || self->answered(reply, asked_boot_ns, deadline_ns, answer);
  };
  client_->send(std::move(question));
}

bool RedisUpstream::answered(const shm::Result<RedisReply>& reply, std::int64_t asked_boot_ns,
                             std::uint64_t deadline_ns, Answer& answer) {
  if (!reply) {
    fail(reply.error().message, deadline_ns, answer);
    return true;
  }
  RedisJudgement judgement;
  try {
    judgement =
        judge_redis_session(*reply, profile_.redis, clock_.wall_ns(), clock_.boot_ns() - asked_boot_ns);
  } catch (const std::exception&) {
    judgement.fault = "no memory is left to read a session";
  }
  if (!judgement.fits) {
    fail(profile_.redis.address() + ": " + judgement.fault, deadline_ns, answer);
    return false;
  }
  health_ = Health::kGood;
  answered_ns_ = clock_.boot_ns();
  if (judgement.proof.verdict == Verdict::kValid) {
    ++counters_.valid;
  } else if (judgement.proof.verdict == Verdict::kInvalid) {
    ++counters_.invalid;
  } else {
    ++counters_.unavailable;
    ++counters_.unread;
    last_unread_ = std::move(judgement.fault);
  }
  answer(std::move(judgement.proof));
  return true;
}

void RedisUpstream::fail(std::string sentence, std::uint64_t deadline_ns, Answer& answer) {
  // By the clock that the client keeps deadlines by: the coarse one may say a few milliseconds less.
  const bool late = exact_monotonic_ns() >= deadline_ns;
  ++(late ? counters_.timeouts : counters_.unavailable);
  health_ = Health::kFailed;
  failed_ns_ = clock_.boot_ns();
  last_error_ = std::move(sentence);
  answer(unavailable_proof(late ? Reason::kTimeout : Reason::kUpstream));
}

std::string RedisUpstream::complaint() const {
  // Without a question that failed, too: the next one will.
  const std::string trouble = health_ == Health::kFailed ? last_error_ : client_->trouble();
  return trouble.empty() ? trouble : "cannot learn about its sessions: " + trouble;
}

std::string RedisUpstream::state_json() const {
  const auto age_s = [now = clock_.boot_ns()](std::int64_t since_ns) {
    return std::max<std::int64_t>(now - since_ns, 0) / kNsPerSecond;
  };
  constexpr std::array<std::string_view, 3> kHealth{"unasked", "good", "failed"};
  json::object state{{"kind", "redis"},
                     {"state", kHealth[static_cast<std::size_t>(health_)]},
                     {"address", profile_.redis.address()},
                     {"questions", counters_.questions},
                     {"valid", counters_.valid},
                     {"invalid", counters_.invalid},
                     {"unavailable", counters_.unavailable},
                     {"timeouts", counters_.timeouts},
                     {"overloaded", counters_.overloaded},
                     {"not_understood", counters_.unread},
                     {"last_not_understood", last_unread_},
                     {"error", health_ == Health::kFailed ? last_error_ : std::string()},
                     {"connection", json::parse(client_->state_json())}};
  if (answered_ns_ != 0) state["last_answer_age_s"] = age_s(answered_ns_);
  if (failed_ns_ != 0) {
    state["last_error"] = last_error_;
    state["last_error_age_s"] = age_s(failed_ns_);
  }
  return json::serialize(state);
}

}  // namespace authcached
