// Every key of the configuration, as the reference manual states it. The parser's bindings, the defaults in
// config.hpp and the ranges in config_ranges.hpp are held against this table by
// tests/unit/daemon/base/config_test.cpp.
#include "daemon/base/config.hpp"
#include "daemon/base/config_fleet.hpp"
#include "daemon/base/config_http.hpp"
#include "daemon/base/config_roles.hpp"

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
       "Where the truth about this profile's tokens is: \"sqlite\" (sessions in a database), \"jwks\" (JWTs, "
       "checked against an issuer's key set), \"introspection\" (an issuer's introspection endpoint, RFC 7662, "
       "for opaque tokens and for JWTs that their issuer can revoke), \"postgresql\" (sessions in PostgreSQL, "
       "docs/postgresql.md) or \"redis\" (sessions in Redis, docs/redis.md)."},
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
      {"profile.NAME.refresh", "one of", "", kOnReload,
       "\"on\" or \"off\". Whether a record that is in use is proven again before its time (ttl_max) is over, so "
       "that no request "
       "waits for it. By default on for jwks, where it costs a look into memory, for introspection, postgresql and redis; off for "
       "sqlite, whose "
       "answers take microseconds. Asking again takes the token: except for jwks it is kept in the daemon's memory "
       "while its "
       "record lives, encrypted under a key of this process (see docs/security.md)."},
      {"profile.NAME.roles", "list of text", "", kOnReload,
       "Which of the defined roles ([role.NAME]) this profile's tokens may hold. A token that claims another role has it as "
       "a name only (the permission \"role:NAME\") and gets nothing by it. Absent: none, because one issuer's \"admin\" is "
       "not another's. See docs/permissions.md."},
      {"profile.NAME.stale_if_error", "duration", "0s", kOnReload,
       "introspection, sqlite, postgresql and redis. For how long after its time a good record still counts while the upstream "
       "cannot be asked "
       "(RFC 5861). From 0s to 1d. Only for tokens that were good, are not expired and under no revocation made "
       "here; what the "
       "upstream withdraws during the failure is seen this much later. 0s: then the answer is \"unavailable\"."},
      {"profile.NAME.leeway", "duration", "0s", kOnReload,
       "jwks and introspection. How far the issuer's clock may be from this host's. From 0s to 5m. Every token of a "
       "jwks profile lives that much longer, so keep it 0s where clocks are synchronised. An introspection profile "
       "only lets tokens begin that much earlier: none is kept beyond the end that its issuer told."},
      {"profile.NAME.issuer", "text", "", kOnReload,
       "jwks, required; introspection, required with introspection_answer = \"jwt\" and with private_key_jwt. The "
       "issuer's identifier, byte for byte as tokens carry it in iss: a final slash matters. A jwks profile with "
       "neither jwks_file nor jwks_url finds the keys by it: it must then be an https URL, its metadata is asked for at "
       "/.well-known/openid-configuration and at /.well-known/oauth-authorization-server, and metadata that names "
       "another issuer is not used. In an introspection profile an answer that names another issuer is refused. "
       "1 to 1024 bytes."},
      {"profile.NAME.jwks_file", "path", "", kOnReload,
       "jwks, and introspection with introspection_answer = \"jwt\". The issuer's public keys as a JSON Web Key Set in "
       "a file, which is read again when it changes. Whoever can write this file can mint tokens."},
      {"profile.NAME.jwks_url", "https URL", "", kOnReload,
       "In place of jwks_file: where the issuer publishes its keys. Without either, the URL is taken from the issuer's "
       "metadata. The set is fetched ahead of its time by its caching headers (1 minute to 1 day; 10 minutes if there are "
       "none), and out of turn, once in 30 seconds at most, when a token names a key that it does not have. A key that is "
       "gone from two answers in a row proves nothing any more, and what it proved is void."},
      {"profile.NAME.jwks_max_stale", "duration", "1h", kOnReload,
       "How long the last good key set of a jwks_url or a discovered one stays in use after its time while the issuer "
       "cannot be asked or answers nothing usable. From 0s to 7d. After that, tokens of this profile are "
       "\"unavailable\"."},
      {"profile.NAME.ca_file", "path", "", kOnReload,
       "jwks and introspection, and redis with tls. The certificates, in PEM, that this profile's endpoints must be signed by, "
       "and no others. "
       "Empty: the system's store."},
      {"profile.NAME.algorithms", "list of text", "", kOnReload,
       "jwks, required; introspection, required with introspection_answer = \"jwt\". What the issuer signs with, of RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
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
      {"profile.NAME.introspection_url", "https URL", "", kOnReload,
       "introspection only, required. The issuer's introspection endpoint."},
      {"profile.NAME.introspection_answer", "one of", "json", kOnReload,
       "introspection only. \"json\": plain answers, trusted because TLS brought them. \"jwt\": answers that the issuer "
       "signed (RFC 9701), which hold also where something between here and the issuer ends TLS; a plain one is then "
       "refused."},
      {"profile.NAME.introspection_token_type", "one of", "required", kOnReload,
       "introspection only. Endpoints also know refresh tokens, and some, such as oidc-provider, tell them from access "
       "tokens only by leaving token_type out. \"required\": an active token without token_type is refused, as is one "
       "that is neither Bearer nor DPoP. \"optional\": for endpoints that never send it and know access tokens only."},
      {"profile.NAME.client_id", "text", "", kOnReload,
       "introspection only, required. The name under which the issuer knows this host's services. An issuer may answer "
       "one client otherwise than another, so profiles with different clients never share a record. 1 to 255 bytes."},
      {"profile.NAME.client_auth", "one of", "client_secret_basic", kOnReload,
       "introspection only. How the daemon proves to be that client: \"client_secret_basic\", \"client_secret_post\" or "
       "\"private_key_jwt\" (RFC 7523), which sends no secret at all."},
      {"profile.NAME.client_secret_file", "path", "", kOnReload,
       "introspection only, required unless client_auth is \"private_key_jwt\". A file that holds the client's secret and "
       "nothing else; owned by root or the daemon's user, not readable by everyone. It is read at the start, and again "
       "when the endpoint refuses the client."},
      {"profile.NAME.client_key_file", "path", "", kOnReload,
       "introspection only, required if client_auth is \"private_key_jwt\". The client's private key in PEM, without a "
       "passphrase: RSA from 2048 bits, P-256, P-384, P-521 or Ed25519. As strictly guarded as client_secret_file."},
      {"profile.NAME.client_key_id", "text", "", kOnReload,
       "introspection only, with a client_key_file. The kid that assertions name, where the issuer knows several keys of "
       "the client. 1 to 255 bytes."},
      {"profile.NAME.client_key_algorithm", "text", "", kOnReload,
       "introspection only, with a client_key_file. What assertions are signed with. Empty: RS256 for an RSA key, and for "
       "others the one that there is."},
      {"profile.NAME.client_assertion_audience", "text", "", kOnReload,
       "introspection only, with a client_key_file. The aud of assertions, where the issuer wants another than its own "
       "identifier, such as its token endpoint. Empty: the issuer."},
      {"profile.NAME.database", "path", "", kOnReload,
       "sqlite only. The database file. Empty: sessions.db in state_dir, kept by authcached with its own "
       "schema. Must be "
       "named if there is a query."},
      {"profile.NAME.query", "SQL", "", kOnReload,
       "sqlite; postgresql, required. How to find a session in an existing schema, see \"Existing schemas\". The "
       "database is then only read. sqlite without a query keeps authcached's own schema. The parameter is ?1 for "
       "sqlite, and for postgresql $1, an array of keys. At most 16384 bytes."},
      {"profile.NAME.key_encoding", "one of", "sha256", kOnReload,
       "With a query, and redis, where it must be given. What the query's parameter is bound to, or what stands in the place of {key}: \"sha256\" (the 32 bytes of the token's SHA-256), "
       "\"hex_sha256\" (64 lower-case hex digits of it), \"base64url_sha256\" (43 characters of it), "
       "\"id_hex_sha256\" (of a token ID|SECRET: ID, a bar, and the hex digits of the SHA-256 of SECRET) or \"raw\" "
       "(the token itself; only where an existing schema stores tokens as they are)."},
      {"profile.NAME.idle_timeout", "duration", "", kOnReload,
       "sqlite only, without a query. A session ends when it was not used for so long, see \"Idle sessions\" in "
       "docs/operations.md. From 5s to 90d; absent: only its own end ends it. Another value is another profile to the "
       "table: its records begin anew."},
      {"profile.NAME.warm", "sessions", "0", kOnReload,
       "sqlite only, without a query. How many of the sessions made last get a record when the daemon starts with "
       "an empty table, as after a boot (a restart takes the old table over): see \"Warm start\" in docs/operations.md. "
       "From 0 to 10000000."},
      {"profile.NAME.connection", "text", "", kOnReload,
       "postgresql only, required. How libpq finds the database: host=... dbname=... user=..., several hosts for a "
       "failover; docs/postgresql.md lists what may stand there. Never a password. A host that is not of this machine "
       "needs sslmode=verify-full. At most 4096 bytes."},
      {"profile.NAME.password_file", "path", "", kOnReload,
       "postgresql and redis. A file that holds the password and nothing else; owned by root or the daemon's user, not "
       "readable by everyone. It is read at each connection. Empty: no password is sent."},
      {"profile.NAME.pool_min", "connections", "1", kOnReload,
       "postgresql only. Connections that are held also when nobody asks. From 1 to 64."},
      {"profile.NAME.pool_max", "connections", "4", kOnReload,
       "postgresql only. Connections at most: others than pool_min are opened where statements are slow, and closed "
       "after a minute at rest. From 1 to 64."},
      {"profile.NAME.statement_timeout", "duration", "1s", kOnReload,
       "postgresql only. How long the server may work on one statement, waits for locks included. From 10ms to 1m. Let "
       "it be shorter than limits.upstream_timeout."},
      {"profile.NAME.changes", "one of", "off", kOnReload,
       "postgresql and redis. Whether the database tells of its changes, so that a session that is deleted or changed "
       "there is not answered from memory any more: \"off\" (a change is seen when ttl_max is over), \"listen\" "
       "(postgresql; authctl sql postgres prints what the database needs for it) or \"stream\" (redis)."},
      {"profile.NAME.changes_max_lag", "duration", "5s", kOnReload,
       "With changes. For how long it may be unknown whether there were changes before the profile counts as lost. "
       "From 2s to 1h."},
      {"profile.NAME.changes_lost", "one of", "unavailable", kOnReload,
       "With changes. What is answered while they are lost: \"unavailable\" (hits too, for a session may be gone) or "
       "\"serve\" (as if there were no changes; each answer is as old as ttl_max at most)."},
      {"profile.NAME.changes_table", "table name", "authcache_changes", kOnReload,
       "postgresql with changes. The table into which the database's triggers write, TABLE (of schema public) or SCHEMA.TABLE, each at most 40 bytes."},
      {"profile.NAME.address", "text", "", kOnReload,
       "redis only, required. Where the server listens: \"unix:\" and the path of a socket, or \"host:port\". Without tls "
       "only this host's loopback addresses are taken."},
      {"profile.NAME.tls", "true or false", "false", kOnReload,
       "redis only. Whether to speak TLS (1.2 or newer). The server's certificate must be signed by ca_file and name the host."},
      {"profile.NAME.username", "text", "", kOnReload,
       "redis only, with password_file. The user of the server's ACL. Empty: the user \"default\". 1 to 255 bytes."},
      {"profile.NAME.database_index", "number", "0", kOnReload,
       "redis only. The numbered database that holds the sessions. From 0 to 65535."},
      {"profile.NAME.key_template", "text", "", kOnReload,
       "redis only, required. The name of a session's key, with {key} in the place of the token as key_encoding writes it: "
       "\"session:{key}\". Whatever a token holds, only keys with this beginning and this end are ever asked for. At most "
       "512 bytes."},
      {"profile.NAME.value", "one of", "hash", kOnReload,
       "redis only. What the key holds: \"hash\" (a Redis hash, of which only the fields named are read) or \"json\" (a "
       "string, one JSON object)."},
      {"profile.NAME.fields", "table of text", "", kOnReload,
       "redis only. What a session's facts are called in the value, see docs/redis.md: { subject = \"user_id\", expires_ms = "
       "\"exp\" }. What is not named is not read. With value = \"json\" a name that begins with a slash is a JSON pointer (RFC "
       "6901) to a member further in: \"/passport/user\". Absent: each under its own word, times in seconds."},
      {"profile.NAME.without_expiry", "one of", "refuse", kOnReload,
       "redis only. A session whose key has no expiry in Redis and whose value names none: \"refuse\" (it is invalid, reason "
       "lifetime) or \"accept\" (ttl_max bounds each answer)."},
  };
}

std::vector<ConfigKey> all_keys() {
  std::vector<ConfigKey> keys = top_keys();
  for (const auto& section : {table_keys(), limits_keys(), http_keys(), fleet_keys(), role_keys(), profile_keys()}) {
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
