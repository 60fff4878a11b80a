#include "daemon/upstream/redis_session.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>

#include "daemon/base/sha256.hpp"
#include "daemon/io/http/secret_text.hpp"
#include "daemon/io/redis/redis_command.hpp"
#include "daemon/io/redis/redis_fault.hpp"
#include "daemon/token/base64url.hpp"
#include "daemon/token/json.hpp"
#include "daemon/upstream/redis_values.hpp"

namespace authcached {

namespace json = boost::json;
using authcache::shm::Reason;
using authcache::shm::Verdict;

namespace {

using Kind = RedisReply::Kind;
using Fields = std::array<RedisField, kRedisFactCount>;

// A session's own members are tens; a shop keeps a cart beside them.
constexpr JsonLimits kValueJson{kRedisValueBytesMax, 16'384};
// Answers of PTTL that are no time.
constexpr std::int64_t kNoKey = -2, kNoExpiry = -1;
constexpr std::int64_t kNsPerMs = 1'000'000;

std::string hex_of(const Sha256& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(2 * digest.size(), '\0');
  for (std::size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = kDigits[digest[i] >> 4];
    text[2 * i + 1] = kDigits[digest[i] & 15];
  }
  return text;
}

RedisJudgement misunderstood(std::string fault) { return {Proof(), std::move(fault)}; }

RedisJudgement no_answer() { return {Proof(), "its answer has not the shape that was asked for", false}; }

RedisJudgement refused(Reason reason) {
  RedisJudgement judgement;
  judgement.proof.verdict = Verdict::kInvalid;
  judgement.proof.reason = reason;
  return judgement;
}

const RedisField& field(const Fields& fields, RedisFact fact) {
  return fields[static_cast<std::size_t>(fact)];
}

RedisTime moment(const Fields& fields, RedisFact seconds, RedisFact ms, RedisFact ns) {
  if (!field(fields, ns).absent()) return redis_time(field(fields, ns), RedisTimeUnit::kNanoseconds);
  if (!field(fields, ms).absent()) return redis_time(field(fields, ms), RedisTimeUnit::kMilliseconds);
  return redis_time(field(fields, seconds), RedisTimeUnit::kSeconds);
}

// The name of the fact that is not sound; null if all are.
const char* read_identity(const Fields& fields, Identity& identity) {
  const std::pair<RedisFact, std::string*> texts[] = {{RedisFact::kSubject, &identity.subject},
                                                      {RedisFact::kClientId, &identity.client_id},
                                                      {RedisFact::kSid, &identity.sid},
                                                      {RedisFact::kJti, &identity.jti},
                                                      {RedisFact::kIssuer, &identity.issuer}};
  for (const auto& [fact, text] : texts) {
    auto read = redis_text(field(fields, fact));
    if (!read) return redis_facts()[static_cast<std::size_t>(fact)].data();
    *text = std::move(*read);
  }
  std::vector<std::string> roles;
  const std::pair<RedisFact, std::vector<std::string>*> lists[] = {
      {RedisFact::kScopes, &identity.scopes},
      {RedisFact::kPermissions, &identity.permissions},
      {RedisFact::kAudience, &identity.audience},
      {RedisFact::kRoles, &roles}};
  for (const auto& [fact, list] : lists) {
    auto read = redis_list(field(fields, fact));
    if (!read) return redis_facts()[static_cast<std::size_t>(fact)].data();
    *list = std::move(*read);
  }
  for (const std::string& role : roles) identity.permissions.push_back("role:" + role);
  return identity.subject.empty() ? "subject" : nullptr;
}

RedisJudgement judge_fields(const Fields& fields, const RedisConfig& config, std::int64_t wall_now_ns,
                            std::optional<std::int64_t> key_ends_ns) {
  if (redis_revoked(field(fields, RedisFact::kRevoked))) return refused(Reason::kRevoked);
  const RedisTime created = moment(fields, RedisFact::kCreated, RedisFact::kCreatedMs, RedisFact::kCreatedNs);
  const RedisTime expires = moment(fields, RedisFact::kExpires, RedisFact::kExpiresMs, RedisFact::kExpiresNs);
  if (!created.sound || !expires.sound)
    return misunderstood(std::string("a session's ") + (created.sound ? "expires" : "created") +
                         " is no moment");
  std::optional<std::int64_t> ends_ns = key_ends_ns;
  if (expires.wall_ns) ends_ns = std::min(*expires.wall_ns, ends_ns.value_or(*expires.wall_ns));
  if (ends_ns && *ends_ns <= wall_now_ns) return refused(Reason::kExpired);
  RedisJudgement judgement;
  if (const char* unsound = read_identity(fields, judgement.proof.identity)) {
    return misunderstood(std::string("a session's ") + unsound + " is missing or is none");
  }
  if (!ends_ns && !config.endless) return refused(Reason::kLifetime);
  judgement.proof.verdict = Verdict::kValid;
  judgement.proof.reason = Reason::kNone;
  judgement.proof.issued_wall_ns = created.wall_ns;
  judgement.proof.expires_wall_ns = ends_ns;
  return judgement;
}

// What HMGET answers: a text or nil for each field named, in their order.
bool take_hash(const RedisReply& values, const RedisConfig& config, Fields& fields) {
  const auto named = static_cast<std::size_t>(
      std::ranges::count_if(config.fields, [](const std::string& name) { return !name.empty(); }));
  if (!values.is(Kind::kArray) || values.size() != named) return false;
  RedisReply value = values;
  for (std::size_t i = 0, taken = 0; i < kRedisFactCount; ++i) {
    if (config.fields[i].empty()) continue;
    value = taken++ == 0 ? values.first() : value.next();
    if (value.is(Kind::kText)) {
      fields[i].text = value.text();
    } else if (!value.is(Kind::kNil)) {
      return false;
    }
  }
  return true;
}

// serialize() of PHP: "a:3:{", "O:8:\"stdClass\"", "s:12:\"...". Nothing else reads it safely.
bool looks_like_php(std::string_view text) {
  return text.size() > 3 && std::string_view("aOsidb").contains(text[0]) && text[1] == ':' &&
         text[2] >= '0' && text[2] <= '9';
}

RedisJudgement judge_json(const RedisReply& value, const RedisConfig& config, std::int64_t wall_now_ns,
                          std::optional<std::int64_t> key_ends_ns) {
  if (!value.is(Kind::kText)) return no_answer();
  const std::string_view text = value.text();
  if (text.size() > kRedisValueBytesMax) return misunderstood("a session's value is longer than 256 KiB");
  const auto document = parse_json(text, kValueJson);
  const json::object* object = document ? document->if_object() : nullptr;
  if (object == nullptr) {
    return misunderstood(
        looks_like_php(text)
            ? "a session's value is serialised by PHP, which is not read; let the application store JSON"
            : "a session's value is no JSON object, or one that names a member twice");
  }
  Fields fields;
  for (std::size_t i = 0; i < kRedisFactCount; ++i) {
    if (!config.fields[i].empty()) fields[i] = redis_member(*object, config.fields[i]);
  }
  return judge_fields(fields, config, wall_now_ns, key_ends_ns);
}

}  // namespace

RedisLookup::RedisLookup(const ProfileConfig& profile)
    : prefix_(profile.redis.key_prefix), suffix_(profile.redis.key_suffix), encoding_(profile.key_encoding) {
  append_redis_command(before_, {"MULTI"});
  before_ += "*2\r\n$4\r\nPTTL\r\n";
  if (profile.redis.json) {
    between_ = "*4\r\n$8\r\nGETRANGE\r\n";
    // One byte more than is read: a value that is cut off is told from one that ends there.
    append_redis_argument(behind_, "0");
    append_redis_argument(behind_, std::to_string(kRedisValueBytesMax));
  } else {
    std::size_t named = 0;
    for (const std::string& name : profile.redis.fields) {
      if (name.empty()) continue;
      ++named;
      append_redis_argument(behind_, name);
    }
    between_ = "*" + std::to_string(2 + named) + "\r\n$5\r\nHMGET\r\n";
  }
  append_redis_command(behind_, {"EXEC"});
}

std::string RedisLookup::key_of(std::string_view token) const {
  std::string key;
  key.reserve(prefix_.size() + std::max(token.size(), 2 * sizeof(Sha256)) + suffix_.size());
  key += prefix_;
  if (encoding_ == KeyEncoding::kRaw) {
    key += token;
  } else {
    const Sha256 digest = sha256(token);
    const std::string_view bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
    if (encoding_ == KeyEncoding::kHexSha256) {
      key += hex_of(digest);
    } else if (encoding_ == KeyEncoding::kBase64urlSha256) {
      key += base64url_encode(bytes);
    } else {
      key += bytes;
    }
  }
  key += suffix_;
  return key;
}

std::string RedisLookup::commands_for(std::string_view token) const {
  constexpr std::size_t kLengthBytes = 24;  // in front of a key, and the end behind it
  std::string key = key_of(token);
  std::string commands;
  // At once: growing would leave copies of a token behind.
  commands.reserve(before_.size() + between_.size() + behind_.size() + 2 * (key.size() + kLengthBytes));
  commands += before_;
  append_redis_argument(commands, key);
  commands += between_;
  append_redis_argument(commands, key);
  commands += behind_;
  wipe(key);
  return commands;
}

RedisJudgement judge_redis_session(const RedisReply& reply, const RedisConfig& config,
                                   std::int64_t wall_now_ns, std::int64_t asked_ago_ns) {
  if (!reply.is(Kind::kArray) || reply.size() != 2) return no_answer();
  const RedisReply left = reply.first();
  const RedisReply value = left.next();
  for (const RedisReply& part : {left, value}) {
    if (part.is(Kind::kError)) return misunderstood(redis_fault_of(part.text()).sentence);
  }
  if (!left.is(Kind::kInteger)) return no_answer();
  Fields fields;
  if (!config.json && !take_hash(value, config, fields)) return no_answer();
  if (left.integer() == kNoKey) return refused(Reason::kUnknown);
  std::optional<std::int64_t> key_ends_ns;
  if (left.integer() != kNoExpiry) {
    if (left.integer() < 0) return no_answer();
    std::int64_t left_ns = 0, ends_ns = 0;
    // An end that nanoseconds cannot hold is further off than any record lives.
    const bool far = __builtin_mul_overflow(left.integer(), kNsPerMs, &left_ns) ||
                     __builtin_add_overflow(wall_now_ns, left_ns - asked_ago_ns, &ends_ns);
    key_ends_ns = far ? INT64_MAX : ends_ns;
  }
  if (config.json) return judge_json(value, config, wall_now_ns, key_ends_ns);
  return judge_fields(fields, config, wall_now_ns, key_ends_ns);
}

}  // namespace authcached
