#include "daemon/base/config_text.hpp"

#include <fmt/format.h>

#include "daemon/base/config_http.hpp"

namespace authcached {

namespace {

// A TOML basic string. Control characters cannot stand in one as they are.
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_strings(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + toml_string(text);
  return out + ']';
}

std::string duration(std::chrono::milliseconds value) { return fmt::format("\"{}ms\"", value.count()); }

std::string_view encoding_name(KeyEncoding encoding) {
  switch (encoding) {
    case KeyEncoding::kRaw: return "raw";
    case KeyEncoding::kHexSha256: return "hex_sha256";
    case KeyEncoding::kBase64urlSha256: return "base64url_sha256";
    case KeyEncoding::kSha256: return "sha256";
    case KeyEncoding::kIdHexSha256: return "id_hex_sha256";
  }
  return "?";
}

std::string named(std::string_view key, std::string_view text) {
  return text.empty() ? std::string() : fmt::format("{} = {}\n", key, toml_string(text));
}

std::string key_set_text(const ProfileConfig& profile) {
  std::string out = named("jwks_file", profile.jwks_file.native()) + named("jwks_url", profile.jwks_url);
  if (profile.key_source() != KeySource::kFile) {
    out += fmt::format("jwks_max_stale = {}\n", duration(profile.jwks_max_stale));
    if (profile.upstream == UpstreamKind::kJwks) out += named("ca_file", profile.ca_file.native());
  }
  std::vector<std::string> algorithms;
  for (const Algorithm algorithm : profile.algorithms) algorithms.emplace_back(algorithm_name(algorithm));
  return out + fmt::format("algorithms = {}\n", toml_strings(algorithms));
}

std::string introspection_text(const ProfileConfig& profile) {
  std::string out = fmt::format("leeway = {}\n", duration(profile.leeway)) + named("issuer", profile.issuer) +
                    named("introspection_url", profile.introspection_url) + named("ca_file", profile.ca_file.native()) +
                    named("client_id", profile.client_id) + named("client_auth", client_auth_name(profile.client_auth)) +
                    named("client_secret_file", profile.client_secret_file.native()) +
                    named("client_key_file", profile.client_key_file.native()) + named("client_key_id", profile.client_key_id) +
                    named("client_assertion_audience", profile.client_assertion_audience);
  if (profile.client_key_algorithm) out += named("client_key_algorithm", algorithm_name(*profile.client_key_algorithm));
  out += named("introspection_answer", profile.signed_answers ? "jwt" : "json");
  out += named("introspection_token_type", profile.token_type_required ? "required" : "optional");
  return profile.signed_answers ? out + key_set_text(profile) : out;
}

std::string changes_text(const ChangesConfig& changes) {
  if (!changes.heard()) return "changes = \"off\"\n";
  const bool listens = changes.kind == ChangesKind::kListen;
  return fmt::format("changes = \"{}\"\nchanges_max_lag = {}\nchanges_lost = \"{}\"\n", listens ? "listen" : "stream",
                     duration(changes.max_lag), changes.serve_when_lost ? "serve" : "unavailable") +
         (listens ? named("changes_table", changes.table) : std::string());
}

std::string postgresql_text(const ProfileConfig& profile) {
  return changes_text(profile.changes) + named("connection", profile.connection) + named("password_file", profile.password_file.native()) +
         fmt::format("query = {}\nkey_encoding = \"{}\"\npool_min = {}\npool_max = {}\nstatement_timeout = {}\n", toml_string(profile.query),
                     encoding_name(profile.key_encoding), profile.pool_min, profile.pool_max, duration(profile.statement_timeout));
}

std::string redis_text(const ProfileConfig& profile) {
  const RedisConfig& redis = profile.redis;
  std::string out = changes_text(profile.changes) + named("address", redis.address());
  if (redis.tls) out += "tls = true\n" + named("ca_file", profile.ca_file.native());
  out += named("username", redis.username) + named("password_file", redis.password_file.native());
  out += fmt::format("database_index = {}\n", redis.database_index);
  out += named("key_template", redis.key_prefix + "{key}" + redis.key_suffix);
  out += named("key_encoding", encoding_name(profile.key_encoding)) + named("value", redis.json ? "json" : "hash");
  out += named("without_expiry", redis.endless ? "accept" : "refuse");
  std::string fields;
  for (std::size_t i = 0; i < kRedisFactCount; ++i) {
    if (redis.fields[i].empty()) continue;
    fields += (fields.empty() ? "" : ", ") + fmt::format("{} = {}", redis_facts()[i], toml_string(redis.fields[i]));
  }
  return out + "fields = { " + fields + " }\n";
}

std::string http_text(const HttpConfig& http) {
  std::string out = "\n[http]\n";
  if (!http.socket.empty()) out += fmt::format("listen = {}\n", toml_string("unix:" + http.socket.string()));
  if (http.port != 0) out += fmt::format("listen = \"{}:{}\"\n", http.ipv6 ? "[::1]" : "127.0.0.1", http.port);
  if (http.group) out += fmt::format("group = {}\n", toml_string(*http.group));
  if (!http.hosts.empty()) out += fmt::format("hosts = {}\n", toml_strings(http.hosts));
  std::vector<std::string> identity;
  for (const HttpIdentity each : http.identity) identity.emplace_back(http_identity_name(each));
  out += fmt::format("identity = {}\nencoding = \"{}\"\n", toml_strings(identity), http.encoding == HttpEncoding::kPlain ? "plain" : "percent");
  if (!http.certificate_header.empty()) out += fmt::format("certificate_header = {}\n", toml_string(http.certificate_header));
  out += fmt::format("connections = {}\nidle_timeout = {}\nrequest_timeout = {}\n", http.connections, duration(http.idle_timeout),
                     duration(http.request_timeout));
  for (const HttpClientConfig& client : http.clients) {
    std::vector<std::string> may;
    if (client.may_introspect) may.emplace_back("introspect");
    if (client.may_revoke) may.emplace_back("revoke");
    out += fmt::format("\n[http.client.{}]\nsecret_file = {}\nmay = {}\n", toml_string(client.name), toml_string(client.secret_file.string()), toml_strings(may));
  }
  for (const HttpLogoutConfig& logout : http.logouts) {
    out += fmt::format("\n[http.logout.{}]\naudience = {}\n", logout.profile, toml_strings(logout.audience));
  }
  return out;
}

std::string fleet_text(const FleetConfig& fleet) {
  if (!fleet.is_on()) return {};
  std::string out = "\n[fleet]\n" + named("address", fleet.redis.address());
  if (fleet.redis.tls) out += "tls = true\n" + named("ca_file", fleet.ca_file.native());
  out += named("username", fleet.redis.username) + named("password_file", fleet.redis.password_file.native());
  out += fmt::format("database_index = {}\n", fleet.redis.database_index) + named("key", fleet.key) + named("key_file", fleet.key_file.native());
  return out + fmt::format("staleness = {}\nstale = \"{}\"\nretention = {}\n", duration(fleet.staleness), fleet.serve_stale ? "serve" : "unavailable",
                           duration(fleet.retention));
}

std::string role_text(const RoleConfig& role) {
  std::string out = fmt::format("\n[role.{}]\n", toml_string(role.name));
  if (!role.inherits.empty()) out += fmt::format("inherits = {}\n", toml_strings(role.inherits));
  if (!role.permissions.empty()) out += fmt::format("permissions = {}\n", toml_strings(role.permissions));
  return out;
}

std::string profile_text(const ProfileConfig& profile) {
  std::string out = fmt::format("\n[profile.{}]\n", profile.name);
  out += fmt::format("upstream = \"{}\"\n", upstream_name(profile.upstream));
  if (!profile.audience.empty()) out += fmt::format("audience = {}\n", toml_strings(profile.audience));
  out += fmt::format("ttl_max = {}\nnegative_ttl = {}\nmax_token_lifetime = {}\n", duration(profile.ttl_max),
                     duration(profile.negative_ttl), duration(profile.max_token_lifetime));
  out += fmt::format("refresh = \"{}\"\n", profile.refreshes() ? "on" : "off");
  if (!profile.roles.empty()) out += fmt::format("roles = {}\n", toml_strings(profile.roles));
  if (profile.upstream != UpstreamKind::kJwks) out += fmt::format("stale_if_error = {}\n", duration(profile.stale_if_error));
  if (profile.upstream == UpstreamKind::kJwks) {
    out += fmt::format("leeway = {}\nissuer = {}\n", duration(profile.leeway), toml_string(profile.issuer));
    out += key_set_text(profile);
    out += fmt::format("token_type = \"{}\"\n", profile.token_type == TokenType::kAccessToken ? "at+jwt" : "legacy");
  } else if (profile.upstream == UpstreamKind::kIntrospection) {
    out += introspection_text(profile);
  } else if (profile.upstream == UpstreamKind::kPostgresql) {
    out += postgresql_text(profile);
  } else if (profile.upstream == UpstreamKind::kRedis) {
    out += redis_text(profile);
  } else {
    if (!profile.database.empty()) out += fmt::format("database = {}\n", toml_string(profile.database.string()));
    if (!profile.query.empty()) out += fmt::format("query = {}\nkey_encoding = \"{}\"\n", toml_string(profile.query), encoding_name(profile.key_encoding));
    if (profile.slides()) out += fmt::format("idle_timeout = {}\n", duration(profile.idle_timeout));
    if (profile.query.empty()) out += fmt::format("warm = {}\n", profile.warm);
  }
  return out;
}

}  // namespace

std::string config_text(const Config& config) {
  const TableConfig& table = config.table;
  const LimitsConfig& limits = config.limits;
  std::string out = fmt::format(
      "runtime_dir = {}\nstate_dir = {}\ngroup = {}\nadmin_group = {}\nlog_level = {}\n", toml_string(config.runtime_dir.string()),
      toml_string(config.state_dir.string()), toml_string(config.group), toml_string(config.admin_group), toml_string(config.log_level));
  out += fmt::format("\n[table]\ncapacity = {}\nnegative_percent = {}\ntext_bytes_per_record = {}\nheartbeat_timeout = {}\n", table.capacity,
                     table.negative_percent, table.text_bytes_per_record, duration(table.heartbeat_timeout));
  out += fmt::format(
      "\n[limits]\nmisses_per_second_per_uid = {}\nmiss_burst_per_uid = {}\nconnections = {}\nflights = {}\nwaiters_per_flight = {}\n"
      "rules = {}\nupstream_timeout = {}\n",
      limits.misses_per_second_per_uid, limits.miss_burst_per_uid, limits.connections, limits.flights, limits.waiters_per_flight,
      limits.rules, duration(limits.upstream_timeout));
  out += http_text(config.http) + fleet_text(config.fleet);
  for (const RoleConfig& role : config.roles) out += role_text(role);
  for (const ProfileConfig& profile : config.profiles) out += profile_text(profile);
  return out;
}

}  // namespace authcached
