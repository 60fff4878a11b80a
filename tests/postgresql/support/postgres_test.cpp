#include "tests/postgresql/support/postgres_test.hpp"

#include <openssl/evp.h>
#include <stdlib.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <stdexcept>

#include "tests/process/support/client.hpp"

namespace authcache_test {

std::unique_ptr<PostgresServer> PostgresTest::server_;
std::unique_ptr<authcached::testing::TestCa> PostgresTest::authority_;
std::filesystem::path PostgresTest::directory_;

std::string hex_sha256(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("no SHA-256");
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

void PostgresTest::SetUpTestSuite() {
  if (!PostgresServer::missing().empty()) return;
  std::string name = "/dev/shm/authcache-pg-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a directory");
  directory_ = name;
  std::filesystem::permissions(directory_, std::filesystem::perms(0755));
  authority_ = std::make_unique<authcached::testing::TestCa>(directory_);
  const auto leaf = authority_->leaf("server", "DNS:localhost,IP:127.0.0.1");
  server_ = std::make_unique<PostgresServer>(directory_ / "a", PostgresTls{leaf.certificate, leaf.key});
}

void PostgresTest::TearDownTestSuite() {
  server_.reset();
  authority_.reset();
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

void PostgresTest::SetUp() {
  if (const std::string why = PostgresServer::missing(); !why.empty()) GTEST_SKIP() << why;
  daemon_.emplace();
}

void PostgresTest::clear(const std::string& ddl) {
  server_->sql(
      "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO reader, guarded;" +
      ddl);
}

void PostgresTest::insert_plain(const std::string& token, const std::string& user,
                                const std::string& values) {
  server_->sql(
      "INSERT INTO sessions (token_hash, user_id, roles, created_at, expires_at, revoked_at) VALUES ('\\x" +
      hex_sha256(token) + "', '" + user + "', " +
      (values.empty() ? "'{}', now(), now() + interval '1 hour', NULL" : values) + ")");
}

void PostgresTest::configure(const Shop& shop) const {
  configure_profile("[profile.shop]\nupstream = \"postgresql\"\nconnection = \"" + shop.connection +
                    "\"\nquery = '''\n" + shop.query + "\n'''\nkey_encoding = \"" + shop.key_encoding +
                    "\"\n" + shop.more);
}

void PostgresTest::configure_profile(const std::string& section) const {
  daemon_->configure("log_level = \"debug\"\n[table]\ncapacity = 10000\n" + section);
}

void PostgresTest::start(const Shop& shop) {
  configure(shop);
  start_configured();
}

void PostgresTest::start_configured() {
  daemon_->start();
  reader_.emplace(daemon_->runtime_dir());
}

std::vector<int> PostgresTest::validate_together(const std::vector<std::string>& tokens) const {
  std::vector<int> verdicts(tokens.size(), -1);
  Client client(daemon_->runtime_dir());
  authcache_requirement* const requirement = client.requirement({.profile = "shop", .token = {}});
  std::size_t open = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const int said = authcache_submit(client.handle(), tokens[i].data(), tokens[i].size(), requirement, 8'000,
                                      i, nullptr, nullptr);
    if (said == AUTHCACHE_MISS) {
      ++open;
    } else {
      verdicts[i] = said;
    }
  }
  std::vector<authcache_answer> answers(64, authcache_answer AUTHCACHE_ANSWER_INIT);
  (void)eventually([&] {
    const int got = authcache_collect(client.handle(), answers.data(), answers.size());
    for (int i = 0; i < got; ++i)
      verdicts[answers[static_cast<std::size_t>(i)].data] = answers[static_cast<std::size_t>(i)].verdict;
    open -= static_cast<std::size_t>(std::max(got, 0));
    return open == 0;
  });
  return verdicts;
}

boost::json::object PostgresTest::state() const {
  const auto document = daemon_->authctl({"upstreams", "--json"}).json();
  return document.at("upstreams").as_array().at(0).at("state").as_object();
}

}  // namespace authcache_test
