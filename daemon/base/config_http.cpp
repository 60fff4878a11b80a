#include "daemon/base/config_http.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "daemon/base/config_reader.hpp"

namespace authcached {
namespace {

constexpr bool kOnReload = true;
constexpr bool kOnRestart = false;

constexpr std::array<std::string_view, 6> kIdentityNames{"subject", "issuer",      "client",
                                                         "scopes",  "permissions", "session"};
constexpr std::size_t kIdentityBytesMax = 11;  // "permissions"
constexpr std::pair<std::string_view, HttpEncoding> kEncodings[] = {{"plain", HttpEncoding::kPlain},
                                                                    {"percent", HttpEncoding::kPercent}};

constexpr std::string_view kAlnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool is_made_of(std::string_view text, std::string_view more) {
  return std::ranges::all_of(text, [&](char c) { return kAlnum.contains(c) || more.contains(c); });
}

// A port by itself: no sign, no blank, no leading zero.
bool read_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port != 0 && text.front() != '0';
}

void read_listen(KeyReader& key, HttpConfig& http) {
  std::string text;
  key.text(text, kPathBytesMax);
  if (text.empty()) return;
  constexpr std::string_view kUnix = "unix:", kFour = "127.0.0.1:", kSix = "[::1]:";
  const std::string_view view = text;
  if (view.starts_with(kUnix)) {
    const std::filesystem::path path(view.substr(kUnix.size()));
    if (path.is_absolute() && path.has_filename() && path.native().size() <= kHttpSocketPathBytesMax) {
      http.socket = path;
      return;
    }
    return key.fail("names no socket", "write unix: and an absolute path of at most " +
                                           std::to_string(kHttpSocketPathBytesMax) +
                                           " bytes, such as \"unix:/run/authcache/http.sock\"");
  }
  http.ipv6 = view.starts_with(kSix);
  if (http.ipv6 && read_port(view.substr(kSix.size()), http.port)) return;
  if (view.starts_with(kFour) && read_port(view.substr(kFour.size()), http.port)) return;
  http.port = 0;
  key.fail("is neither a unix socket nor a loopback address with a port",
           "write \"unix:/run/authcache/http.sock\", \"127.0.0.1:PORT\" or \"[::1]:PORT\": what other hosts "
           "reach belongs to a proxy with TLS in front");
}

void read_hosts(KeyReader& key, HttpConfig& http) {
  std::vector<std::string> hosts;
  key.texts(hosts, kHttpHostsMax, kHttpHostBytesMax);
  for (const std::string& host : hosts) {
    if (!is_made_of(host, ".-_:[]"))
      return key.fail("names something that is no host",
                      "write names or addresses without a port, such as \"auth.internal\"");
  }
  http.hosts = std::move(hosts);
}

void read_identity(KeyReader& key, HttpConfig& http) {
  std::vector<std::string> names;
  key.texts(names, kIdentityNames.size(), kIdentityBytesMax);
  std::vector<HttpIdentity> identity;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(kIdentityNames, name);
    if (found == kIdentityNames.end()) {
      return key.fail(
          "names something that no identity has",
          "write some of \"subject\", \"issuer\", \"client\", \"scopes\", \"permissions\" and \"session\"");
    }
    identity.push_back(static_cast<HttpIdentity>(found - kIdentityNames.begin()));
  }
  if (!identity.empty()) http.identity = std::move(identity);
}

void read_certificate_header(KeyReader& key, HttpConfig& http) {
  std::string name;
  key.text(name, kHttpFieldNameBytesMax);
  if (!name.empty() && !is_made_of(name, "-_"))
    return key.fail("is not a header's name", "write letters, digits and '-', such as \"X-Client-Cert\"");
  http.certificate_header = std::move(name);
}

constexpr KeyBinding<HttpConfig> kHttpBindings[] = {
    {"listen", read_listen},
    {"group",
     [](KeyReader& key, HttpConfig& http) {
       std::string name;
       key.group(name);
       http.group = std::move(name);
     }},
    {"hosts", read_hosts},
    {"identity", read_identity},
    {"encoding", [](KeyReader& key, HttpConfig& http) { key.choice(http.encoding, kEncodings); }},
    {"certificate_header", read_certificate_header},
    {"connections",
     [](KeyReader& key, HttpConfig& http) { key.number(http.connections, kHttpConnectionsRange); }},
    {"idle_timeout",
     [](KeyReader& key, HttpConfig& http) { key.duration(http.idle_timeout, kHttpIdleTimeoutRange); }},
    {"request_timeout",
     [](KeyReader& key, HttpConfig& http) { key.duration(http.request_timeout, kHttpRequestTimeoutRange); }},
};

void read_may(KeyReader& key, HttpClientConfig& client) {
  std::vector<std::string> names;
  key.texts(names, 2, 10);
  for (const std::string& name : names) {
    if (name == "introspect") {
      client.may_introspect = true;
    } else if (name == "revoke") {
      client.may_revoke = true;
    } else {
      key.fail("names something that cannot be permitted", "write \"introspect\", \"revoke\" or both");
    }
  }
}

constexpr KeyBinding<HttpClientConfig> kClientBindings[] = {
    {"secret_file", [](KeyReader& key, HttpClientConfig& client) { key.path(client.secret_file); }},
    {"may", read_may},
};

constexpr KeyBinding<HttpLogoutConfig> kLogoutBindings[] = {
    {"audience",
     [](KeyReader& key, HttpLogoutConfig& logout) {
       key.texts(logout.audience, kAudiencesMax, kAudienceBytesMax);
     }},
};

constexpr std::string_view kSubsections[] = {"client", "logout"};

// Calls fn(name, section) for each section of [http.KIND.NAME].
template <class Fn>
void each_section(const toml::table& http, std::string_view kind, std::vector<ConfigFault>& faults, Fn fn) {
  const toml::node* const node = http.get(kind);
  if (node == nullptr) return;
  const std::string heading = "[http." + std::string(kind) + ".NAME]";
  const toml::table* const sections = node->as_table();
  if (sections == nullptr) {
    faults.push_back({line_of(*node), "http." + std::string(kind) + " is a value, not a section",
                      "write its keys under the heading " + heading});
    return;
  }
  for (const auto& [name, value] : *sections) {
    const toml::table* const section = value.as_table();
    if (section != nullptr) {
      fn(std::string(name.str()), *section);
    } else {
      faults.push_back(
          {line_of(value),
           "http." + std::string(kind) + "." + shown_name(name.str()) + " is a value, not a section",
           "write its keys under the heading " + heading});
    }
  }
}

void read_client(const std::string& name, const toml::table& section, HttpConfig& http,
                 std::vector<ConfigFault>& faults) {
  HttpClientConfig client;
  client.name = name;
  const std::string prefix = "http.client." + shown_name(name) + ".";
  const std::uint32_t line = line_of(section);
  if (name.empty() || name.size() > kHttpClientNameBytesMax || !is_made_of(name, "._-")) {
    faults.push_back({line, "http.client." + shown_name(name) + " is not a client's name",
                      "write 1 to 63 letters, digits, '.', '_' and '-'"});
  }
  const KeyLines lines = read_section<HttpClientConfig>(section, prefix, kClientBindings, {}, client, faults);
  if (!lines.contains("secret_file")) {
    faults.push_back(
        {line, prefix + "secret_file is missing",
         "name a file that holds the SHA-256 of the client's secret: printf %s SECRET | sha256sum"});
  }
  if (!lines.contains("may"))
    faults.push_back({line, prefix + "may is missing", "write may = [\"introspect\"], [\"revoke\"] or both"});
  if (http.clients.size() == kHttpClientsMax) {
    faults.push_back({line, "there are more than " + std::to_string(kHttpClientsMax) + " clients",
                      "let services of one kind share a client"});
    return;
  }
  http.clients.push_back(std::move(client));
}

void read_logout(const std::string& name, const toml::table& section, Config& config,
                 std::vector<ConfigFault>& faults) {
  HttpLogoutConfig logout;
  logout.profile = name;
  const std::string prefix = "http.logout." + shown_name(name) + ".";
  const std::uint32_t line = line_of(section);
  const KeyLines lines = read_section<HttpLogoutConfig>(section, prefix, kLogoutBindings, {}, logout, faults);
  if (!lines.contains("audience")) {
    faults.push_back({line, prefix + "audience is missing",
                      "list the client ids that the issuer knows this host's services by: another client's "
                      "logout is not ours"});
  }
  const auto profile = std::ranges::find(config.profiles, name, &ProfileConfig::name);
  if (profile == config.profiles.end() || profile->upstream != UpstreamKind::kJwks) {
    faults.push_back(
        {line, "http.logout." + shown_name(name) + " names no jwks profile",
         "write the NAME of a [profile.NAME] with an issuer's keys: a logout token is signed by them"});
  }
  config.http.logouts.push_back(std::move(logout));
}

}  // namespace

std::string_view http_identity_name(HttpIdentity identity) {
  return kIdentityNames[static_cast<std::size_t>(identity)];
}

std::vector<std::string> http_bound_keys() {
  std::vector<std::string> names;
  for (const auto& binding : kHttpBindings) names.push_back("http." + std::string(binding.name));
  for (const auto& binding : kClientBindings)
    names.push_back("http.client.NAME." + std::string(binding.name));
  for (const auto& binding : kLogoutBindings)
    names.push_back("http.logout.NAME." + std::string(binding.name));
  return names;
}

void read_http(const toml::table& document, Config& config, std::vector<ConfigFault>& faults) {
  const toml::node* const node = document.get("http");
  if (node == nullptr) return;
  const toml::table* const source = node->as_table();
  if (source == nullptr) {
    faults.push_back(
        {line_of(*node), "http is a value, not a section", "write its keys under the heading [http]"});
    return;
  }
  const KeyLines lines =
      read_section<HttpConfig>(*source, "http.", kHttpBindings, kSubsections, config.http, faults);
  const auto refuse_without_socket = [&](std::string_view key, std::string_view why) {
    const auto found = lines.find(key);
    if (found == lines.end() || config.http.port == 0) return;
    faults.push_back(
        {found->second, "http." + std::string(key) + " goes with a unix socket only", std::string(why)});
  };
  refuse_without_socket(
      "certificate_header",
      "write listen = \"unix:...\": on a loopback port every user of this host could claim any certificate");
  refuse_without_socket("group", "remove it: a loopback port belongs to nobody");
  each_section(*source, "client", faults, [&](const std::string& name, const toml::table& section) {
    read_client(name, section, config.http, faults);
  });
  each_section(*source, "logout", faults, [&](const std::string& name, const toml::table& section) {
    read_logout(name, section, config, faults);
  });
}

std::vector<ConfigKey> http_keys() {
  return {
      {"http.listen", "text", "", kOnRestart,
       "\"unix:/run/authcache/http.sock\" (mode 0660), \"127.0.0.1:PORT\" or \"[::1]:PORT\". Absent: the "
       "face is off. Nothing "
       "else is taken: every user of this host can ask at a loopback port, and other hosts must not."},
      {"http.group", "group name", "", kOnRestart,
       "Whose members may connect to the unix socket. Absent: group. Members of group can read the table as "
       "well, so put "
       "the socket into a directory of its own and name the proxy's group here if it should not. \"\" means "
       "the daemon's own "
       "group."},
      {"http.hosts", "list of text", "", kOnReload,
       "Names that a request's Host may have beside localhost, 127.0.0.1 and [::1], without a port: 1 to 64. "
       "Every other is "
       "refused (421), so that no web page reaches the daemon through a name of its own. Envoy passes on the "
       "host that its "
       "client asked for."},
      {"http.identity", "list of text", "[\"subject\", \"scopes\", \"client\", \"issuer\"]", kOnReload,
       "Which headers a 200 of /auth carries: \"subject\" (X-Auth-Subject), \"issuer\", \"client\", "
       "\"scopes\", \"permissions\" and "
       "\"session\"."},
      {"http.encoding", "one of", "plain", kOnReload,
       "How they are written. \"plain\": as they are; an identity with a value that cannot stand in a header "
       "so (not printable "
       "ASCII; a scope with a blank in it) is answered by 500, never cut or changed. \"percent\": every byte "
       "but letters, "
       "digits and \"-._~:/@+\" as %XX, in all values; the services must decode them."},
      {"http.certificate_header", "text", "", kOnReload,
       "unix socket only. The request header in which the proxy tells the client certificate that it "
       "verified: the SHA-256 of "
       "its DER in hex or base64, or the percent-encoded PEM (nginx: $ssl_client_escaped_cert). The proxy "
       "must set it on every "
       "request, also to nothing. Absent: none is taken, and tokens bound to a certificate are refused."},
      {"http.connections", "connections", "1024", kOnRestart,
       "Open connections of the face. From 1 to 65536. At the bound the one that was idle for longest gives "
       "way."},
      {"http.idle_timeout", "duration", "75s", kOnReload,
       "How long a connection may stay without a request. From 1s to 1h. Longer than the proxy keeps its "
       "own, so that the proxy "
       "closes first."},
      {"http.request_timeout", "duration", "5s", kOnReload,
       "How long a request may take from its first byte to its last. From 100ms to 1m."},
      {"http.client.NAME.secret_file", "path", "", kOnReload,
       "Required. A file that holds the SHA-256 of the secret as 64 hex digits, as `printf %s SECRET | "
       "sha256sum` prints them. "
       "The secret must be random (128 bits or more): a guessable one is found from its hash."},
      {"http.client.NAME.may", "list of text", "", kOnReload,
       "Required. \"introspect\", \"revoke\" or both."},
      {"http.logout.NAME.audience", "list of text", "", kOnReload,
       "Required. The client ids of this host's services at the issuer; a logout token must name one of them "
       "in aud."},
  };
}

}  // namespace authcached
