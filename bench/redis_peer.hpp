// Redis over a unix socket by hiredis, its own C client: one GET for each lookup, binary keys and values. No
// persistence, since the peer is a cache; the rest as it comes. One thread.
#pragma once

#include <hiredis/hiredis.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/die.hpp"
#include "bench/server_process.hpp"
#include "shm/slot.hpp"

namespace authcache_bench {

template <class Value>
class RedisPeer {
 public:
  RedisPeer(const std::filesystem::path& directory, const std::vector<authcache::shm::Key>& keys,
            const Value& value)
      : server_({"redis-server", "--port", "0", "--unixsocket", (directory / "redis.sock").string(), "--save",
                 "", "--appendonly", "no", "--dir", directory.string()},
                directory / "redis.sock"),
        context_(redisConnectUnix((directory / "redis.sock").c_str())) {
    if (context_ == nullptr || context_->err != 0) die("redis refused the connection");
    constexpr std::size_t kPipelined = 1'000;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      redisAppendCommand(context_.get(), "SET %b %b", keys[i].data(), sizeof keys[i], &value, sizeof value);
      if (i % kPipelined == kPipelined - 1 || i + 1 == keys.size()) take_replies(i % kPipelined + 1);
    }
  }

  bool get(const authcache::shm::Key& key, Value& value) {
    const Reply reply(
        static_cast<redisReply*>(redisCommand(context_.get(), "GET %b", key.data(), sizeof key)));
    if (reply == nullptr || reply->type != REDIS_REPLY_STRING || reply->len != sizeof value) return false;
    std::memcpy(&value, reply->str, sizeof value);
    return true;
  }

  [[nodiscard]] const ServerProcess& server() const { return server_; }
  [[nodiscard]] std::string version() {
    const Reply reply(static_cast<redisReply*>(redisCommand(context_.get(), "INFO server")));
    const std::string info = reply != nullptr && reply->str != nullptr ? reply->str : "";
    const std::size_t at = info.find("redis_version:");
    return at == std::string::npos ? "?" : info.substr(at + 14, info.find('\r', at) - at - 14);
  }

 private:
  struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  struct FreeContext {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  using Reply = std::unique_ptr<redisReply, FreeReply>;

  void take_replies(std::size_t count) {
    for (; count > 0; --count) {
      void* reply = nullptr;
      if (redisGetReply(context_.get(), &reply) != REDIS_OK) die("redis did not take the records");
      freeReplyObject(reply);
    }
  }

  ServerProcess server_;
  std::unique_ptr<redisContext, FreeContext> context_;
};

}  // namespace authcache_bench
