#include "daemon/io/http/pooled_client.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "daemon/base/random.hpp"
#include "daemon/io/http/backoff.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::Result;

struct PooledClient::Job final : Exchange {
  ~Job() override { wipe(request); }

  HttpAnswer answer;
  OriginPool* pool = nullptr;  // while an attempt is with it
  std::uint64_t began_ns = 0;
  Timers::Id deadline{};
  unsigned attempts = 0;
  unsigned redirects = 0;
  bool probe = false;  // the breaker let this attempt through to learn from it
  std::optional<Failure> last_failure;  // of the attempt before: what a deadline that ends the pause tells
};

namespace {

ErrorCode code_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::kUsage: return ErrorCode::kUsage;
    case FailureKind::kCertificate:
    case FailureKind::kMalformed:
    case FailureKind::kLimit:
    case FailureKind::kRedirect: return ErrorCode::kRefused;
    default: return ErrorCode::kUnavailable;
  }
}

bool may_repeat(FailureKind kind, bool repeatable) {
  switch (kind) {
    case FailureKind::kName:
    case FailureKind::kConnect:
    case FailureKind::kTls:
    case FailureKind::kNotTaken: return true;
    case FailureKind::kStale:
    case FailureKind::kLost: return repeatable;
    default: return false;
  }
}

// Failures of the answer itself. Those of connections are told by the pool, once for all who waited.
bool counts_for_breaker(FailureKind kind) {
  return kind == FailureKind::kMalformed || kind == FailureKind::kLimit;
}

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::uint64_t seed() {
  std::array<std::uint8_t, sizeof(std::uint64_t)> bytes{};
  // Without it all daemons would wait alike, which only matters to the server that they come back to.
  if (!fill_random(bytes)) return exact_monotonic_ns();
  return std::bit_cast<std::uint64_t>(bytes);
}

}  // namespace

PooledClient::PooledClient(Loop& loop, Executor& resolver_thread, const Clock& clock,
                           HttpClientOptions options, std::unique_ptr<TlsContext> tls,
                           NameResolver::LookUp look_up)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      tls_(std::move(tls)),
      timers_(loop),
      names_(loop, resolver_thread, clock, std::move(look_up)),
      random_(static_cast<std::minstd_rand::result_type>(seed())) {}

PooledClient::~PooledClient() = default;

void PooledClient::send(HttpRequest request, HttpAnswer answer) {
  ++counters_.requests;
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  job->answer = std::move(answer);
  job->began_ns = exact_monotonic_ns();
  jobs_.emplace(job.get(), job);
  auto url = parse_http_url(job->request.url, options_.allow_loopback_http);
  if (!url) return fail(job, {FailureKind::kUsage, url.error().message});
  job->url = std::move(*url);
  if (const auto fault = fault_of(job->request)) return fail(job, {FailureKind::kUsage, *fault});
  job->deadline = timers_.at(job->request.deadline_ns, [this, weak = std::weak_ptr(job)] {
    if (const auto late = weak.lock()) deadline_passed(late);
  });
  if (job->request.deadline_ns > job->began_ns) attempt(job);
}

void PooledClient::attempt(const std::shared_ptr<Job>& job) {
  const std::uint64_t now = now_ns();
  if (!breaker_.admit(now)) {
    ++counters_.refused_by_breaker;
    std::string cause = "it failed " + std::to_string(breaker_.failures()) +
                        " times in a row and is asked again in " +
                        std::to_string(breaker_.wait_ns(now) / 1'000'000) + " ms";
    if (job->last_failure) cause = job->last_failure->cause + "; " + cause;
    return fail(job, {FailureKind::kBreaker, std::move(cause)});
  }
  job->probe = breaker_.state() == Breaker::State::kHalfOpen;
  OriginPool* const pool = pool_of(job->url);
  if (pool == nullptr || pool->full())
    return fail(job, {FailureKind::kBusy, "too many requests wait for it already"});
  ++job->attempts;
  job->response = {};
  job->failure.reset();
  job->answer_began = false;
  job->submitted_ns = 0;
  job->pool = pool;
  pool->add(job);
}

OriginPool* PooledClient::pool_of(const HttpUrl& url) {
  const std::string origin = url.origin();
  const auto known = pools_.find(origin);
  if (known != pools_.end()) return known->second.get();
  if (pools_.size() >= kOriginsMax) {
    const auto unused =
        std::ranges::find_if(pools_, [](const auto& entry) { return entry.second->unused(); });
    if (unused == pools_.end()) return nullptr;
    pools_.erase(unused);
  }
  auto pool =
      std::make_unique<OriginPool>(OriginPool::Parts{loop_, timers_, *tls_, names_, options_, pool_counters_},
                                   url, static_cast<PoolOwner&>(*this));
  return pools_.emplace(origin, std::move(pool)).first->second.get();
}

void PooledClient::attempt_later(const std::shared_ptr<Job>& job, std::uint64_t delay_ns) {
  timers_.after(delay_ns, [this, weak = std::weak_ptr(job)] {
    const auto again = weak.lock();
    if (again && jobs_.contains(again.get())) attempt(again);
  });
}

void PooledClient::exchange_finished(std::shared_ptr<Exchange> exchange) {
  const auto at = jobs_.find(exchange.get());
  if (at == jobs_.end()) return;
  const std::shared_ptr<Job> job = at->second;
  job->pool = nullptr;
  if (!job->failure) return response_came(job);
  const Failure failure = std::move(*job->failure);
  remember(job->url.place() + ": " + failure.cause);
  if (counts_for_breaker(failure.kind)) breaker_.failure(now_ns(), random());
  end_probe(*job);
  if (!retry(job, failure)) fail(job, failure);
}

void PooledClient::end_probe(Job& job) {
  if (std::exchange(job.probe, false)) breaker_.probe_told_nothing();
}

void PooledClient::origin_failed() { breaker_.failure(now_ns(), random()); }

bool PooledClient::retry(const std::shared_ptr<Job>& job, const Failure& failure) {
  if (job->attempts >= kAttemptsMax || !may_repeat(failure.kind, job->request.repeatable)) return false;
  // The first connection that has grown stale says nothing about the server: it is asked again at once.
  const bool at_once =
      job->attempts == 1 && (failure.kind == FailureKind::kStale || failure.kind == FailureKind::kNotTaken);
  const std::uint64_t delay_ns = at_once ? 0 : backoff_ns(job->attempts, random());
  if (exact_monotonic_ns() + delay_ns >= job->request.deadline_ns) return false;
  ++counters_.retries;
  job->last_failure = failure;
  attempt_later(job, delay_ns);
  return true;
}

void PooledClient::response_came(const std::shared_ptr<Job>& job) {
  if (job->response.status >= 500) {
    breaker_.failure(now_ns(), random());
  } else {
    breaker_.success();
  }
  const auto location = job->response.header("location");
  if (is_redirect(job->response.status) && location && job->request.method == "GET")
    return follow(job, *location);
  if (is_redirect(job->response.status))
    return fail(job, {FailureKind::kRedirect, "it answers with a redirect, which only a GET follows"});
  latency_.add(exact_monotonic_ns() - job->began_ns);
  ++counters_.responses;
  answer(job, std::move(job->response));
}

void PooledClient::follow(const std::shared_ptr<Job>& job, std::string_view location) {
  if (++job->redirects > kRedirectsMax)
    return fail(
        job, {FailureKind::kRedirect, "it redirects more than " + std::to_string(kRedirectsMax) + " times"});
  auto url = resolve_location(job->url, location, options_.allow_loopback_http);
  if (!url)
    return fail(job,
                {FailureKind::kRedirect, "it redirects to what cannot be asked: " + url.error().message});
  if (url->origin() != job->url.origin()) {
    return fail(job, {FailureKind::kRedirect, "it redirects to another origin, " + url->origin() +
                                                  "; configure the URL that is meant"});
  }
  job->url = std::move(*url);
  job->attempts = 0;
  attempt_later(job, 0);
}

void PooledClient::deadline_passed(const std::shared_ptr<Job>& job) {
  std::string cause = "the deadline passed";
  if (job->pool != nullptr) {
    const bool asked = job->submitted_ns != 0;
    cause = job->pool->cancel(*job, true);
    if (asked) breaker_.failure(now_ns(), random());
  } else if (job->last_failure) {
    cause = job->last_failure->cause + ", and the deadline passed";
  }
  fail(job, {FailureKind::kDeadline, std::move(cause)});
}

void PooledClient::fail(const std::shared_ptr<Job>& job, const Failure& failure) {
  ++counters_.failures;
  std::string sentence = job->url.host.empty() ? failure.cause : job->url.place() + ": " + failure.cause;
  if (job->attempts > 1) sentence += ", in " + std::to_string(job->attempts) + " attempts";
  // What the breaker refuses is told by its state; the cause of that is what one wants to see.
  if (failure.kind != FailureKind::kBreaker) remember(sentence);
  answer(job, authcache::shm::fail(code_of(failure.kind), std::move(sentence)));
}

void PooledClient::remember(std::string sentence) {
  last_error_ = std::move(sentence);
  last_error_ns_ = now_ns();
}

void PooledClient::answer(const std::shared_ptr<Job>& job, Result<HttpResponse> result) {
  end_probe(*job);
  timers_.cancel(job->deadline);
  jobs_.erase(job.get());
  wipe(job->request);
  complete(std::move(job->answer), std::move(result));
}

void PooledClient::complete(HttpAnswer answer, Result<HttpResponse> result) {
  done_.push_back({std::move(answer), std::move(result)});
  if (std::exchange(answering_soon_, true)) return;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->give_answers();
  });
}

void PooledClient::give_answers() {
  answering_soon_ = false;
  for (std::size_t given = 0; given < kAnswersAtOnce && !done_.empty() && !dropped_; ++given) {
    Done one = std::move(done_.front());
    done_.pop_front();
    // Before the call, in case it throws: those behind it are answered in the next turn.
    if (!done_.empty() && !std::exchange(answering_soon_, true)) {
      loop_.post([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->give_answers();
      });
    }
    one.answer(std::move(one.result));
  }
}

void PooledClient::drop() {
  dropped_ = true;
  pools_.clear();
  for (auto& [exchange, job] : jobs_) {
    timers_.cancel(job->deadline);
    wipe(job->request);
  }
  // What an answer holds may itself lead back here when it is destroyed.
  const auto jobs = std::exchange(jobs_, {});
  const auto done = std::exchange(done_, {});
  for (const auto& [exchange, job] : jobs) job->answer = nullptr;
}

double PooledClient::random() { return std::uniform_real_distribution<double>(0, 1)(random_); }

namespace {

// Holds the client alive for nobody but its user: what is under way on the loop knows it weakly.
class ClientHandle final : public HttpClient {
 public:
  explicit ClientHandle(std::shared_ptr<PooledClient> client) : client_(std::move(client)) {}
  ~ClientHandle() override { client_->drop(); }
  void send(HttpRequest request, HttpAnswer answer) override {
    client_->send(std::move(request), std::move(answer));
  }
  std::string state_json() const override { return client_->state_json(); }

 private:
  std::shared_ptr<PooledClient> client_;
};

}  // namespace

Result<std::shared_ptr<HttpClient>> make_http_client(Loop& loop, Executor& resolver_thread,
                                                     const Clock& clock, HttpClientOptions options) {
  if (options.connections_max == 0)
    return authcache::shm::fail(ErrorCode::kUsage, "an HTTP client needs one connection at least");
  auto tls = TlsContext::create(options.ca_file, options.prefer_http2);
  if (!tls) return std::unexpected(tls.error());
  return std::make_shared<ClientHandle>(
      std::make_shared<PooledClient>(loop, resolver_thread, clock, std::move(options), std::move(*tls)));
}

}  // namespace authcached
