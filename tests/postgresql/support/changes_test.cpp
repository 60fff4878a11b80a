#include "tests/postgresql/support/changes_test.hpp"

#include <stdlib.h>

#include <stdexcept>

namespace authcache_test {

OpenSession::OpenSession(const PostgresServer& server)
    : connection_(PQconnectdb(server.conninfo("admin").c_str()), PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw std::runtime_error(PQerrorMessage(connection_.get()));
}

void OpenSession::sql(const std::string& text) const {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection_.get(), text.c_str()),
                                                              PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    throw std::runtime_error(text.substr(0, 200) + ": " + PQerrorMessage(connection_.get()));
}

void ChangesTest::SetUp() {
  PostgresTest::SetUp();
  if (IsSkipped()) return;
  clear(kPlainSchema);
  // authctl runs the authcached beside it, or on PATH.
  const std::string path = ::getenv("PATH") != nullptr ? ::getenv("PATH") : "";
  const std::string here =
      std::filesystem::path(::getenv("AUTHCACHE_TEST_AUTHCACHED")).parent_path().string();
  if (!path.starts_with(here)) ::setenv("PATH", (here + ":" + path).c_str(), 1);
}

std::string ChangesTest::ddl(const std::vector<std::string>& more) const {
  std::vector<std::string> command{"sql", "postgres", "shop", "--config", daemon_->config_file().string()};
  command.insert(command.end(), more.begin(), more.end());
  const auto ran = daemon_->authctl(command);
  if (ran.exit != 0) throw std::runtime_error("authctl sql postgres: " + ran.out + ran.err);
  return ran.out;
}

void ChangesTest::listen(Shop shop, const std::vector<std::string>& more) {
  if (shop.connection.empty()) shop.connection = server_->conninfo();
  shop.more = kListen + shop.more;
  configure(shop);
  server_->sql(ddl(more));
  start_listening(shop);
}

void ChangesTest::listen_at(const std::string& connection, const std::string& more) {
  listen({.connection = connection, .more = more});
}

void ChangesTest::start_listening(const Shop& shop) {
  start(shop);
  ASSERT_TRUE(connected()) << error();
  ASSERT_TRUE(hears());
}

std::string ChangesTest::known(const std::string& token, const std::string& user) {
  insert_plain(token, user);
  EXPECT_TRUE(becomes(token, "valid"));
  EXPECT_EQ(lookup(token), "valid");
  return token;
}

}  // namespace authcache_test
