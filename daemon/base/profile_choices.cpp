// What a profile's choices are called in the file and in answers, and which of them follow from others.
#include "daemon/base/config.hpp"

namespace authcached {

std::string_view upstream_name(UpstreamKind kind) {
  switch (kind) {
    case UpstreamKind::kSqlite: return "sqlite";
    case UpstreamKind::kJwks: return "jwks";
    case UpstreamKind::kIntrospection: return "introspection";
    case UpstreamKind::kPostgresql: return "postgresql";
    case UpstreamKind::kRedis: return "redis";
  }
  return "?";
}

std::string_view client_auth_name(ClientAuth auth) {
  switch (auth) {
    case ClientAuth::kSecretBasic: return "client_secret_basic";
    case ClientAuth::kSecretPost: return "client_secret_post";
    case ClientAuth::kPrivateKeyJwt: return "private_key_jwt";
  }
  return "?";
}

KeySource ProfileConfig::key_source() const {
  const bool keyed = upstream == UpstreamKind::kJwks || (upstream == UpstreamKind::kIntrospection && signed_answers);
  if (!keyed) return KeySource::kNone;
  if (!jwks_file.empty()) return KeySource::kFile;
  return jwks_url.empty() ? KeySource::kDiscovery : KeySource::kUrl;
}

}  // namespace authcached
