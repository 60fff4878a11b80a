#include "tests/faults/support/databases.hpp"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "tests/postgresql/support/postgres_test.hpp"

namespace authcache_test {

namespace {

// A row this long does not pass a dripping network within the deadline of a question.
std::string long_name(const std::string& token) { return token + std::string(300, '.'); }

// Without TLS: the server of the PostgreSQL suite lets nobody in over the network so.
void let_in_without_tls(const PostgresServer& server) {
  std::ofstream(server.socket_directory() / "data/pg_hba.conf", std::ios::trunc)
      << "local all admin trust\nhost all reader 127.0.0.1/32 trust\n";
  server.sql("SELECT pg_reload_conf()");
}

}  // namespace

std::string Databases::missing() {
  const std::string postgres = PostgresServer::missing();
  return postgres.empty() ? RedisServer::missing() : postgres;
}

Databases::Databases() {
  std::string name = "/dev/shm/authcache-db-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a directory");
  directory_ = name;
  std::filesystem::permissions(directory_, std::filesystem::perms(0755));
  for (const Harm harm : kHarms) {
    const std::string number = std::to_string(static_cast<int>(harm));
    auto& postgres = postgres_[harm] = std::make_unique<PostgresServer>(directory_ / number);
    postgres->sql(kPlainSchema);
    let_in_without_tls(*postgres);
    redis_[harm] = std::make_unique<RedisServer>();
    redis_[harm]->start();
  }
}

Databases::~Databases() {
  postgres_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::uint16_t Databases::port(Kind kind, Harm harm) const {
  return kind == Kind::kPostgresql ? postgres_.at(harm)->port() : redis_.at(harm)->port();
}

std::string Databases::issue(Kind kind, Harm harm) {
  const std::string token = "session-" + std::to_string(++issued_);
  const std::string key = hex_sha256(token), name = long_name(token);
  if (kind == Kind::kPostgresql) {
    postgres_.at(harm)->sql("INSERT INTO sessions (token_hash, user_id, expires_at) VALUES ('\\x" + key +
                            "', '" + name + "', now() + interval '1 hour')");
  } else {
    (*redis_.at(harm))({"HSET", "session:" + key, "subject", name});
    (*redis_.at(harm))({"EXPIRE", "session:" + key, "3600"});
  }
  return token;
}

std::string Databases::profile_lines(Kind kind, std::uint16_t port) {
  if (kind == Kind::kRedis) {
    return "upstream = \"redis\"\naddress = \"127.0.0.1:" + std::to_string(port) +
           "\"\nkey_template = \"session:{key}\"\nkey_encoding = \"hex_sha256\"\n";
  }
  return "upstream = \"postgresql\"\nconnection = \"host=127.0.0.1 port=" + std::to_string(port) +
         " dbname=app user=reader sslmode=disable\"\nquery = '''\n" + kPlainQuery +
         "\n'''\nkey_encoding = \"sha256\"\npool_min = 1\npool_max = 1\n";
}

void Databases::begin_harm() const {
  postgres_.at(Harm::kStopped)->suspend();
  redis_.at(Harm::kStopped)->suspend();
  postgres_.at(Harm::kKilled)->kill();
  redis_.at(Harm::kKilled)->kill();
}

void Databases::end_harm() const {
  postgres_.at(Harm::kStopped)->resume();
  redis_.at(Harm::kStopped)->resume();
  postgres_.at(Harm::kKilled)->start();
  redis_.at(Harm::kKilled)->start();
}

}  // namespace authcache_test
