// ProfileConfig::id(): which trust configuration proved a token.
//
// The canonical form lists everything that decides what may prove a token, each part behind its length, so
// that no two configurations share one form. Left out is what decides who may use a proof (audience) or how
// long it is kept (TTLs), and the name: two profiles that trust the same things would prove each other's
// tokens, which the parser refuses, and renaming one must not throw its records away. Leeway is in: it
// decides whether an expired token proves.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "daemon/base/config.hpp"

namespace authcached {
namespace {

// Changes whenever a part is added or its meaning changes: old records then belong to no profile.
constexpr std::string_view kFormName = "authcache profile 1";

class CanonicalForm {
 public:
  void add(std::string_view part) {
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<char>(part.size() >> shift & 0xff));
    bytes_.append(part);
  }
  void add_path(const std::filesystem::path& path) { add(path.lexically_normal().native()); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

void add_algorithms(CanonicalForm& form, const ProfileConfig& profile) {
  std::vector<std::string_view> names;
  names.reserve(profile.algorithms.size());
  for (const Algorithm algorithm : profile.algorithms) names.push_back(algorithm_name(algorithm));
  std::ranges::sort(names);  // a set: the order in the file means nothing
  names.erase(std::ranges::unique(names).begin(), names.end());
  form.add(std::to_string(names.size()));
  for (const std::string_view name : names) form.add(name);
}

void add_file_keys(CanonicalForm& form, const ProfileConfig& profile) {
  form.add(profile.issuer);
  form.add_path(profile.jwks_file);
  add_algorithms(form, profile);
}

void add_keys(CanonicalForm& form, const ProfileConfig& profile) {
  if (profile.key_source() == KeySource::kFile) return add_file_keys(form, profile);
  form.add(profile.issuer);
  form.add(profile.jwks_url);  // empty: discovered
  form.add_path(profile.ca_file);
  add_algorithms(form, profile);
}

void add_jwks(CanonicalForm& form, const ProfileConfig& profile) {
  add_keys(form, profile);
  form.add(profile.token_type == TokenType::kAccessToken ? "at+jwt" : "legacy");
  form.add(std::to_string(profile.leeway.count()));
}

// The path of a secret stands for the secret: who may write the one may change the other, and an id is no secret.
void add_introspection(CanonicalForm& form, const ProfileConfig& profile) {
  form.add(profile.introspection_url);
  form.add(profile.issuer);
  form.add_path(profile.ca_file);
  form.add(profile.client_id);
  form.add(client_auth_name(profile.client_auth));
  form.add_path(profile.client_secret_file);
  form.add_path(profile.client_key_file);
  form.add(profile.client_key_id);
  form.add(profile.client_key_algorithm ? algorithm_name(*profile.client_key_algorithm) : "");
  form.add(profile.client_assertion_audience);
  form.add(std::to_string(profile.leeway.count()));
  form.add(profile.token_type_required ? "token_type" : "");
  form.add(profile.signed_answers ? (profile.jwks_file.empty() ? "jwt" : "jwt, keys from a file") : "json");
  if (profile.signed_answers) add_keys(form, profile);
}

void add_sqlite(CanonicalForm& form, const ProfileConfig& profile) {
  form.add_path(profile.database);
  form.add(profile.query);
  form.add(std::to_string(static_cast<int>(profile.key_encoding)));
  // It decides whether an idle session's token proves; a record of another one has a deadline of another one.
  if (profile.slides()) form.add(std::to_string(profile.idle_timeout.count()));
}

// The timeouts and the pool decide when an answer comes, not which.
void add_postgresql(CanonicalForm& form, const ProfileConfig& profile) {
  form.add(profile.connection);
  form.add_path(profile.password_file);
  form.add(profile.query);
  form.add(std::to_string(static_cast<int>(profile.key_encoding)));
}

void add_redis(CanonicalForm& form, const ProfileConfig& profile) {
  const RedisConfig& redis = profile.redis;
  form.add(redis.address());
  form.add(redis.tls ? "tls" : "");
  form.add_path(profile.ca_file);
  form.add(redis.username);
  form.add_path(redis.password_file);
  form.add(std::to_string(redis.database_index));
  form.add(redis.key_prefix);
  form.add(redis.key_suffix);
  form.add(std::to_string(static_cast<int>(profile.key_encoding)));
  form.add(redis.json ? "json" : "hash");
  form.add(redis.endless ? "endless" : "");
  for (const std::string& field : redis.fields) form.add(field);
}

}  // namespace

std::uint64_t ProfileConfig::id() const {
  CanonicalForm form;
  form.add(kFormName);
  const bool keys_over_https = upstream == UpstreamKind::kJwks && key_source() != KeySource::kFile;
  form.add(keys_over_https ? "jwks over https" : upstream_name(upstream));
  switch (upstream) {
    case UpstreamKind::kSqlite: add_sqlite(form, *this); break;
    case UpstreamKind::kJwks: add_jwks(form, *this); break;
    case UpstreamKind::kIntrospection: add_introspection(form, *this); break;
    case UpstreamKind::kPostgresql: add_postgresql(form, *this); break;
    case UpstreamKind::kRedis: add_redis(form, *this); break;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  if (EVP_Digest(form.bytes().data(), form.bytes().size(), hash.data(), nullptr, EVP_sha256(), nullptr) !=
      1) {
    throw std::runtime_error("OpenSSL offers no SHA-256; check its configuration file and providers");
  }
  std::uint64_t id = 0;
  for (std::size_t i = 0; i < sizeof id; ++i) id = id << 8 | hash[i];
  return id == 0 ? 1 : id;  // 0 means "no profile" in shared memory
}

}  // namespace authcached
