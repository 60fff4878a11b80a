// What HttpClient does: judges a request, asks the breaker, hands attempts to the pool of the origin, repeats
// what may be repeated, follows the few redirects that may be followed, keeps the deadline and answers once.
//
// Loop thread only. Answers are called from a turn of the loop of their own, never from under a connection:
// an answer may send, or destroy the client.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>

#include "daemon/io/http/breaker.hpp"
#include "daemon/io/http/http_client_options.hpp"
#include "daemon/io/http/latency_histogram.hpp"
#include "daemon/io/http/origin_pool.hpp"

namespace authcached {

struct ClientCounters {
  std::uint64_t requests = 0;
  std::uint64_t responses = 0;
  std::uint64_t failures = 0;  // requests answered by an error
  std::uint64_t retries = 0;
  std::uint64_t refused_by_breaker = 0;
};

class PooledClient final : public std::enable_shared_from_this<PooledClient>, private PoolOwner {
 public:
  // Same-origin redirects of a GET: enough for a moved path, too few to run in circles.
  static constexpr unsigned kRedirectsMax = 3;
  // An upstream has one issuer, and its endpoints stand on a few hosts.
  static constexpr std::size_t kOriginsMax = 16;
  // Answers given in one turn: each may do a flight's work, and a turn of the loop stays below 5 ms.
  static constexpr std::size_t kAnswersAtOnce = 128;

  PooledClient(Loop& loop, Executor& resolver_thread, const Clock& clock, HttpClientOptions options,
               std::unique_ptr<TlsContext> tls, NameResolver::LookUp look_up = NameResolver::look_up_host);
  ~PooledClient();

  void send(HttpRequest request, HttpAnswer answer);
  // After it nothing is answered.
  void drop();
  [[nodiscard]] std::string state_json() const;

 private:
  struct Job;
  struct Done {
    HttpAnswer answer;
    authcache::shm::Result<HttpResponse> result;
  };

  void exchange_finished(std::shared_ptr<Exchange> exchange) override;
  void origin_failed() override;

  void attempt(const std::shared_ptr<Job>& job);
  void attempt_later(const std::shared_ptr<Job>& job, std::uint64_t delay_ns);
  bool retry(const std::shared_ptr<Job>& job, const Failure& failure);
  void response_came(const std::shared_ptr<Job>& job);
  void follow(const std::shared_ptr<Job>& job, std::string_view location);
  void deadline_passed(const std::shared_ptr<Job>& job);
  void fail(const std::shared_ptr<Job>& job, const Failure& failure);
  void end_probe(Job& job);
  void remember(std::string sentence);
  void answer(const std::shared_ptr<Job>& job, authcache::shm::Result<HttpResponse> result);
  void complete(HttpAnswer answer, authcache::shm::Result<HttpResponse> result);
  void give_answers();
  OriginPool* pool_of(const HttpUrl& url);
  double random();
  [[nodiscard]] std::uint64_t now_ns() const { return static_cast<std::uint64_t>(clock_.boot_ns()); }

  Loop& loop_;
  const Clock& clock_;
  HttpClientOptions options_;
  std::unique_ptr<TlsContext> tls_;
  Timers timers_;
  NameResolver names_;
  Breaker breaker_;
  LatencyHistogram latency_;
  ClientCounters counters_;
  PoolCounters pool_counters_;
  std::map<std::string, std::unique_ptr<OriginPool>> pools_;  // by origin
  std::unordered_map<const Exchange*, std::shared_ptr<Job>> jobs_;
  std::deque<Done> done_;
  bool answering_soon_ = false;
  bool dropped_ = false;
  std::string last_error_;
  std::uint64_t last_error_ns_ = 0;
  std::minstd_rand random_;
};

}  // namespace authcached
