// The daemon's configuration: one TOML file, read and judged as a whole before anything acts on it.
// Each field's key, unit, default and whether a reload takes it stand in config_keys.cpp, which also prints docs/config.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/redis_config.hpp"

namespace authcached {

enum class UpstreamKind : std::uint8_t { kSqlite, kJwks, kIntrospection, kPostgresql, kRedis };
enum class KeyEncoding : std::uint8_t { kRaw, kHexSha256, kBase64urlSha256, kSha256, kIdHexSha256 /* of ID|SECRET: ID and the hash of SECRET */ };
enum class TokenType : std::uint8_t { kAccessToken /* RFC 9068 at+jwt */, kLegacy /* JWT, at+jwt or no typ */ };
enum class Algorithm : std::uint8_t { kRS256, kRS384, kRS512, kPS256, kPS384, kPS512, kES256, kES384, kES512, kEdDSA };

// How the daemon says who it is at an introspection endpoint (OpenID Connect Core section 9).
enum class ClientAuth : std::uint8_t { kSecretBasic, kSecretPost, kPrivateKeyJwt };
// Where the keys come from that prove a profile's tokens or its introspection endpoint's answers.
enum class KeySource : std::uint8_t { kNone, kFile, kUrl, kDiscovery };

enum class ChangesKind : std::uint8_t { kOff, kListen /* PostgreSQL */, kStream /* Redis */ };

// How a profile's database tells of its changes, and what is answered while it does not.
struct ChangesConfig {
  ChangesKind kind = ChangesKind::kOff;
  std::chrono::milliseconds max_lag{5'000};
  bool serve_when_lost = false;             // changes_lost = "serve"
  std::string table = "authcache_changes";  // of kListen

  [[nodiscard]] bool heard() const { return kind != ChangesKind::kOff; }

  bool operator==(const ChangesConfig&) const = default;
};

struct ProfileConfig {
  std::string name;                      // [profile.NAME]
  UpstreamKind upstream = UpstreamKind::kSqlite;
  std::vector<std::string> audience;     // applied where a requirement names none; a JWT profile must have one
  std::chrono::milliseconds ttl_max{300'000};
  std::chrono::milliseconds negative_ttl{2'000};
  std::chrono::seconds max_token_lifetime{86'400};
  std::chrono::seconds leeway{0};
  std::optional<bool> refresh;           // none: as refreshes() says
  std::vector<std::string> roles;        // defined ones that its tokens may hold
  std::chrono::seconds stale_if_error{0};

  // upstream = "jwks"; with signed answers also "introspection"
  std::string issuer;
  std::filesystem::path jwks_file;
  std::string jwks_url;                  // neither it nor jwks_file: discovered from the issuer
  std::chrono::seconds jwks_max_stale{3'600};
  std::filesystem::path ca_file;         // empty: the system's store
  std::vector<Algorithm> algorithms;
  TokenType token_type = TokenType::kAccessToken;

  // upstream = "introspection"
  std::string introspection_url;
  bool token_type_required = true;       // of an answer: it tells an access token from a refresh token
  bool signed_answers = false;           // RFC 9701: an answer that is not signed is no answer
  std::string client_id;
  ClientAuth client_auth = ClientAuth::kSecretBasic;
  std::filesystem::path client_secret_file;
  std::filesystem::path client_key_file;
  std::string client_key_id;
  std::optional<Algorithm> client_key_algorithm;  // none: what the key's type and size suggest
  std::string client_assertion_audience;          // empty: the issuer

  // upstream = "postgresql"
  std::string connection;                // of libpq, without a password
  std::filesystem::path password_file;   // empty: none is sent
  std::uint32_t pool_min = 1;
  std::uint32_t pool_max = 4;
  std::chrono::milliseconds statement_timeout{1'000};

  // upstream = "sqlite"; query and key_encoding also "postgresql"
  std::filesystem::path database;        // empty: sessions.db in state_dir, our own schema
  std::string query;                     // empty: our own schema; else an existing schema, see docs/config.md
  KeyEncoding key_encoding = KeyEncoding::kSha256;  // also of upstream = "redis"
  std::chrono::seconds idle_timeout{0};  // of sessions of our own schema; 0: they have none
  std::uint32_t warm = 0;                // sessions, of our own schema, that an empty table is filled with at a start

  // upstream = "redis"
  RedisConfig redis;

  // upstream = "postgresql" and "redis"
  ChangesConfig changes;

  // 8 bytes of SHA-256 over the canonical form of all that decides what may prove a token (not the audience, not
  // the TTLs). Never 0. Part of every digest.
  [[nodiscard]] std::uint64_t id() const;

  [[nodiscard]] KeySource key_source() const;
  // True if its sessions are in a database: another program's, or our own.
  [[nodiscard]] bool keeps_sessions() const {
    return upstream == UpstreamKind::kSqlite || upstream == UpstreamKind::kPostgresql || upstream == UpstreamKind::kRedis;
  }
  // Whether its sessions end when they are not used.
  [[nodiscard]] bool slides() const { return idle_timeout.count() > 0; }
  // Whether records in use are proven again before their time is over. A session store answers from this host in
  // microseconds, so its tokens are not kept for that unless it is asked for.
  [[nodiscard]] bool refreshes() const { return refresh.value_or(upstream != UpstreamKind::kSqlite); }

  bool operator==(const ProfileConfig&) const = default;
};

// What a role grants: [role.NAME].
struct RoleConfig {
  std::string name;
  std::vector<std::string> inherits;
  std::vector<std::string> permissions;

  bool operator==(const RoleConfig&) const = default;
};

struct TableConfig {
  std::uint64_t capacity = 100'000;                 // live records
  std::uint32_t negative_percent = 10;              // of the capacity, at most, for negative records
  std::uint32_t text_bytes_per_record = 256;        // mean room for an identity's text
  std::chrono::milliseconds heartbeat_timeout{10'000};

  bool operator==(const TableConfig&) const = default;
};

struct LimitsConfig {
  std::uint32_t misses_per_second_per_uid = 20'000;  // new flights; joining one is free
  std::uint32_t miss_burst_per_uid = 40'000;
  std::uint32_t connections = 4'096;
  std::uint32_t flights = 100'000;                   // upstream questions at once
  std::uint32_t waiters_per_flight = 10'000;
  std::uint32_t rules = 1'000'000;                   // revocation rules in memory and in the state database
  std::chrono::milliseconds upstream_timeout{2'000};

  bool operator==(const LimitsConfig&) const = default;
};

// Who may use /introspect and /revoke without being of the admin group: [http.client.NAME].
struct HttpClientConfig {
  std::string name;
  std::filesystem::path secret_file;  // holds the SHA-256 of the secret, as hex digits
  bool may_introspect = false;
  bool may_revoke = false;

  bool operator==(const HttpClientConfig&) const = default;
};

// Whose logout tokens are taken for a profile: [http.logout.PROFILE].
struct HttpLogoutConfig {
  std::string profile;
  std::vector<std::string> audience;  // our client ids at the issuer

  bool operator==(const HttpLogoutConfig&) const = default;
};

enum class HttpIdentity : std::uint8_t { kSubject, kIssuer, kClient, kScopes, kPermissions, kSession };
enum class HttpEncoding : std::uint8_t { kPlain, kPercent };

// The HTTP face. Without a socket and a port it is off.
struct HttpConfig {
  std::filesystem::path socket;                 // listen = "unix:..."
  std::uint16_t port = 0;                       // listen = "127.0.0.1:..." or "[::1]:..."
  bool ipv6 = false;
  std::optional<std::string> group;             // of the socket; absent: Config::group
  std::vector<std::string> hosts;               // beside those of the loopback
  std::vector<HttpIdentity> identity{HttpIdentity::kSubject, HttpIdentity::kScopes, HttpIdentity::kClient, HttpIdentity::kIssuer};
  HttpEncoding encoding = HttpEncoding::kPlain;
  std::string certificate_header;               // empty: no certificate is taken from anybody
  std::uint32_t connections = 1'024;
  std::chrono::milliseconds idle_timeout{75'000};
  std::chrono::milliseconds request_timeout{5'000};
  std::vector<HttpClientConfig> clients;
  std::vector<HttpLogoutConfig> logouts;

  [[nodiscard]] bool is_on() const { return !socket.empty() || port != 0; }
  bool operator==(const HttpConfig&) const = default;
};

// Hosts that share their revocations through a Redis stream: [fleet]. Without an address it is off.
struct FleetConfig {
  RedisConfig redis;              // where, and as whom; nothing about sessions
  std::filesystem::path ca_file;  // empty: the system's store
  std::string key = "authcache:fleet";  // begins the names of all keys
  std::filesystem::path key_file;       // what entries are signed and checked with
  std::chrono::milliseconds staleness{15'000};
  bool serve_stale = false;             // stale = "serve"
  std::chrono::seconds retention{86'400};

  [[nodiscard]] bool is_on() const { return !redis.socket.empty() || !redis.host.empty(); }
  bool operator==(const FleetConfig&) const = default;
};

struct Config {
  std::filesystem::path runtime_dir = "/run/authcache";
  std::filesystem::path state_dir = "/var/lib/authcache";
  std::string group = "authcache";              // may read the table and ask; "" = the daemon's own group
  std::string admin_group = "authcache-admin";  // may use control.sock; "" = the daemon's own group
  std::string log_level = "info";
  TableConfig table;
  LimitsConfig limits;
  HttpConfig http;
  FleetConfig fleet;
  std::vector<RoleConfig> roles;
  std::vector<ProfileConfig> profiles;
};

// One thing wrong with the file. line is 1-based, 0 where no line can be named.
struct ConfigFault {
  std::uint32_t line;
  std::string message;  // what is wrong
  std::string remedy;   // what to write instead
};

struct ParsedConfig {
  Config config;                    // meaningful only if faults is empty
  std::vector<ConfigFault> faults;  // every fault found, in line order
};

// Pure: touches no file but what the text names is not opened either.
[[nodiscard]] ParsedConfig parse_config(std::string_view text, std::string_view source_name);

// What only the machine can tell: files named that cannot be read, groups that do not exist, a runtime directory
// that could not hold the table twice. Appends to faults.
void check_environment(const Config& config, std::vector<ConfigFault>& faults);

// Bytes of one table file for this configuration; supplied by the caller of check_environment's arithmetic.
[[nodiscard]] std::uint64_t table_bytes(const TableConfig& table);

// One documented key: the reference manual is generated from these.
struct ConfigKey {
  std::string_view name;        // "table.capacity", "profile.NAME.ttl_max"
  std::string_view unit;        // "records", "duration", "path", ...
  std::string_view default_value;
  bool reloadable;
  std::string_view explanation;
};
[[nodiscard]] const std::vector<ConfigKey>& config_keys();

[[nodiscard]] std::string_view upstream_name(UpstreamKind kind);  // "jwks"
[[nodiscard]] std::string_view client_auth_name(ClientAuth auth);  // "client_secret_basic"
[[nodiscard]] std::string_view algorithm_name(Algorithm algorithm);               // "RS256"
[[nodiscard]] std::optional<Algorithm> algorithm_from_name(std::string_view name);  // case-sensitive

}  // namespace authcached
