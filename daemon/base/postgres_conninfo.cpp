#include "daemon/base/postgres_conninfo.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

namespace authcached {
namespace {

// Each is tried for seconds before the next: more of them than this no caller would wait for.
constexpr std::size_t kHostsMax = 16;

constexpr std::string_view kPassedOn[] = {"dbname",
                                          "user",
                                          "sslmode",
                                          "sslrootcert",
                                          "sslcert",
                                          "sslkey",
                                          "sslcrl",
                                          "sslcrldir",
                                          "sslsni",
                                          "ssl_min_protocol_version",
                                          "channel_binding",
                                          "requirepeer",
                                          "keepalives",
                                          "keepalives_idle",
                                          "keepalives_interval",
                                          "keepalives_count",
                                          "tcp_user_timeout",
                                          "application_name"};

constexpr std::pair<std::string_view, PostgresRole> kRoles[] = {{"any", PostgresRole::kAny},
                                                                {"primary", PostgresRole::kPrimary},
                                                                {"standby", PostgresRole::kStandby},
                                                                {"prefer-standby", PostgresRole::kPreferStandby},
                                                                {"read-write", PostgresRole::kPrimary},
                                                                {"read-only", PostgresRole::kStandby}};

std::unexpected<ConninfoFault> fault(std::string what, std::string remedy) {
  return std::unexpected(ConninfoFault{std::move(what), std::move(remedy)});
}

std::vector<std::string> comma_separated(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = text.find(',');
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

struct Lists {
  std::vector<std::string> hosts, addresses, ports;
};

std::expected<std::vector<PostgresHost>, ConninfoFault> paired(const Lists& lists) {
  const std::size_t count = std::max(lists.hosts.size(), lists.addresses.size());
  if (count == 0) {
    return fault("names no host",
                 "write host=/run/postgresql for a socket of this machine, or the server's name");
  }
  if (count > kHostsMax) return fault("names too many hosts", "name at most " + std::to_string(kHostsMax));
  const auto fits = [count](const std::vector<std::string>& list, bool one_for_all) {
    return list.empty() || list.size() == count || (one_for_all && list.size() == 1);
  };
  if (!fits(lists.hosts, false) || !fits(lists.addresses, false) || !fits(lists.ports, true)) {
    return fault("has lists of hosts, addresses and ports that do not fit each other",
                 "write as many ports as hosts, or one for all");
  }
  std::vector<PostgresHost> hosts(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!lists.hosts.empty()) hosts[i].host = lists.hosts[i];
    if (!lists.addresses.empty()) hosts[i].hostaddr = lists.addresses[i];
    if (!lists.ports.empty()) hosts[i].port = lists.ports[lists.ports.size() == 1 ? 0 : i];
    if (hosts[i].host.empty() && hosts[i].hostaddr.empty())
      return fault("has an empty host", "name each host");
    // libpq takes it for the abstract namespace, which anybody on the machine may claim.
    if (hosts[i].host.starts_with('@'))
      return fault("names an abstract socket", "write the directory of the server's socket");
  }
  return hosts;
}

// Takes one setting of the string; false: not one that may stand in it.
bool take(std::string_view key, const std::string& value, PostgresTarget& target, Lists& lists,
          std::optional<ConninfoFault>& wrong) {
  if (key == "host") return lists.hosts = comma_separated(value), true;
  if (key == "hostaddr") return lists.addresses = comma_separated(value), true;
  if (key == "port") return lists.ports = comma_separated(value), true;
  if (key == "target_session_attrs") {
    const auto* role = std::ranges::find(kRoles, value, &std::pair<std::string_view, PostgresRole>::first);
    if (role == std::end(kRoles)) {
      wrong = ConninfoFault{"has an unknown target_session_attrs",
                            "write any, read-write, read-only, primary, standby or prefer-standby"};
    } else {
      target.role = role->second;
    }
    return true;
  }
  if (std::ranges::find(kPassedOn, key) == std::end(kPassedOn)) return false;
  target.options.emplace_back(key, value);
  return true;
}

std::string_view option_of(const PostgresTarget& target, std::string_view key) {
  const auto found = std::ranges::find(target.options, key, &std::pair<std::string, std::string>::first);
  return found == target.options.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<ConninfoFault> judge(const PostgresTarget& target) {
  for (const char* key : {"dbname", "user"}) {
    if (option_of(target, key).empty()) {
      return ConninfoFault{
          "names no " + std::string(key),
          "write " + std::string(key) + "=... : the daemon's own user name is no good guess"};
    }
  }
  const std::string_view mode = option_of(target, "sslmode");
  const bool all_local =
      std::ranges::all_of(target.hosts, [](const PostgresHost& host) { return host.is_local(); });
  if (!all_local && mode != "verify-full" && mode != "verify-ca") {
    return ConninfoFault{
        "would believe whoever answers in place of the server",
        "write sslmode=verify-full and sslrootcert=FILE: only a socket or a loopback address does without"};
  }
  return std::nullopt;
}

}  // namespace

bool PostgresHost::is_local() const {
  if (is_socket()) return true;
  const std::string& where = hostaddr.empty() ? host : hostaddr;
  // Not the name localhost: what it means is the name service's to say.
  return where.starts_with("127.") ? where.find_first_not_of("0123456789.") == std::string::npos
                                   : where == "::1";
}

std::string PostgresHost::name() const {
  return (host.empty() ? hostaddr : host) + (port.empty() ? "" : ":" + port);
}

const char* role_name(PostgresRole role) {
  for (const auto& [name, meaning] : kRoles) {
    if (meaning == role) return name.data();
  }
  return "any";
}

std::expected<PostgresTarget, ConninfoFault> read_conninfo(const std::string& text) {
  char* words = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> parsed(
      PQconninfoParse(text.c_str(), &words), PQconninfoFree);
  PQfreemem(words);  // they repeat parts of the text
  if (!parsed) {
    return fault("is not a connection string of libpq",
                 "write it as host=... dbname=... user=..., values with blanks in single quotes");
  }
  PostgresTarget target;
  Lists lists;
  std::optional<ConninfoFault> wrong;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || *option->val == '\0') continue;
    const std::string_view key = option->keyword;
    if (key == "password" || key == "sslpassword") {
      return fault("holds a " + std::string(key),
                   "remove it and name a file that holds the password in password_file");
    }
    if (!take(key, option->val, target, lists, wrong)) {
      return fault("sets " + std::string(key) + ", which is not taken here",
                   "remove it: docs/postgresql.md lists what may stand there");
    }
    if (wrong) return std::unexpected(std::move(*wrong));
  }
  auto hosts = paired(lists);
  if (!hosts) return std::unexpected(std::move(hosts.error()));
  target.hosts = std::move(*hosts);
  if (auto bad = judge(target)) return std::unexpected(std::move(*bad));
  return target;
}

}  // namespace authcached
