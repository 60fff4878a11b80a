// How the client comes to a connection, and what it does when it loses one.
#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

#include "daemon/base/random.hpp"
#include "daemon/io/http/backoff.hpp"
#include "daemon/io/http/secret_text.hpp"
#include "daemon/io/redis/redis_client.hpp"
#include "daemon/io/redis/redis_command.hpp"

namespace authcached {

using authcache::shm::Result;

namespace {

// A connection that held this long was a good one; what ends sooner counts as an attempt that failed.
constexpr std::uint64_t kProvenAfter_ns = 1'000'000'000;
// A question that met two dying connections would meet a third.
constexpr unsigned kAsksMax = 2;
constexpr std::size_t kShownBytesMax = 32;  // of what the server says about itself

std::minstd_rand::result_type seed() {
  std::array<std::uint8_t, sizeof(std::uint32_t)> bytes{};
  if (!fill_random(bytes)) return static_cast<std::minstd_rand::result_type>(exact_monotonic_ns());
  return std::bit_cast<std::uint32_t>(bytes);
}

HttpUrl tls_name(const RedisConfig& config) {
  HttpUrl url;
  url.host = config.host;
  url.literal = config.literal;
  url.port = config.port;
  return url;
}

std::string shown(std::string_view text) {
  std::string out(text.substr(0, kShownBytesMax));
  std::ranges::replace_if(
      out, [](char c) { return c <= ' ' || c > '~'; }, '?');
  return out;
}

}  // namespace

struct RedisClient::Greeting {
  enum class Step : std::uint8_t { kAuth, kHello, kSelect };
  std::vector<Step> steps;  // whose replies are still to come, the next one first
};

RedisClient::RedisClient(const RedisConfig& config, std::unique_ptr<TlsContext> tls, Loop& loop,
                         Executor& blocking, const Clock& clock)
    : config_(config),
      place_(config.address()),
      loop_(loop),
      blocking_(blocking),
      tls_(std::move(tls)),
      timers_(loop),
      names_(loop, blocking, clock),
      random_(seed()) {}

RedisClient::~RedisClient() {
  if (channel_) channel_->close();
}

Result<std::shared_ptr<RedisClient>> RedisClient::create(const RedisConfig& config,
                                                         const std::filesystem::path& ca_file, Loop& loop,
                                                         Executor& blocking, const Clock& clock) {
  std::unique_ptr<TlsContext> tls;
  if (config.tls) {
    auto made = TlsContext::create_unnamed(ca_file);
    if (!made) return std::unexpected(made.error());
    tls = std::move(*made);
  }
  if (!config.password_file.empty()) {
    if (auto secret = read_client_secret(config.password_file); !secret)
      return std::unexpected(secret.error());
  }
  std::shared_ptr<RedisClient> client(new RedisClient(config, std::move(tls), loop, blocking, clock));
  client->begin();
  client->check_health();
  return client;
}

bool RedisClient::hopeless() const { return refused_ || failed_ >= kAttemptsMax; }

std::string RedisClient::trouble() const {
  return state_ != State::kOpen && hopeless() ? last_error_ : std::string();
}

void RedisClient::begin() {
  state_ = State::kConnecting;
  if (config_.password_file.empty()) return connect();
  // Anew each time: a password that was changed is found without a reload.
  blocking_.post([weak = weak_from_this(), &loop = loop_, file = config_.password_file] {
    loop.post([weak, secret = read_client_secret(file)]() mutable {
      const auto self = weak.lock();
      if (!self) return;
      if (!secret) return self->attempt_failed(secret.error().message, true);
      self->password_ = std::move(*secret);
      self->connect();
    });
  });
}

void RedisClient::connect() {
  addresses_.clear();
  if (!config_.socket.empty()) return try_next();
  names_.resolve(config_.host, [this, weak = weak_from_this()](const Result<NameResolver::Addresses>& found) {
    if (weak.expired()) return;
    if (!found) return attempt_failed(found.error().message, false);
    addresses_ = *found;
    // Without TLS a name means this host, whatever a name service says.
    if (!config_.tls)
      std::erase_if(addresses_, [](const HostAddress& address) { return !address.loopback(); });
    std::ranges::reverse(addresses_);
    if (addresses_.empty()) return attempt_failed("its name has no loopback address", false);
    try_next();
  });
}

void RedisClient::try_next() {
  channel_ = std::make_shared<RedisChannel>(loop_, tls_.get(), tls_name(config_),
                                            static_cast<RedisChannelEvents&>(*this));
  patience_ = timers_.after(kAttemptPatience_ns, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || !self->channel_) return;
    const bool greeting = self->state_ == State::kGreeting;
    self->channel_->close();
    self->channel_ended({FailureKind::kConnect,
                         greeting ? "it does not answer the greeting" : "no connection came about in time"});
  });
  if (!config_.socket.empty()) return channel_->connect(config_.socket.native());
  const HostAddress address = addresses_.back();
  addresses_.pop_back();
  channel_->connect(address, config_.port);
}

void RedisClient::channel_open() {
  state_ = State::kGreeting;
  greeting_ = std::make_unique<Greeting>();
  std::string commands;
  if (!password_.empty()) {
    if (config_.username.empty()) {
      append_redis_command(commands, {"AUTH", password_.view()});
    } else {
      append_redis_command(commands, {"AUTH", config_.username, password_.view()});
    }
    greeting_->steps.push_back(Greeting::Step::kAuth);
    password_ = SecretText();
  }
  append_redis_command(commands, {"HELLO", "2", "SETNAME", "authcached"});
  greeting_->steps.push_back(Greeting::Step::kHello);
  if (config_.database_index != 0) {
    append_redis_command(commands, {"SELECT", std::to_string(config_.database_index)});
    greeting_->steps.push_back(Greeting::Step::kSelect);
  }
  channel_->write(commands);
  wipe(commands);
}

void RedisClient::greeted(const RedisReply& reply) {
  using Step = Greeting::Step;
  using Kind = RedisReply::Kind;
  const Step step = greeting_->steps.front();
  greeting_->steps.erase(greeting_->steps.begin());
  const auto refuse = [this](std::string cause) {
    channel_->close();
    attempt_failed(std::move(cause), true);
  };
  if (reply.is(Kind::kError)) {
    RedisFault fault = redis_fault_of(reply.text());
    // HELLO is for people and for finding clusters: servers before Redis 6 have none, and an ACL may forbid
    // it.
    if (step != Step::kHello || fault.reconnect) {
      const std::string what = step == Step::kAuth ? "AUTH" : step == Step::kSelect ? "SELECT" : "HELLO";
      return refuse("it refuses " + what + ": " + fault.sentence);
    }
  } else if (step == Step::kHello && reply.is(Kind::kArray)) {
    bool cluster = false;
    RedisReply element = reply.first();
    for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
      const RedisReply value = element.next();
      if (element.is(Kind::kText) && value.is(Kind::kText)) {
        if (element.text() == "version") version_ = shown(value.text());
        if (element.text() == "role") role_ = shown(value.text());
        cluster = cluster || (element.text() == "mode" && value.text() == "cluster");
      }
      if (i + 2 < reply.size()) element = value.next();
    }
    if (cluster) return refuse(redis_fault_of("MOVED").sentence);
  } else if (step == Step::kHello || !reply.is(Kind::kStatus)) {
    return refuse("it answers the greeting with something else than Redis does");
  }
  if (!greeting_->steps.empty()) return;
  timers_.cancel(patience_);
  greeting_.reset();
  state_ = State::kOpen;
  ++counters_.connections;
  opened_ns_ = exact_monotonic_ns();
  flush();
}

void RedisClient::channel_ended(const Failure& why) {
  const auto self = shared_from_this();
  if (state_ == State::kOpen) return lost(why);
  // Who is there but is not the one asked for is not found at another address either.
  if (why.kind == FailureKind::kCertificate || addresses_.empty())
    return attempt_failed(why.cause, why.kind == FailureKind::kCertificate);
  timers_.cancel(patience_);
  remember(why.cause);
  state_ = State::kConnecting;
  // The greeting of the address before may have used the password.
  if (!config_.password_file.empty() && password_.empty()) return attempt_failed(why.cause, false);
  try_next();
}

void RedisClient::attempt_failed(std::string cause, bool refused) {
  const auto self = shared_from_this();
  timers_.cancel(patience_);
  channel_.reset();
  greeting_.reset();
  password_ = SecretText();
  ++failed_;
  refused_ = refused;
  state_ = State::kPausing;
  remember(place_ + ": " + std::move(cause));
  const std::uint64_t pause = backoff_ns(refused ? 16 : failed_, random());
  retry_ns_ = exact_monotonic_ns() + pause;
  timers_.after(pause, [weak = weak_from_this()] {
    if (const auto again = weak.lock()) again->begin();
  });
  if (!hopeless() || waiting_.empty()) return;
  std::vector<std::unique_ptr<Flight>> refusals(std::make_move_iterator(waiting_.begin()),
                                                std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  give_up(std::move(refusals), last_error_);
}

void RedisClient::lost(const Failure& why) {
  const auto self = shared_from_this();
  channel_->close();
  ++counters_.losses;
  // What a reader cannot read was meant for whoever comes first. It alone is to blame, and must not be asked
  // again; the others only stood behind it.
  const bool blamed = why.kind == FailureKind::kMalformed;
  std::vector<std::unique_ptr<Flight>> over;
  for (std::size_t i = flights_.size(); i-- > 0;) {
    std::unique_ptr<Flight>& flight = flights_[i];
    if (!flight->answer) continue;
    if (blamed ? i == 0 : flight->attempts >= kAsksMax) {
      over.push_back(std::move(flight));
      continue;
    }
    if (blamed) --flight->attempts;
    ++counters_.repeated;
    waiting_.push_front(std::move(flight));
  }
  flights_.clear();
  const std::string sentence = place_ + ": " + why.cause;
  if (exact_monotonic_ns() - opened_ns_ >= kProvenAfter_ns) {
    failed_ = 0;
    refused_ = false;
    channel_.reset();
    remember(sentence);
    // In a turn of its own: the channel that ended may be on the stack.
    state_ = State::kConnecting;
    loop_.post([weak = weak_from_this()] {
      if (const auto again = weak.lock()) again->begin();
    });
  } else {
    attempt_failed(why.cause, false);
  }
  if (!over.empty()) give_up(std::move(over), sentence);
}

void RedisClient::remember(std::string cause) {
  last_error_ = std::move(cause);
  last_error_ns_ = exact_monotonic_ns();
}

}  // namespace authcached
