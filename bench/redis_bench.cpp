// Sessions in Redis through misses, beside a bare loop that sends the same commands to the same server.
//
// Both ask for distinct sessions over a unix socket with 256 in flight: MULTI, PTTL, HMGET and EXEC for each.
// The bare loop is hiredis on one connection, its commands made beforehand: it reads the replies into
// hiredis' own structures and looks at the subject. The daemon also takes each token from a client process
// (authcache_submit), hashes it, reads and judges the session, admits a record and answers. Every token is
// asked for once, so each one is a miss. Rounds alternate.
//
// usage: redis_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <authcache/authcache.h>
#include <hiredis/hiredis.h>
#include <poll.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <span>

#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/server_process.hpp"
#include "bench/tokens.hpp"
#include "daemon/io/redis/redis_command.hpp"
#include "daemon/upstream/redis_session.hpp"
#include "shm/wire.hpp"

namespace {

using namespace authcache_bench;
namespace wire = authcache::shm::wire;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kRounds = 7, kEachRound = 40'000, kInFlight = 256;
constexpr const char* kProfile = "web";

authcached::ProfileConfig profile() {
  authcached::ProfileConfig profile;
  profile.upstream = authcached::UpstreamKind::kRedis;
  profile.key_encoding = authcached::KeyEncoding::kHexSha256;
  profile.redis.key_prefix = "session:";
  profile.redis.fields = {};
  for (const auto fact :
       {authcached::RedisFact::kSubject, authcached::RedisFact::kClientId, authcached::RedisFact::kScopes,
        authcached::RedisFact::kRoles, authcached::RedisFact::kCreated}) {
    const auto at = static_cast<std::size_t>(fact);
    profile.redis.fields[at] = authcached::redis_facts()[at];
  }
  return profile;
}

// The server with its sessions, and the bare loop.
class Server {
 public:
  explicit Server(const std::filesystem::path& directory)
      : socket_(directory / "redis.sock"),
        process_({"redis-server", "--port", "0", "--unixsocket", socket_.string(), "--save", "",
                  "--appendonly", "no", "--dir", directory.string()},
                 socket_),
        context_(redisConnectUnix(socket_.c_str())) {
    if (!context_ || context_->err != 0) die("redis refused the connection");
  }

  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }

  void fill(std::span<const std::string> tokens) {
    const std::string created = std::to_string(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
    std::size_t replies = 0;
    for (const std::string& token : tokens) {
      std::string commands;
      const std::string key = lookup_.key_of(token);
      authcached::append_redis_command(
          commands, {"HSET", key, "subject", "user-1234567", "client_id", "web", "scopes", "read write",
                     "roles", "member", "created", created, "cart", "3 things that no lookup asks for"});
      authcached::append_redis_command(commands, {"PEXPIRE", key, "3600000"});
      redisAppendFormattedCommand(context_.get(), commands.data(), commands.size());
      replies += 2;
      if (replies < 1'000) continue;
      for (; replies > 0; --replies) take();
    }
    for (; replies > 0; --replies) take();
  }

  void prepare(std::span<const std::string> tokens) {
    lookups_.clear();
    for (const std::string& token : tokens) lookups_.push_back(lookup_.commands_for(token));
  }

  void look_all_up() {
    std::size_t asked = 0;
    for (std::size_t answered = 0; answered < lookups_.size(); ++answered) {
      for (; asked < lookups_.size() && asked - answered < kInFlight; ++asked)
        redisAppendFormattedCommand(context_.get(), lookups_[asked].data(), lookups_[asked].size());
      for (unsigned i = 1; i < authcached::kRedisLookupReplies; ++i) take();
      const auto reply = take();
      if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->integer <= 0 ||
          reply->element[1]->elements == 0 || reply->element[1]->element[0]->len == 0)
        die("redis does not know a session");
    }
  }

 private:
  struct Free {
    void operator()(redisContext* context) const { redisFree(context); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  std::unique_ptr<redisReply, Free> take() {
    void* reply = nullptr;
    if (redisGetReply(context_.get(), &reply) != REDIS_OK ||
        static_cast<redisReply*>(reply)->type == REDIS_REPLY_ERROR)
      die("redis does not answer");
    return std::unique_ptr<redisReply, Free>(static_cast<redisReply*>(reply));
  }

  const authcached::RedisLookup lookup_{profile()};
  std::filesystem::path socket_;
  ServerProcess process_;
  std::unique_ptr<redisContext, Free> context_;
  std::vector<std::string> lookups_;
};

class Daemon {
 public:
  Daemon(std::string program, const std::filesystem::path& runtime, const std::filesystem::path& state,
         const std::filesystem::path& redis) {
    const std::filesystem::path config = state / "authcached.toml";
    std::ofstream(config) << "runtime_dir = \"" << runtime.string() << "\"\nstate_dir = \"" << state.string()
                          << "\"\ngroup = \"\"\nadmin_group = \"\"\nlog_level = \"error\"\n[table]\ncapacity "
                             "= 1000000\n[limits]\n"
                             "misses_per_second_per_uid = 10000000\nmiss_burst_per_uid = "
                             "10000000\n[profile.web]\nupstream = \"redis\"\naddress = \"unix:"
                          << redis.string()
                          << "\"\nkey_template = \"session:{key}\"\nkey_encoding = \"hex_sha256\"\nfields = "
                             "{ subject = \"subject\", client_id = \"client_id\", "
                             "scopes = \"scopes\", roles = \"roles\", created = \"created\" }\n";
    process_ = std::make_unique<ServerProcess>(
        std::vector<std::string>{std::move(program), "--config", config.string(), "--first-start"},
        runtime / wire::kControlSocket);
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    const std::string directory = runtime.string();
    options.runtime_dir = directory.c_str();
    if (authcache_open(&options, &client_) != AUTHCACHE_OK) die(authcache_last_error(nullptr));
    if (authcache_requirement_create(client_, kProfile, &requirement_) != AUTHCACHE_OK) die("no requirement");
  }
  ~Daemon() {
    authcache_requirement_free(requirement_);
    authcache_close(client_);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void ask(std::span<const std::string> tokens) {
    std::vector<authcache_answer> answers(kInFlight);
    answers[0] = AUTHCACHE_ANSWER_INIT;
    pollfd readable{authcache_fd(client_), POLLIN, 0};
    for (std::size_t asked = 0, answered = 0; answered < tokens.size();) {
      for (; asked < tokens.size() && asked - answered < kInFlight; ++asked) {
        authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
        const std::string& token = tokens[asked];
        if (authcache_submit(client_, token.data(), token.size(), requirement_, 5'000, asked, nullptr,
                             &identity) != AUTHCACHE_MISS)
          die("a token was no miss");
      }
      const int got = authcache_collect(client_, answers.data(), answers.size());
      if (got < 0) die(authcache_last_error(client_));
      for (int i = 0; i < got; ++i) {
        const authcache_answer& answer = answers[static_cast<std::size_t>(i)];
        if (answer.verdict != AUTHCACHE_VALID)
          die(std::string("a session was not valid: ") + authcache_reason_name(answer.identity.reason));
      }
      answered += static_cast<std::size_t>(got);
      if (got == 0 && ::poll(&readable, 1, 5'000) != 1) die("the daemon does not answer");
    }
  }

 private:
  std::unique_ptr<ServerProcess> process_;
  authcache_client* client_ = nullptr;
  authcache_requirement* requirement_ = nullptr;
};

template <class Fn>
double per_second(Fn round) {
  const auto begun = Clock::now();
  round();
  return static_cast<double>(kEachRound) / std::chrono::duration<double>(Clock::now() - begun).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: redis_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  const std::filesystem::path state = std::filesystem::absolute(argv[3]);
  std::filesystem::create_directories(state / "redis");
  std::filesystem::permissions(state, std::filesystem::perms::owner_all);
  std::vector<std::string> tokens;
  const Tokens made((kRounds + 1) * kEachRound, kOpaqueTokenBytes, kPresentSeed);
  for (std::size_t i = 0; i < (kRounds + 1) * kEachRound; ++i) tokens.emplace_back(made[i]);
  Server server(state / "redis");
  server.fill(tokens);
  Daemon daemon(argv[1], argv[2], state, server.socket());
  const std::span<const std::string> all(tokens);
  daemon.ask(all.last(kEachRound));  // both sides run in once
  server.prepare(all.last(kEachRound));
  server.look_all_up();
  FlatReport report;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const auto these = all.subspan(round * kEachRound, kEachRound);
    server.prepare(these);
    const double bare = per_second([&] { server.look_all_up(); });
    const double ours = per_second([&] { daemon.ask(these); });
    report.add("redis_miss_per_s", ours);
    report.add("redis_pipeline_per_s", bare);
    report.add("redis_lookup_over_pipeline", ours / bare);
  }
  report.write(argv[4]);
  return 0;
}
