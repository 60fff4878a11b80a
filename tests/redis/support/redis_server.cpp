#include "tests/redis/support/redis_server.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <stdexcept>

#include "shm/unique_fd.hpp"
#include "tests/process/support/http_peer.hpp"
#include "tests/process/support/programs.hpp"

namespace authcache_test {

namespace {

constexpr const char* kProgram = "/usr/bin/redis-server";

std::string text_of(const redisReply* reply) {
  if (reply == nullptr) return "(lost)";
  switch (reply->type) {
    case REDIS_REPLY_INTEGER: return std::to_string(reply->integer);
    case REDIS_REPLY_NIL: return "(nil)";
    case REDIS_REPLY_ERROR: return "(error) " + std::string(reply->str, reply->len);
    case REDIS_REPLY_ARRAY: {
      std::string all;
      for (std::size_t i = 0; i < reply->elements; ++i)
        all += (i > 0 ? " " : "") + text_of(reply->element[i]);
      return all;
    }
    default: return {reply->str, reply->len};
  }
}

}  // namespace

RedisLink::RedisLink(const std::filesystem::path& socket)
    : context_(redisConnectUnix(socket.c_str()), redisFree) {}

std::string RedisLink::operator()(const std::vector<std::string>& arguments) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string& argument : arguments) {
    texts.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  if (!context_ || context_->err != 0) return "(lost)";
  const std::unique_ptr<redisReply, void (*)(void*)> reply(
      static_cast<redisReply*>(
          redisCommandArgv(context_.get(), static_cast<int>(texts.size()), texts.data(), sizes.data())),
      freeReplyObject);
  return text_of(reply.get());
}

std::string RedisServer::missing() {
  return std::filesystem::exists(kProgram) ? "" : "there is no redis-server; ./dev test installs it";
}

RedisServer::RedisServer(std::vector<std::string> arguments)
    : port_(free_port()), arguments_(std::move(arguments)) {
  arguments_.insert(arguments_.end(), {"--port", std::to_string(port_)});
}

RedisServer::RedisServer(const authcached::testing::TestCa& ca, const authcached::testing::Leaf& leaf,
                         std::vector<std::string> arguments)
    : port_(free_port()), arguments_(std::move(arguments)) {
  arguments_.insert(arguments_.end(), {"--port", "0", "--tls-port", std::to_string(port_), "--tls-cert-file",
                                       leaf.certificate.string(), "--tls-key-file", leaf.key.string(),
                                       "--tls-ca-cert-file", ca.file().string(), "--tls-auth-clients", "no"});
}

void RedisServer::start() {
  const authcache::shm::UniqueFd log(
      ::open((directory_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  std::vector<std::string> command{kProgram,
                                   "--bind",
                                   "127.0.0.1",
                                   "--unixsocket",
                                   socket().string(),
                                   "--save",
                                   "",
                                   "--appendonly",
                                   "no",
                                   "--dir",
                                   directory_.path().string(),
                                   "--enable-debug-command",
                                   "yes"};
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  child_ = std::make_unique<ChildProcess>(ChildSpec{command, {}, -1, log.get(), log.get()});
  // With a password it says so, which is an answer as well.
  const auto answers = [&] {
    const std::string said = (*this)({"PING"});
    return said == "PONG" || said.starts_with("(error) NOAUTH");
  };
  if (!eventually(answers))
    throw std::runtime_error("redis-server does not start:\n" + read_file(directory_ / "log"));
}

void RedisServer::stop() {
  child_->signal(SIGTERM);
  if (!child_->wait()) throw std::runtime_error("redis-server does not end");
}

void RedisServer::kill() {
  child_->signal(SIGKILL);
  if (!child_->wait()) throw std::runtime_error("redis-server does not end");
}

void RedisServer::suspend() const { child_->signal(SIGSTOP); }
void RedisServer::resume() const { child_->signal(SIGCONT); }

std::uint64_t RedisServer::calls(const std::string& command) const {
  const std::string all = (*this)({"INFO", "commandstats"});
  const std::string name = "cmdstat_" + command + ":calls=";
  const std::size_t at = all.find(name);
  return at == std::string::npos ? 0 : std::stoull(all.substr(at + name.size()));
}

}  // namespace authcache_test
