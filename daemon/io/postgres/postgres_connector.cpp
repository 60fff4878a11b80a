#include "daemon/io/postgres/postgres_connector.hpp"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/secret_file.hpp"
#include "daemon/base/sha256.hpp"
#include "daemon/io/http/name_resolver.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;
using std::chrono::steady_clock;

namespace {

// What every session of ours is: it reads, it ends in time, and its texts mean one thing. In the startup
// packet, so that they hold before the first statement and no statement of anybody else's gets them.
std::string session_options(std::chrono::milliseconds statement_timeout) {
  return "-c default_transaction_read_only=on -c statement_timeout=" +
         std::to_string(statement_timeout.count()) +
         " -c idle_in_transaction_session_timeout=10000 -c datestyle=ISO -c timezone=UTC -c jit=off";
}

struct Address {
  std::string text;  // empty: libpq takes the host as it is
};

std::string text_of(const HostAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
  return address.scope == 0 ? text : text + std::string("%") + std::to_string(address.scope);
}

Result<std::vector<Address>> addresses_of(const PostgresHost& host) {
  if (host.is_socket()) return std::vector<Address>{Address{}};
  if (!host.hostaddr.empty()) return std::vector<Address>{Address{host.hostaddr}};
  auto found = NameResolver::look_up_host(host.host);
  if (!found) return std::unexpected(std::move(found.error()));
  std::vector<Address> addresses;
  for (const HostAddress& address : *found) addresses.push_back({text_of(address)});
  return addresses;
}

class Attempt {
 public:
  Attempt(const PostgresOrder& order, const SecretText& password, const std::atomic<bool>& cancelled)
      : order_(order), password_(password), cancelled_(cancelled) {}

  [[nodiscard]] Result<PostgresHandle> connect(const PostgresHost& host, const Address& address,
                                               PostgresRole role) const {
    PostgresHandle connection = start(host, address, role);
    if (!connection) return fail(ErrorCode::kSystem, "no memory is left for a connection");
    PQsetNoticeProcessor(
        connection.get(), [](void*, const char*) {}, nullptr);
    PostgresSetup setup(*connection, cancelled_);
    if (auto established = establish(*connection, setup); !established)
      return std::unexpected(std::move(established.error()));
    if (PQsetnonblocking(connection.get(), 1) != 0)
      return fail(ErrorCode::kSystem, postgres_sentence(PQerrorMessage(connection.get())));
    if (auto checked = check_session(setup); !checked) return std::unexpected(std::move(checked.error()));
    if (auto prepared = order_.prepare(setup); !prepared) return std::unexpected(std::move(prepared.error()));
    return connection;
  }

 private:
  [[nodiscard]] PostgresHandle start(const PostgresHost& host, const Address& address,
                                     PostgresRole role) const {
    std::vector<const char*> keys, values;
    const auto add = [&](const char* key, const char* value) {
      if (*value == '\0') return;
      keys.push_back(key);
      values.push_back(value);
    };
    const std::string options = session_options(order_.statement_timeout);
    const std::string password(password_.view());
    for (const auto& [key, value] : order_.target.options) add(key.c_str(), value.c_str());
    add("host", host.host.c_str());
    add("hostaddr", address.text.c_str());
    add("port", host.port.c_str());
    add("password", password.c_str());
    add("options", options.c_str());
    add("target_session_attrs", role_name(role));
    add("client_encoding", "UTF8");
    add("gssencmode", "disable");
    add("fallback_application_name", "authcached");
    keys.push_back(nullptr);
    values.push_back(nullptr);
    PostgresHandle connection(PQconnectStartParams(keys.data(), values.data(), 0));
    OPENSSL_cleanse(const_cast<char*>(password.data()), password.size());
    return connection;
  }

  [[nodiscard]] static Result<void> establish(pg_conn& connection, PostgresSetup& setup) {
    const auto deadline = steady_clock::now() + PostgresSetup::kStepTimeout;
    PostgresPollingStatusType wants =
        PQstatus(&connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (wants != PGRES_POLLING_OK && wants != PGRES_POLLING_FAILED) {
      if (!setup.wait(wants == PGRES_POLLING_READING, deadline))
        return fail(ErrorCode::kUnavailable, "it did not answer in time");
      wants = PQconnectPoll(&connection);
    }
    if (wants == PGRES_POLLING_OK) return {};
    return fail(ErrorCode::kUnavailable, postgres_sentence(PQerrorMessage(&connection)));
  }

  // A pooler between may drop what the startup packet asked for, and would hand our statements to sessions
  // that do not know them.
  [[nodiscard]] static Result<void> check_session(PostgresSetup& setup) {
    auto settings =
        setup.rows("SELECT current_setting('default_transaction_read_only'), current_setting('timezone')");
    if (!settings) return std::unexpected(std::move(settings.error()));
    const std::string_view read_only = PQgetvalue(settings->get(), 0, 0),
                           zone = PQgetvalue(settings->get(), 0, 1);
    if (read_only == "on" && zone == "UTC") return {};
    return fail(
        ErrorCode::kRefused,
        "the session's settings were dropped on the way, as poolers do; connect to the server itself");
  }

  const PostgresOrder& order_;
  const SecretText& password_;
  const std::atomic<bool>& cancelled_;
};

}  // namespace

bool PostgresSetup::wait(bool readable, steady_clock::time_point deadline) const {
  while (!cancelled_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd socket{PQsocket(&connection_), static_cast<short>(readable ? POLLIN : POLLOUT), 0};
    if (::poll(&socket, 1, static_cast<int>(std::min(left, kSlice).count())) > 0) return true;
  }
  return false;
}

Result<PostgresResult> PostgresSetup::result(bool sent) {
  const auto deadline = steady_clock::now() + kStepTimeout;
  const auto broken = [this] {
    return fail(ErrorCode::kUnavailable, postgres_sentence(PQerrorMessage(&connection_)));
  };
  const auto late = [] { return fail(ErrorCode::kUnavailable, "it did not answer in time"); };
  if (!sent) return broken();
  for (int left = 1; left != 0;) {
    left = PQflush(&connection_);
    if (left < 0) return broken();
    if (left > 0 && !wait(false, deadline)) return late();
  }
  PostgresResult last;
  while (true) {
    while (PQisBusy(&connection_) != 0) {
      if (!wait(true, deadline)) return late();
      if (PQconsumeInput(&connection_) == 0) return broken();
    }
    PostgresResult next(PQgetResult(&connection_));
    if (!next) break;
    last = std::move(next);
  }
  if (!last) return broken();
  const ExecStatusType status = PQresultStatus(last.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return last;
  return fail(ErrorCode::kRefused, postgres_sentence(PQresultErrorMessage(last.get())));
}

Result<PostgresResult> PostgresSetup::rows(const char* sql) {
  return result(PQsendQuery(&connection_, sql) != 0);
}

Result<void> PostgresSetup::prepare(const char* name, const std::string& sql) {
  auto done = result(PQsendPrepare(&connection_, name, sql.c_str(), 0, nullptr) != 0);
  if (!done) return std::unexpected(std::move(done.error()));
  return {};
}

Result<std::string> PostgresSetup::prepare_named(const std::string& sql) {
  const Sha256 hash = sha256(sql);
  std::string name = "authcache_";
  for (std::size_t i = 0; i < 16; ++i) {
    name += "0123456789abcdef"[hash[i] >> 4];
    name += "0123456789abcdef"[hash[i] & 15];
  }
  if (auto prepared = prepare(name.c_str(), sql); !prepared) return std::unexpected(std::move(prepared.error()));
  return name;
}

Result<PostgresResult> PostgresSetup::describe(const char* name) {
  return result(PQsendDescribePrepared(&connection_, name) != 0);
}

Result<PostgresLink> connect_postgres(const PostgresOrder& order, const std::atomic<bool>& cancelled) {
  SecretText password;
  if (!order.password_file.empty()) {
    auto read = read_client_secret(order.password_file);
    if (!read) return std::unexpected(std::move(read.error()));
    password = std::move(*read);
  }
  const Attempt attempt(order, password, cancelled);
  std::vector<PostgresRole> rounds{order.target.role};
  if (order.target.role == PostgresRole::kPreferStandby)
    rounds = {PostgresRole::kStandby, PostgresRole::kAny};
  std::string said;
  for (const PostgresRole role : rounds) {
    said.clear();
    for (const PostgresHost& host : order.target.hosts) {
      auto addresses = addresses_of(host);
      std::string why = addresses ? std::string() : addresses.error().message;
      for (std::size_t i = 0; addresses && i < addresses->size(); ++i) {
        if (cancelled) return fail(ErrorCode::kUnavailable, "it is no longer wanted");
        auto connection = attempt.connect(host, (*addresses)[i], role);
        if (connection) return PostgresLink{std::move(*connection), host.name()};
        why = std::move(connection.error().message);
      }
      said += (said.empty() ? "" : "; ") + host.name() + ": " + why;
    }
  }
  return fail(ErrorCode::kUnavailable, std::move(said));
}

}  // namespace authcached
