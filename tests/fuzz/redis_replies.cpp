// What a Redis server may answer: any bytes in any pieces, any values in a session's hash, any text where
// JSON should be. A session is in force only if this file, which looks at the same values a second time,
// cannot say why not, and it never lives longer than its key.
//
// First byte: 0 bytes as they come; 1 a hash: eight bytes of time to live, then for each fact a byte (0: nil)
// and a counted text; 2 JSON: eight bytes of time to live, then the text.
#include <algorithm>
#include <boost/json/object.hpp>

#include "daemon/io/redis/redis_reply.hpp"
#include "daemon/token/json.hpp"
#include "daemon/upstream/redis_session.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache_fuzz::Bytes;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = std::int64_t{1'700'000'000} * kSecond;
constexpr std::int64_t kAskedAgo = 3 * kSecond;
constexpr RedisReplyLimits kLimits{4'096, 64};

RedisConfig config(bool json) {
  RedisConfig config;
  config.json = json;
  return config;
}

std::string shown(const RedisReply& reply) {
  using Kind = RedisReply::Kind;
  if (reply.is(Kind::kNil)) return "nil";
  if (reply.is(Kind::kInteger)) return ":" + std::to_string(reply.integer());
  if (!reply.is(Kind::kArray))
    return std::to_string(static_cast<int>(reply.kind())) + std::string(reply.text());
  std::string all = "*" + std::to_string(reply.size());
  if (reply.size() == 0) return all;
  RedisReply element = reply.first();
  for (std::size_t i = 0; i < reply.size(); ++i) {
    all += " " + shown(element);
    if (i + 1 < reply.size()) element = element.next();
  }
  return all;
}

void require_sound(const RedisJudgement& judgement) {
  const Proof& proof = judgement.proof;
  FUZZ_REQUIRE(judgement.fits || (proof.verdict == Verdict::kUnavailable && !judgement.fault.empty()));
  FUZZ_REQUIRE((proof.verdict == Verdict::kUnavailable) == !judgement.fault.empty());
  FUZZ_REQUIRE((proof.verdict == Verdict::kValid) == (proof.reason == Reason::kNone));
  FUZZ_REQUIRE((proof.verdict == Verdict::kValid) == !proof.identity.subject.empty());
  if (proof.verdict != Verdict::kValid) return;
  FUZZ_REQUIRE(proof.expires_wall_ns && *proof.expires_wall_ns > kNow);
  FUZZ_REQUIRE(proof.identity.subject.size() <= 4'096 && proof.identity.scopes.size() <= 256);
}

// Every reply that the bytes hold; "!" where they stop being replies.
std::string read(std::string_view bytes, std::size_t piece) {
  RedisReplyReader reader(kLimits);
  std::string all;
  while (!bytes.empty()) {
    const std::string_view next = bytes.substr(0, piece);
    FUZZ_REQUIRE(reader.feed(next));
    bytes.remove_prefix(next.size());
    for (;;) {
      const auto reply = reader.next();
      if (!reply) {
        FUZZ_REQUIRE(!reply.error().message.empty());
        return all + "!";
      }
      if (!*reply) break;
      all += shown(**reply) + "\n";
      require_sound(judge_redis_session(**reply, config(false), kNow, kAskedAgo));
      require_sound(judge_redis_session(**reply, config(true), kNow, kAskedAgo));
    }
  }
  return all;
}

void require_bytes(std::string_view bytes) {
  const std::string whole = read(bytes, bytes.size());
  const std::string bytewise = read(bytes, 1);
  // What is too long may be refused a piece earlier or later; never is a reply read otherwise.
  const auto replies = [](const std::string& all) {
    return all.ends_with('!') ? all.substr(0, all.size() - 1) : all;
  };
  FUZZ_REQUIRE(replies(whole) == replies(bytewise) || whole.ends_with('!') || bytewise.ends_with('!'));
  FUZZ_REQUIRE(replies(whole).starts_with(replies(bytewise)) ||
               replies(bytewise).starts_with(replies(whole)));
}

RedisJudgement judged(std::int64_t ttl_ms, const std::string& value, bool json) {
  RedisReplyReader reader({kRedisValueBytesMax * 2, 64});
  FUZZ_REQUIRE(reader.feed("*2\r\n:" + std::to_string(ttl_ms) + "\r\n" + value));
  const auto reply = reader.next();
  FUZZ_REQUIRE(reply && *reply);
  RedisJudgement judgement = judge_redis_session(**reply, config(json), kNow, kAskedAgo);
  require_sound(judgement);
  if (judgement.proof.verdict == Verdict::kValid) FUZZ_REQUIRE(ttl_ms >= -1);
  if (judgement.proof.verdict == Verdict::kValid && ttl_ms >= 0) {
    constexpr std::int64_t kNsPerMs = 1'000'000;
    FUZZ_REQUIRE(*judgement.proof.expires_wall_ns / kNsPerMs - (kNow - kAskedAgo) / kNsPerMs <= ttl_ms);
  }
  if (ttl_ms == -2 && judgement.fits) FUZZ_REQUIRE(judgement.proof.reason == Reason::kUnknown);
  return judgement;
}

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

void require_hash(Bytes& bytes) {
  const auto ttl_ms = bytes.take<std::int64_t>();
  std::string values;
  std::size_t count = 0;
  bool revoked = false, subject = false;
  for (std::size_t i = 0; i < kRedisFactCount; ++i) {
    if (config(false).fields[i].empty()) continue;
    ++count;
    if (bytes.byte() == 0) {
      values += "$-1\r\n";
      continue;
    }
    const std::string_view text = bytes.take_counted();
    values += bulk(text);
    if (i == static_cast<std::size_t>(RedisFact::kSubject)) subject = !text.empty();
    if (i == static_cast<std::size_t>(RedisFact::kRevoked))
      revoked = !text.empty() && text != "0" && text != "false";
  }
  const RedisJudgement judgement = judged(ttl_ms, "*" + std::to_string(count) + "\r\n" + values, false);
  if (revoked && ttl_ms >= -1) FUZZ_REQUIRE(judgement.proof.reason == Reason::kRevoked);
  if (judgement.proof.verdict == Verdict::kValid) FUZZ_REQUIRE(subject && !revoked);
}

void require_json(Bytes& bytes) {
  const auto ttl_ms = bytes.take<std::int64_t>();
  const std::string_view text = bytes.rest();
  const RedisJudgement judgement = judged(ttl_ms, bulk(text), true);
  if (judgement.proof.verdict != Verdict::kValid) return;
  const auto document = parse_json(text, {kRedisValueBytesMax, 16'384});
  FUZZ_REQUIRE(document && document->is_object());
  const boost::json::object& members = document->get_object();
  const auto& subject = members.at("subject");
  FUZZ_REQUIRE(subject.is_string() || subject.is_int64() || subject.is_uint64());
  const auto* revoked = members.if_contains("revoked");
  if (revoked == nullptr || revoked->is_null()) return;
  const bool no =
      (revoked->is_bool() && !revoked->get_bool()) || (revoked->is_int64() && revoked->get_int64() == 0) ||
      (revoked->is_double() && revoked->get_double() == 0) ||
      (revoked->is_string() &&
       (revoked->get_string().empty() || revoked->get_string() == "0" || revoked->get_string() == "false"));
  FUZZ_REQUIRE(no);
}

}  // namespace

FUZZ_TARGET(redis_replies) {
  Bytes bytes(input);
  switch (bytes.byte() % 3) {
    case 0: return require_bytes(bytes.rest());
    case 1: return require_hash(bytes);
    default: return require_json(bytes);
  }
}
