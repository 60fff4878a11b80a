#include "daemon/base/config_profile.hpp"

#include <array>
#include <utility>

#include "daemon/base/config_changes.hpp"
#include "daemon/base/config_redis.hpp"
#include "daemon/base/https_url.hpp"
#include "daemon/base/nearest_name.hpp"
#include "daemon/base/postgres_conninfo.hpp"
#include "daemon/base/roles.hpp"

namespace authcached {
namespace {

constexpr std::pair<std::string_view, UpstreamKind> kUpstreams[] = {{"sqlite", UpstreamKind::kSqlite},
                                                                    {"jwks", UpstreamKind::kJwks},
                                                                    {"introspection", UpstreamKind::kIntrospection},
                                                                    {"postgresql", UpstreamKind::kPostgresql},
                                                                    {"redis", UpstreamKind::kRedis}};
constexpr std::pair<std::string_view, ClientAuth> kClientAuths[] = {
    {"client_secret_basic", ClientAuth::kSecretBasic},
    {"client_secret_post", ClientAuth::kSecretPost},
    {"private_key_jwt", ClientAuth::kPrivateKeyJwt}};
constexpr std::pair<std::string_view, bool> kAnswerForms[] = {{"json", false}, {"jwt", true}};
constexpr std::pair<std::string_view, bool> kTokenTypeNeeds[] = {{"required", true}, {"optional", false}};
constexpr std::pair<std::string_view, bool> kSwitch[] = {{"on", true}, {"off", false}};
constexpr std::pair<std::string_view, TokenType> kTokenTypes[] = {{"at+jwt", TokenType::kAccessToken},
                                                                  {"legacy", TokenType::kLegacy}};
constexpr std::pair<std::string_view, KeyEncoding> kKeyEncodings[] = {
    {"sha256", KeyEncoding::kSha256},
    {"hex_sha256", KeyEncoding::kHexSha256},
    {"base64url_sha256", KeyEncoding::kBase64urlSha256},
    {"id_hex_sha256", KeyEncoding::kIdHexSha256},
    {"raw", KeyEncoding::kRaw}};

constexpr std::size_t kAlgorithmsMax = 10;     // all there are
constexpr std::size_t kAlgorithmBytesMax = 8;  // "RS256"; anything longer is no algorithm's name

void refuse_algorithm(const KeyReader& key, std::string_view name) {
  if (name.starts_with("HS") || name.starts_with("hs")) {
    return key.fail(
        "names an HMAC algorithm; HS256, HS384 and HS512 are not supported",
        "use an asymmetric one, such as \"ES256\": who can check an HMAC can also forge it, so every "
        "service that holds the secret would be an issuer");
  }
  std::array<std::string_view, kAlgorithmsMax> known;
  for (std::size_t i = 0; i < known.size(); ++i) known[i] = algorithm_name(static_cast<Algorithm>(i));
  if (const auto nearest = nearest_name(name, known)) {
    return key.fail("names an unknown algorithm", "did you mean \"" + std::string(*nearest) + "\"?");
  }
  key.fail("names an unknown algorithm", "write RS, PS or ES with 256, 384 or 512, or \"EdDSA\"");
}

void read_algorithms(KeyReader& key, ProfileConfig& profile) {
  std::vector<std::string> names;
  key.texts(names, kAlgorithmsMax, kAlgorithmBytesMax);
  for (const std::string& name : names) {
    if (const auto algorithm = algorithm_from_name(name)) {
      profile.algorithms.push_back(*algorithm);
    } else {
      refuse_algorithm(key, name);
    }
  }
}

void read_url(KeyReader& key, std::string& field) {
  key.text(field, kUrlBytesMax);
  if (field.empty()) return;
  if (const auto fault = https_url_fault(field)) {
    key.fail(*fault, "write an absolute URL such as \"https://login.example.com/jwks\"");
  }
}

void read_client_key_algorithm(KeyReader& key, ProfileConfig& profile) {
  std::string name;
  key.text(name, kAlgorithmBytesMax);
  if (name.empty()) return;
  profile.client_key_algorithm = algorithm_from_name(name);
  if (!profile.client_key_algorithm) refuse_algorithm(key, name);
}

void read_connection(KeyReader& key, ProfileConfig& profile) {
  key.text(profile.connection, kConnectionBytesMax);
  if (profile.connection.empty()) return;
  if (const auto target = read_conninfo(profile.connection); !target) key.fail(target.error().what, target.error().remedy);
}

constexpr KeyBinding<ProfileConfig> kBindings[] = {
    {"upstream", [](KeyReader& key, ProfileConfig& profile) { key.choice(profile.upstream, kUpstreams); }},
    {"audience",
     [](KeyReader& key, ProfileConfig& profile) {
       key.texts(profile.audience, kAudiencesMax, kAudienceBytesMax);
     }},
    {"ttl_max", [](KeyReader& key, ProfileConfig& profile) { key.duration(profile.ttl_max, kTtlMaxRange); }},
    {"negative_ttl",
     [](KeyReader& key, ProfileConfig& profile) { key.duration(profile.negative_ttl, kNegativeTtlRange); }},
    {"max_token_lifetime",
     [](KeyReader& key, ProfileConfig& profile) {
       key.duration(profile.max_token_lifetime, kMaxTokenLifetimeRange);
     }},
    {"leeway", [](KeyReader& key, ProfileConfig& profile) { key.duration(profile.leeway, kLeewayRange); }},
    {"refresh", [](KeyReader& key, ProfileConfig& profile) { key.choice(profile.refresh, kSwitch); }},
    {"roles", [](KeyReader& key, ProfileConfig& profile) { key.texts(profile.roles, kRolesMax, kRoleNameBytesMax); }},
    {"stale_if_error",
     [](KeyReader& key, ProfileConfig& profile) { key.duration(profile.stale_if_error, kStaleIfErrorRange); }},
    {"issuer", [](KeyReader& key, ProfileConfig& profile) { key.text(profile.issuer, kIssuerBytesMax); }},
    {"jwks_file", [](KeyReader& key, ProfileConfig& profile) { key.path(profile.jwks_file); }},
    {"jwks_url", [](KeyReader& key, ProfileConfig& profile) { read_url(key, profile.jwks_url); }},
    {"jwks_max_stale",
     [](KeyReader& key, ProfileConfig& profile) { key.duration(profile.jwks_max_stale, kJwksMaxStaleRange); }},
    {"ca_file", [](KeyReader& key, ProfileConfig& profile) { key.path(profile.ca_file); }},
    {"algorithms", read_algorithms},
    {"token_type",
     [](KeyReader& key, ProfileConfig& profile) { key.choice(profile.token_type, kTokenTypes); }},
    {"introspection_url",
     [](KeyReader& key, ProfileConfig& profile) { read_url(key, profile.introspection_url); }},
    {"introspection_answer",
     [](KeyReader& key, ProfileConfig& profile) { key.choice(profile.signed_answers, kAnswerForms); }},
    {"introspection_token_type",
     [](KeyReader& key, ProfileConfig& profile) { key.choice(profile.token_type_required, kTokenTypeNeeds); }},
    {"client_id", [](KeyReader& key, ProfileConfig& profile) { key.text(profile.client_id, kClientIdBytesMax); }},
    {"client_auth",
     [](KeyReader& key, ProfileConfig& profile) { key.choice(profile.client_auth, kClientAuths); }},
    {"client_secret_file",
     [](KeyReader& key, ProfileConfig& profile) { key.path(profile.client_secret_file); }},
    {"client_key_file", [](KeyReader& key, ProfileConfig& profile) { key.path(profile.client_key_file); }},
    {"client_key_id",
     [](KeyReader& key, ProfileConfig& profile) { key.text(profile.client_key_id, kClientIdBytesMax); }},
    {"client_key_algorithm", read_client_key_algorithm},
    {"client_assertion_audience",
     [](KeyReader& key, ProfileConfig& profile) {
       key.text(profile.client_assertion_audience, kUrlBytesMax);
     }},
    {"database", [](KeyReader& key, ProfileConfig& profile) { key.path(profile.database); }},
    {"query", [](KeyReader& key, ProfileConfig& profile) { key.text(profile.query, kQueryBytesMax); }},
    {"key_encoding",
     [](KeyReader& key, ProfileConfig& profile) { key.choice(profile.key_encoding, kKeyEncodings); }},
    {"idle_timeout",
     [](KeyReader& key, ProfileConfig& profile) { key.duration(profile.idle_timeout, kIdleTimeoutRange); }},
    {"warm", [](KeyReader& key, ProfileConfig& profile) { key.number(profile.warm, kWarmRange); }},
    {"connection", read_connection},
    {"password_file", [](KeyReader& key, ProfileConfig& profile) { key.path(profile.password_file); }},
    {"pool_min", [](KeyReader& key, ProfileConfig& profile) { key.number(profile.pool_min, kPoolMinRange); }},
    {"pool_max", [](KeyReader& key, ProfileConfig& profile) { key.number(profile.pool_max, kPoolMaxRange); }},
    {"statement_timeout",
     [](KeyReader& key, ProfileConfig& profile) {
       key.duration(profile.statement_timeout, kStatementTimeoutRange);
     }},
    {"changes", read_changes},
    {"changes_max_lag",
     [](KeyReader& key, ProfileConfig& profile) { key.duration(profile.changes.max_lag, kChangesMaxLagRange); }},
    {"changes_lost", read_changes_lost},
    {"changes_table", read_changes_table},
    {"address", [](KeyReader& key, ProfileConfig& profile) { read_redis_address(key, profile); }},
    {"tls", [](KeyReader& key, ProfileConfig& profile) { key.flag(profile.redis.tls); }},
    {"username",
     [](KeyReader& key, ProfileConfig& profile) { key.text(profile.redis.username, kClientIdBytesMax); }},
    {"database_index",
     [](KeyReader& key, ProfileConfig& profile) {
       key.number(profile.redis.database_index, kRedisDatabaseRange);
     }},
    {"key_template", read_redis_key_template},
    {"value", read_redis_value},
    {"fields", read_redis_fields},
    {"without_expiry", read_redis_without_expiry},
};

constexpr std::string_view kKeySetKeys[] = {"jwks_file", "jwks_url", "jwks_max_stale", "algorithms"};
constexpr std::string_view kIssuerKeys[] = {"issuer", "leeway"};
constexpr std::string_view kJwksOnly[] = {"token_type"};
constexpr std::string_view kSqliteOnly[] = {"database", "warm"};
constexpr std::string_view kSliding[] = {"idle_timeout"};
constexpr std::string_view kQuery[] = {"query"};
constexpr std::string_view kSessionKeys[] = {"query", "key_encoding"};
constexpr std::string_view kPassword[] = {"password_file"};
constexpr std::string_view kPostgresqlOnly[] = {"connection", "pool_min", "pool_max", "statement_timeout"};
constexpr std::string_view kChanges[] = {"changes"};
constexpr std::string_view kRedisOnly[] = {"address",      "tls",   "username", "database_index",
                                           "key_template", "value", "fields",   "without_expiry"};
constexpr std::string_view kIntrospectionOnly[] = {
    "introspection_url",  "introspection_answer", "introspection_token_type", "client_id",
    "client_auth",        "client_secret_file",   "client_key_file",          "client_key_id",
    "client_key_algorithm", "client_assertion_audience"};
constexpr std::string_view kKeyOnly[] = {"client_key_file", "client_key_id", "client_key_algorithm",
                                         "client_assertion_audience"};

// What must hold among the keys of one section; `lines` are the keys that stand in it.
class ProfileJudge {
 public:
  ProfileJudge(const ProfileConfig& profile, std::uint32_t line, const KeyLines& lines,
               std::vector<ConfigFault>& faults)
      : prefix_("profile." + profile.name + "."), line_(line), lines_(lines), faults_(faults) {}

  void require(std::string_view key, std::string_view remedy) {
    if (!lines_.contains(key)) fail(line_, std::string(key) + " is missing", remedy);
  }
  void refuse_all(std::span<const std::string_view> keys, std::string_view kind) {
    for (const std::string_view key : keys) {
      const auto found = lines_.find(key);
      if (found == lines_.end()) continue;
      fail(found->second, std::string(key) + " belongs to upstream = \"" + std::string(kind) + "\"",
           "remove it, or write upstream = \"" + std::string(kind) + "\" in this profile");
    }
  }
  // Keys that mean something only under another one's value, which `where` names.
  void refuse_unless(std::span<const std::string_view> keys, std::string_view where) {
    for (const std::string_view key : keys) {
      const auto found = lines_.find(key);
      if (found == lines_.end()) continue;
      fail(found->second, std::string(key) + " says nothing here", "remove it, or write " + std::string(where));
    }
  }
  void refuse_beside(std::string_view key, std::string_view other, std::string_view remedy) {
    const auto found = lines_.find(key);
    if (found == lines_.end() || !lines_.contains(other)) return;
    fail(found->second, std::string(key) + " stands beside " + std::string(other), remedy);
  }
  // What stands in the file and cannot be meant, at the line of its key or else of the section.
  void refuse(std::string_view key, const std::string& what, std::string_view remedy) {
    const auto found = lines_.find(key);
    fail(found == lines_.end() ? line_ : found->second, std::string(key) + " " + what, remedy);
  }
  [[nodiscard]] bool has(std::string_view key) const { return lines_.contains(key); }
  void require_beside(std::string_view key, std::string_view companion, std::string_view remedy) {
    const auto found = lines_.find(key);
    if (found == lines_.end() || lines_.contains(companion)) return;
    fail(found->second, std::string(key) + " stands without " + std::string(companion), remedy);
  }

 private:
  void fail(std::uint32_t line, const std::string& what, std::string_view remedy) {
    faults_.push_back({line, prefix_ + what, std::string(remedy)});
  }

  std::string prefix_;
  std::uint32_t line_;
  const KeyLines& lines_;
  std::vector<ConfigFault>& faults_;
};

// The keys of an issuer: from a file, from a URL, or from where its metadata says.
void judge_key_set(ProfileJudge& judge, const ProfileConfig& profile) {
  judge.require("algorithms",
                "list what the issuer signs with, such as [\"ES256\"]: a token must not choose");
  judge.refuse_beside("jwks_url", "jwks_file", "keep the one that is up to date: one set of keys is trusted");
  if (profile.key_source() == KeySource::kFile) {
    constexpr std::string_view kHttpsOnly[] = {"jwks_max_stale"};
    judge.refuse_unless(kHttpsOnly, "jwks_url in place of jwks_file");
  } else if (profile.key_source() == KeySource::kDiscovery && judge.has("issuer")) {
    const auto fault = issuer_url_fault(profile.issuer);
    if (fault) {
      judge.refuse("issuer", *fault + ", so its keys cannot be discovered",
                   "name the issuer's key set by jwks_file or jwks_url");
    }
  }
}

// Keys of those whose upstream tells of no changes.
void refuse_changes(ProfileJudge& judge) {
  judge.refuse_all(kChanges, "postgresql");
  judge.refuse_all(kChangesKeys, "postgresql");
  judge.refuse_all(kListenKeys, "postgresql");
}

// Keys of those who look sessions up.
void refuse_sessions(ProfileJudge& judge) {
  refuse_changes(judge);
  judge.refuse_all(kSliding, "sqlite");
  judge.refuse_all(kSqliteOnly, "sqlite");
  judge.refuse_all(kSessionKeys, "sqlite");
  judge.refuse_all(kPostgresqlOnly, "postgresql");
  judge.refuse_unless(kPassword, "upstream = \"postgresql\" or upstream = \"redis\"");
  judge.refuse_all(kRedisOnly, "redis");
}

void judge_jwks(ProfileJudge& judge, const ProfileConfig& profile) {
  judge.require("issuer", "write the issuer exactly as its tokens carry it in iss");
  judge_key_set(judge, profile);
  judge.require("audience",
                "list the names that this host's services go by: else another service's tokens pass");
  if (profile.key_source() == KeySource::kFile) {
    constexpr std::string_view kCa[] = {"ca_file"};
    judge.refuse_unless(kCa, "jwks_url in place of jwks_file");
  }
  constexpr std::string_view kOthersOnly[] = {"stale_if_error"};
  judge.refuse_unless(kOthersOnly, "jwks_max_stale: it bounds how long an issuer's keys are relied on unasked");
  refuse_sessions(judge);
  judge.refuse_all(kIntrospectionOnly, "introspection");
}

void judge_client(ProfileJudge& judge, const ProfileConfig& profile) {
  constexpr std::string_view kSecretOnly[] = {"client_secret_file"};
  if (profile.client_auth == ClientAuth::kPrivateKeyJwt) {
    judge.require("client_key_file", "write the path of the client's private key in PEM");
    if (profile.client_assertion_audience.empty()) {
      judge.require("issuer", "write the issuer: the client's assertions are meant for it");
    }
    judge.refuse_unless(kSecretOnly, "client_auth = \"client_secret_basic\"");
  } else {
    judge.require("client_secret_file", "write the path of a file that holds the client's secret");
    judge.refuse_unless(kKeyOnly, "client_auth = \"private_key_jwt\"");
  }
}

void judge_introspection(ProfileJudge& judge, const ProfileConfig& profile) {
  judge.require("introspection_url", "write the URL of the issuer's introspection endpoint");
  judge.require("client_id", "write the name under which the issuer knows this host's services");
  judge_client(judge, profile);
  if (profile.signed_answers) {
    judge.require("issuer", "write the issuer: its keys must have signed the answers");
    judge_key_set(judge, profile);
  } else {
    judge.refuse_unless(kKeySetKeys, "introspection_answer = \"jwt\"");
  }
  judge.refuse_all(kJwksOnly, "jwks");
  refuse_sessions(judge);
}

void refuse_issuers(ProfileJudge& judge) {
  judge.refuse_all(kIssuerKeys, "jwks");
  judge.refuse_all(kKeySetKeys, "jwks");
  judge.refuse_all(kJwksOnly, "jwks");
  judge.refuse_all(kIntrospectionOnly, "introspection");
  judge.refuse_all(kRedisOnly, "redis");
  constexpr std::string_view kCa[] = {"ca_file"};
  judge.refuse_all(kCa, "jwks");
}

// Whose last uses stand in a database that is only read.
void refuse_foreign_sliding(ProfileJudge& judge) {
  if (!judge.has("idle_timeout")) return;
  judge.refuse("idle_timeout", "is for sessions that authcached keeps itself: in another program's store it writes no use down",
               "remove it, and let the program whose sessions they are move their end, which is learnt within ttl_max");
}

// The cheap faults of a query only; its database judges the rest when it is opened.
void judge_postgresql(ProfileJudge& judge, const ProfileConfig& profile) {
  refuse_issuers(judge);
  judge.refuse_all(kSqliteOnly, "sqlite");
  refuse_foreign_sliding(judge);
  judge.require("connection", "write how libpq finds the database: \"host=... dbname=... user=...\"");
  judge.require("query", "write the SELECT that finds sessions by $1, see docs/postgresql.md");
  if (judge.has("query") && !profile.query.contains("$1")) {
    judge.refuse("query", "never uses the tokens' keys", "compare a column with = ANY($1), as in: ... WHERE id_hash = ANY($1)");
  }
  if (!profile.changes.heard()) {
    judge.refuse_unless(kChangesKeys, "changes = \"listen\"");
    judge.refuse_unless(kListenKeys, "changes = \"listen\"");
  }
  if (const auto fault = listen_fault(profile)) judge.refuse("changes", fault->what, fault->remedy);
  if (profile.pool_min > profile.pool_max) judge.refuse("pool_min", "is greater than pool_max", "write pool_max at least as great");
}

void judge_sqlite(ProfileJudge& judge, const ProfileConfig& profile) {
  refuse_issuers(judge);
  refuse_changes(judge);
  judge.refuse_all(kPostgresqlOnly, "postgresql");
  judge.refuse_unless(kPassword, "upstream = \"postgresql\" or upstream = \"redis\"");
  if (judge.has("query") && !profile.query.empty() && !profile.query.contains("?1")) {
    judge.refuse("query", "never uses the token's key", "compare a column with ?1, as in: ... WHERE id_hash = ?1");
  }
  judge.require_beside("query", "database", "write the path of the database that the query reads");
  judge.require_beside("key_encoding", "query",
                       "remove it: our own schema always looks up the SHA-256 of the token");
  judge.refuse_beside("warm", "query",
                      "remove it: another program's sessions cannot be named without their tokens");
  if (profile.slides() && !profile.query.empty()) refuse_foreign_sliding(judge);
  // Records in use live on as their uses are written down, and no later than they allow.
  if (profile.slides() && profile.refreshes()) {
    judge.refuse("refresh", "is \"on\" beside idle_timeout",
                 "remove it: a session in use is proven again whenever its use is written down");
  }
  if (profile.slides() && profile.stale_if_error.count() > 0) {
    judge.refuse("stale_if_error", "stands beside idle_timeout",
                 "remove it: without its database nobody knows whether a session is idle");
  }
}

void judge_redis(ProfileJudge& judge, const ProfileConfig& profile) {
  judge.refuse_all(kIssuerKeys, "jwks");
  judge.refuse_all(kKeySetKeys, "jwks");
  judge.refuse_all(kJwksOnly, "jwks");
  judge.refuse_all(kIntrospectionOnly, "introspection");
  judge.refuse_all(kSqliteOnly, "sqlite");
  refuse_foreign_sliding(judge);
  judge.refuse_all(kQuery, "sqlite");
  judge.refuse_all(kPostgresqlOnly, "postgresql");
  judge.refuse_all(kListenKeys, "postgresql");
  if (!profile.changes.heard()) judge.refuse_unless(kChangesKeys, "changes = \"stream\"");
  if (profile.changes.kind == ChangesKind::kListen) judge.refuse("changes", "is for PostgreSQL", "write changes = \"stream\"");
  judge.require("address", "write \"unix:/run/redis/redis.sock\" or \"host:6379\"");
  judge.require("key_template", "write how the program that makes the sessions names them, such as \"session:{key}\"");
  judge.require("key_encoding", "write \"hex_sha256\" or \"base64url_sha256\"; \"raw\" if the keys hold the tokens themselves");
  judge.require_beside("username", "password_file", "write the path of a file that holds the user's password");
  constexpr std::string_view kCa[] = {"ca_file"};
  if (!profile.redis.tls) judge.refuse_unless(kCa, "tls = true");
  if (const auto fault = redis_fault(profile)) judge.refuse(fault->key, fault->what, fault->remedy);
}

bool good_name(std::string_view name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return !name.empty() && name.size() <= kProfileNameBytesMax &&
         name.find_first_not_of(kLetters) == std::string_view::npos;
}

}  // namespace

std::span<const KeyBinding<ProfileConfig>> profile_bindings() { return kBindings; }

ProfileConfig read_profile(const toml::key& name, const toml::table& section,
                           std::vector<ConfigFault>& faults) {
  ProfileConfig profile;
  profile.name = shown_name(name.str());
  const std::uint32_t line = line_of(section);
  if (!good_name(name.str())) {
    faults.push_back(
        {line, "profile." + profile.name + " is not a profile's name",
         "write 1 to " + std::to_string(kProfileNameBytesMax) +
             " lower-case letters, digits, '_' and '-': the name travels in requests and metrics"});
  }
  const std::string prefix = "profile." + profile.name + ".";
  const KeyLines lines = read_section<ProfileConfig>(section, prefix, kBindings, {}, profile, faults);
  ProfileJudge judge(profile, line, lines, faults);
  switch (profile.upstream) {
    case UpstreamKind::kSqlite: judge_sqlite(judge, profile); break;
    case UpstreamKind::kJwks: judge_jwks(judge, profile); break;
    case UpstreamKind::kIntrospection: judge_introspection(judge, profile); break;
    case UpstreamKind::kPostgresql: judge_postgresql(judge, profile); break;
    case UpstreamKind::kRedis: judge_redis(judge, profile); break;
  }
  if (profile.upstream == UpstreamKind::kRedis) profile.redis.password_file = std::exchange(profile.password_file, {});
  profile.refresh = profile.refreshes();  // as the effective configuration says it
  return profile;
}

}  // namespace authcached
