// The HTTP client on a loop with a thread of its own, asked from the test's thread.
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/io/http/http_client_options.hpp"
#include "daemon/io/http/timers.hpp"
#include "daemon/io/loop.hpp"
#include "daemon/io/worker.hpp"

namespace authcached::testing {

class HttpAsker {
 public:
  using Response = authcache::shm::Result<HttpResponse>;

  explicit HttpAsker(HttpClientOptions options)
      : client_(make_http_client(*loop_, *names_, system_clock(), std::move(options)).value()),
        thread_([this] { loop_->run(); }) {}
  ~HttpAsker() {
    on_loop([this] { client_.reset(); });
    names_.reset();  // its last look-ups post to the loop
    loop_->stop();
    thread_.join();
  }

  static HttpRequest get(std::string url, std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    HttpRequest request;
    request.method = "GET";
    request.url = std::move(url);
    request.deadline_ns =
        exact_monotonic_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(patience).count());
    request.body_max = 64 * 1024;
    request.repeatable = true;
    return request;
  }
  static HttpRequest post(std::string url, std::string body,
                          std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    HttpRequest request = get(std::move(url), patience);
    request.method = "POST";
    request.body = std::move(body);
    request.repeatable = false;
    return request;
  }

  std::future<Response> begin(HttpRequest request) {
    auto promise = std::make_shared<std::promise<Response>>();
    auto future = promise->get_future();
    loop_->post([this, promise, asked = std::move(request)]() mutable {
      client_->send(std::move(asked), [promise, this](Response response) {
        ++answers_;
        promise->set_value(std::move(response));
      });
    });
    return future;
  }
  Response ask(HttpRequest request) { return begin(std::move(request)).get(); }

  template <class Fn>
  void on_loop(Fn fn) {
    std::promise<void> done;
    loop_->post([&] {
      fn();
      done.set_value();
    });
    done.get_future().wait();
  }
  std::string state() {
    std::string text;
    on_loop([&] { text = client_->state_json(); });
    return text;
  }

  [[nodiscard]] Loop& loop() { return *loop_; }
  // On the loop only.
  [[nodiscard]] std::shared_ptr<HttpClient>& client() { return client_; }
  [[nodiscard]] int answers() const { return answers_; }

 private:
  std::unique_ptr<Loop> loop_ = Loop::create().value();
  std::unique_ptr<Worker> names_ = std::make_unique<Worker>("names");
  std::atomic<int> answers_ = 0;
  std::shared_ptr<HttpClient> client_;
  std::thread thread_;
};

}  // namespace authcached::testing
