// A RedisUpstream on a loop of its own, asked from the test's thread. One thread.
#pragma once

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "daemon/io/loop.hpp"
#include "daemon/io/worker.hpp"
#include "daemon/upstream/redis_upstream.hpp"

namespace authcache_test {

class RedisAsker {
 public:
  static constexpr std::chrono::milliseconds kDeadline{5'000};

  explicit RedisAsker(authcached::ProfileConfig profile)
      : loop_(authcached::Loop::create().value()), worker_(std::make_unique<authcached::Worker>("blocking")) {
    auto opened = authcached::RedisUpstream::open(profile, *loop_, *worker_, authcached::system_clock());
    if (!opened) throw std::runtime_error(opened.error().message);
    upstream_ = std::move(*opened);
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~RedisAsker() {
    on_loop([this] { upstream_.reset(); });
    worker_.reset();
    loop_->stop();
    thread_.join();
  }

  std::future<authcached::Proof> begin(std::string token, std::chrono::milliseconds within = kDeadline) {
    auto promise = std::make_shared<std::promise<authcached::Proof>>();
    auto future = promise->get_future();
    loop_->post([this, promise, token = std::move(token), within] {
      const auto now = static_cast<std::uint64_t>(authcached::system_clock().monotonic_ns());
      const auto deadline = now + static_cast<std::uint64_t>(std::chrono::nanoseconds(within).count());
      upstream_->resolve({token, deadline},
                         [promise](authcached::Proof proof) { promise->set_value(std::move(proof)); });
    });
    return future;
  }
  authcached::Proof ask(std::string token, std::chrono::milliseconds within = kDeadline) {
    return begin(std::move(token), within).get();
  }
  std::string verdict(std::string token, std::chrono::milliseconds within = kDeadline) {
    const authcached::Proof proof = ask(std::move(token), within);
    const std::string_view reason = authcache::shm::reason_name(proof.reason);
    return std::string(authcache::shm::verdict_name(proof.verdict)) +
           (reason.empty() ? "" : "/" + std::string(reason));
  }
  std::string state() {
    std::string text;
    on_loop([&] { text = upstream_->state_json(); });
    return text;
  }
  std::string complaint() {
    std::string text;
    on_loop([&] { text = upstream_->complaint(); });
    return text;
  }
  bool well_formed(std::string_view token) {
    bool good = false;
    on_loop([&] { good = upstream_->well_formed(token); });
    return good;
  }

 private:
  template <class Fn>
  void on_loop(Fn fn) {
    std::promise<void> done;
    loop_->post([&] {
      fn();
      done.set_value();
    });
    done.get_future().wait();
  }

  std::unique_ptr<authcached::Loop> loop_;
  std::unique_ptr<authcached::Worker> worker_;
  std::shared_ptr<authcached::RedisUpstream> upstream_;
  std::thread thread_;
};

}  // namespace authcache_test
