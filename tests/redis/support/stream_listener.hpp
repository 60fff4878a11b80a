// A RedisStream on a loop of its own that writes down what it is told. One thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/io/loop.hpp"
#include "daemon/io/redis/redis_stream.hpp"
#include "daemon/io/worker.hpp"

namespace authcache_test {

class StreamListener final : private authcached::RedisStreamEvents {
 public:
  StreamListener(authcached::RedisStreamOptions options, std::optional<authcached::StreamCursor> cursor)
      : loop_(authcached::Loop::create().value()), worker_(std::make_unique<authcached::Worker>("blocking")) {
    stream_ = authcached::RedisStream::create(std::move(options), *loop_, *worker_,
                                              authcached::system_clock(), *this)
                  .value();
    stream_->start(std::move(cursor));
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~StreamListener() {
    std::promise<void> gone;
    loop_->post([&] {
      stream_.reset();
      held_ = nullptr;
      gone.set_value();
    });
    gone.get_future().wait();
    worker_.reset();
    loop_->stop();
    thread_.join();
  }

  // "n=VALUE" for each entry's field n, and "gap:NAME".
  [[nodiscard]] std::vector<std::string> heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  [[nodiscard]] std::optional<authcached::StreamMoment> confirmed() const {
    const std::lock_guard lock(mutex_);
    return confirmed_;
  }
  // Everything that was written before now is confirmed.
  [[nodiscard]] bool is_fresh() const {
    const std::int64_t now = authcached::system_clock().boot_ns();
    for (int i = 0; i < 1'000; ++i) {
      const auto moment = confirmed();
      if (moment && moment->boot_ns >= now) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  [[nodiscard]] std::optional<authcached::StreamCursor> cursor() {
    std::promise<std::optional<authcached::StreamCursor>> cursor;
    loop_->post([&] { cursor.set_value(stream_->cursor()); });
    return cursor.get_future().get();
  }
  // From now on entries are not done with.
  void hold(bool hold) { holding_ = hold; }

 private:
  void stream_entries(std::vector<authcached::StreamEntry> entries, Done done) override {
    {
      const std::lock_guard lock(mutex_);
      for (const auto& entry : entries) heard_.push_back("n=" + entry.field("n")->substr(0, 16));
    }
    if (!holding_) return done();
    held_ = std::move(done);
  }
  void stream_confirmed(const authcached::StreamMoment& moment) override {
    const std::lock_guard lock(mutex_);
    confirmed_ = moment;
  }
  void stream_moved(Done done) override {
    {
      const std::lock_guard lock(mutex_);
      heard_.emplace_back("moved");
    }
    done();
  }
  void stream_gap(authcached::StreamGap gap, const authcached::StreamCursor&, Done done) override {
    {
      const std::lock_guard lock(mutex_);
      heard_.push_back("gap:" + std::string(authcached::stream_gap_name(gap)));
    }
    done();
  }

  std::unique_ptr<authcached::Loop> loop_;
  std::unique_ptr<authcached::Worker> worker_;
  std::shared_ptr<authcached::RedisStream> stream_;
  std::atomic<bool> holding_ = false;
  Done held_;
  mutable std::mutex mutex_;
  std::vector<std::string> heard_;
  std::optional<authcached::StreamMoment> confirmed_;
  std::thread thread_;
};

}  // namespace authcache_test
