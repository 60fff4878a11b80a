// A libpq connection string, judged before anything connects by it: several hosts taken apart, secrets and
// what the daemon decides itself refused, TLS demanded wherever somebody else could answer. Pure; any thread.
#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

namespace authcached {

struct PostgresHost {
  std::string host;  // a name, an address, or the directory of a socket; empty if hostaddr says where
  std::string hostaddr;
  std::string port;  // empty: 5432

  // True if nobody else could answer there: a socket of this machine, or its loopback address.
  [[nodiscard]] bool is_local() const;
  [[nodiscard]] bool is_socket() const { return hostaddr.empty() && host.starts_with('/'); }
  [[nodiscard]] std::string name() const;  // for people: "db1:5433"
  bool operator==(const PostgresHost&) const = default;
};

// Which of the hosts may serve (target_session_attrs). Our sessions only read, so libpq's read-write and read-only, which
// ask what a session may do, would find none and any: here they mean the server, as primary and standby do.
enum class PostgresRole : unsigned char { kAny, kPrimary, kStandby, kPreferStandby };

struct PostgresTarget {
  std::vector<PostgresHost> hosts;  // in the order in which they are tried; never empty
  PostgresRole role = PostgresRole::kAny;
  std::vector<std::pair<std::string, std::string>> options;  // what libpq is told of every host
};

struct ConninfoFault {
  std::string what, remedy;  // never with a value of the string: it may be a secret in the wrong place
};

[[nodiscard]] std::expected<PostgresTarget, ConninfoFault> read_conninfo(const std::string& text);

// As target_session_attrs writes it.
[[nodiscard]] const char* role_name(PostgresRole role);

}  // namespace authcached
