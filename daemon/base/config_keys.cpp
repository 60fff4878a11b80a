// Every key of the configuration, as the reference manual states it. The parser's bindings, the defaults in
// config.hpp and the ranges in config_ranges.hpp are held against this table by
// tests/unit/daemon/base/config_test.cpp.
#include "daemon/base/config.hpp"

namespace authcached {
namespace {

constexpr bool kOnReload = true;
constexpr bool kOnRestart = false;

std::vector<ConfigKey> top_keys() {
  return {
      {"runtime_dir", "path", "/run/authcache", kOnRestart,
       "Where the table and the sockets live. It must be on tmpfs: the table is memory that processes share, "
       "not a file. "
       "Clients look in the same place unless AUTHCACHE_RUNTIME_DIR tells them another. At most 90 bytes, so "
       "that the "
       "names of the sockets fit the kernel's limit. Where /run is not tmpfs, as in some containers, use a "
       "directory "
       "under /dev/shm."},
      {"state_dir", "path", "/var/lib/authcache", kOnRestart,
       "What must survive a reboot: revocation rules, and the sessions of profiles that keep their own. A "
       "disk that "
       "honours fsync; readable by the daemon only."},
      {"group", "group name", "authcache", kOnRestart,
       "Members may map the table and ask the daemon. They can read every identity in the table. \"\" means "
       "the "
       "daemon's own group."},
      {"admin_group", "group name", "authcache-admin", kOnRestart,
       "Members may use the control socket: revoke, flush, create and revoke sessions, reload. \"\" means "
       "the daemon's "
       "own group."},
      {"log_level", "one of", "info", kOnReload,
       "The least that is logged: debug, info, warning or error. Audit records (every revoke, flush, session "
       "change and "
       "reload) are logged at any level."},
  };
}

std::vector<ConfigKey> table_keys() {
  return {
      {"table.capacity", "records", "100000", kOnReload,
       "Live records that the table has room for: about the number of different tokens in use within "
       "ttl_max. From 1000 "
       "to 30000000. When it is full, expired records go first, then those not asked for lately; nothing is "
       "refused. "
       "Memory: about 152 bytes for each record, and text_bytes_per_record more."},
      {"table.negative_percent", "percent", "10", kOnReload,
       "How much of the capacity records of refused tokens may take. From 0 to 50. They never displace "
       "records of good "
       "tokens, however many bad tokens arrive. 0 asks the upstream about a bad token every time."},
      {"table.text_bytes_per_record", "bytes or size", "256", kOnReload,
       "Mean room for the text of one identity: subject, scopes, claims. From 64 to 4096. An identity that "
       "finds no room "
       "keeps its record; its text is then asked for over the socket."},
      {"table.heartbeat_timeout", "duration", "10s", kOnReload,
       "How long clients trust the table after the daemon's last sign of life. From 1s to 1m. Longer rides "
       "out a longer "
       "restart; it is also how long a revocation can stay unseen if the daemon dies while it is being "
       "applied."},
  };
}

std::vector<ConfigKey> limits_keys() {
  return {
      {"limits.misses_per_second_per_uid", "misses per second", "20000", kOnReload,
       "Upstream questions that the processes of one user may start each second. From 1 to 10000000. Joining "
       "a question "
       "that is already on its way is free. Beyond it the answer is \"unavailable\"."},
      {"limits.miss_burst_per_uid", "misses", "40000", kOnReload,
       "How many of those may start at once after a quiet time. From 1 to 10000000."},
      {"limits.connections", "connections", "4096", kOnRestart,
       "Open connections to the daemon. From 1 to 65536. Each thread of a client that misses may hold one; "
       "the unit's "
       "LimitNOFILE must be greater."},
      {"limits.flights", "questions", "100000", kOnReload,
       "Upstream questions under way at once. From 1 to 1000000. Each holds a token and its waiters in "
       "memory."},
      {"limits.waiters_per_flight", "callers", "10000", kOnReload,
       "Callers that may wait for one question. From 10000 to 1000000."},
      {"limits.rules", "rules", "1000000", kOnReload,
       "Revocation rules kept in memory and in the state database. From 1000 to 10000000. Beyond it no rule "
       "is "
       "forgotten: everything issued so far is refused instead, so that more tokens are refused, never "
       "fewer."},
      {"limits.upstream_timeout", "duration", "2s", kOnReload,
       "How long one question to an upstream may take before its answer is \"unavailable\". From 10ms to "
       "1m."},
  };
}

std::vector<ConfigKey> profile_keys() {
  return {
      {"profile.NAME.upstream", "one of", "sqlite", kOnReload,
       "Where the truth about this profile's tokens is: \"sqlite\" (sessions in a database) or \"jwks\" "
       "(JWTs, checked "
       "against an issuer's key set)."},
      {"profile.NAME.audience", "list of text", "", kOnReload,
       "What a token's audience must name when the caller's requirement names none; one match is enough. 1 "
       "to 16 "
       "different texts of 1 to 255 bytes. A jwks profile must have it; a session needs none."},
      {"profile.NAME.ttl_max", "duration", "5m", kOnReload,
       "The longest that a proof is kept before the upstream is asked again, whatever the token's own "
       "expiry. From 100ms "
       "to 1d. A change that nobody announces by a revocation is seen after this time."},
      {"profile.NAME.negative_ttl", "duration", "2s", kOnReload,
       "The longest that a refusal is kept. From 0s to 1m. 0s keeps none."},
      {"profile.NAME.max_token_lifetime", "duration", "1d", kOnReload,
       "Tokens that live longer are refused. From 1s to 366d. Revocation rules are kept this long, so that "
       "none ends "
       "before the last token that it must stop."},
      {"profile.NAME.leeway", "duration", "0s", kOnReload,
       "jwks only. How far the issuer's clock may be from this host's. From 0s to 5m. Every token lives that "
       "much "
       "longer, so keep it 0s where clocks are synchronised."},
      {"profile.NAME.issuer", "text", "", kOnReload,
       "jwks only, required. The issuer's identifier, byte for byte as tokens carry it in iss: a final slash "
       "matters. It "
       "is compared, never fetched. 1 to 1024 bytes."},
      {"profile.NAME.jwks_file", "path", "", kOnReload,
       "jwks only, required. The issuer's public keys as a JSON Web Key Set. Whoever can write this file can "
       "mint "
       "tokens."},
      {"profile.NAME.algorithms", "list of text", "", kOnReload,
       "jwks only, required. What the issuer signs with, of RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
       "ES384, "
       "ES512, EdDSA. A token signed otherwise is refused, whatever its header says. HMAC (HS256 and its "
       "like) is not "
       "supported: who can check an HMAC can also forge it, so every service that holds the secret would be "
       "an issuer."},
      {"profile.NAME.token_type", "one of", "at+jwt", kOnReload,
       "jwks only. \"at+jwt\": access tokens of RFC 9068, told apart from ID tokens by their typ. "
       "\"legacy\": for "
       "issuers that cannot do that; typ may be JWT, at+jwt or absent, and audience alone keeps ID tokens "
       "out."},
      {"profile.NAME.database", "path", "", kOnReload,
       "sqlite only. The database file. Empty: sessions.db in state_dir, kept by authcached with its own "
       "schema. Must be "
       "named if there is a query."},
      {"profile.NAME.query", "SQL", "", kOnReload,
       "sqlite only. How to find a session in an existing schema, see \"Existing schemas\". Empty: "
       "authcached's own "
       "schema. The database is then opened read-only. At most 16384 bytes."},
      {"profile.NAME.key_encoding", "one of", "sha256", kOnReload,
       "sqlite only, with a query. What the query's parameter ?1 is bound to: \"sha256\" (the 32 bytes of "
       "the token's "
       "SHA-256), \"hex_sha256\" (64 lower-case hex digits of it), \"base64url_sha256\" (43 characters of "
       "it) or \"raw\" "
       "(the token itself; only where an existing schema stores tokens as they are)."},
  };
}

std::vector<ConfigKey> all_keys() {
  std::vector<ConfigKey> keys = top_keys();
  for (const auto& section : {table_keys(), limits_keys(), profile_keys()}) {
    keys.insert(keys.end(), section.begin(), section.end());
  }
  return keys;
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys = all_keys();
  return keys;
}

}  // namespace authcached
