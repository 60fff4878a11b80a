// Asking a Redis server many questions at once over one connection: they go out together, and the answers
// come back in their order. The connection is made at once, greeted (AUTH, HELLO, SELECT), watched, and made
// anew with growing pauses when it is lost.
//
// Loop thread only, or before the loop runs; gone before the loop. Every question is answered exactly once,
// never from within send; those that this object is destroyed with are not answered: their answers are
// destroyed uncalled. Destruction within an answer is allowed.
//
// A question must change nothing at the server: one whose connection was lost is asked once more on the next,
// within its deadline. While the server cannot be reached questions wait for the first attempts and are then
// refused at once, until it is back.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/base/secret_file.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/io/http/latency_histogram.hpp"
#include "daemon/io/http/name_resolver.hpp"
#include "daemon/io/http/timers.hpp"
#include "daemon/io/redis/redis_channel.hpp"
#include "daemon/io/redis/redis_fault.hpp"
#include "shm/result.hpp"

namespace authcached {

// The last reply to a question, or why there is none: an error reply to any of its commands counts for all of
// them. False says that the reply cannot be one to this question; the connection is then given up, since
// whatever comes behind it could be another's.
using RedisAnswer = std::move_only_function<bool(const authcache::shm::Result<RedisReply>&)>;

struct RedisQuestion {
  std::string commands;           // append_redis_command; wiped when answered
  unsigned replies = 1;           // as many as there are commands; those before the last are statuses
  std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC
  RedisAnswer answer;
};

class RedisClient final : public std::enable_shared_from_this<RedisClient>, private RedisChannelEvents {
 public:
  // Not answered yet, on the wire or waiting for it. Each holds a key of up to 8 KiB; a server answers as
  // many in a fraction of a second.
  static constexpr std::size_t kOpenMax = 16 * 1024;
  // On the wire: enough to keep a server busy through a round trip, few enough that an answer is not behind
  // thousands of others.
  static constexpr std::size_t kPipelinedMax = 1'024;
  // So many go out without waiting for the end of the loop's turn: the server works on them meanwhile.
  static constexpr std::size_t kFlushAt = 32;
  // To be reached, and to shake hands and greet, for each address.
  static constexpr std::uint64_t kAttemptPatience_ns = 3'000'000'000;
  // A connection that nothing was heard on for this long is asked for a sign of life ...
  static constexpr std::uint64_t kQuiet_ns = 10'000'000'000;
  // ... which must come within this.
  static constexpr std::uint64_t kPingPatience_ns = 3'000'000'000;
  // How late a deadline may be noticed.
  static constexpr std::uint64_t kTick_ns = 20'000'000;

  // Reads the password's file once on the calling thread, so that an unusable one is an error now; later, and
  // for names, blocking does. ca_file: of a configuration with tls; empty: the system's store.
  static authcache::shm::Result<std::shared_ptr<RedisClient>> create(const RedisConfig& config,
                                                                     const std::filesystem::path& ca_file,
                                                                     Loop& loop, Executor& blocking,
                                                                     const Clock& clock);
  ~RedisClient();

  [[nodiscard]] bool full() const { return waiting_.size() + flights_.size() >= kOpenMax; }
  void send(RedisQuestion question);
  // Why questions are refused at once; empty while they are not.
  [[nodiscard]] std::string trouble() const;
  // The number of the connection that is open, or was last: within an answer, of the one that it came over.
  [[nodiscard]] std::uint64_t connection() const { return counters_.connections; }
  // The connection's members of `authctl upstreams`, as JSON object text.
  [[nodiscard]] std::string state_json() const;

 private:
  struct Flight {
    ~Flight();
    std::string commands;
    unsigned replies = 1;
    unsigned replies_left = 1;
    unsigned attempts = 0;
    std::uint64_t deadline_ns = 0;
    std::uint64_t sent_ns = 0;
    std::string fault;   // of the first command that was answered with an error
    bool reconnect = false;  // what one of those errors asks for
    RedisAnswer answer;  // null once given: its replies are still to come
  };
  struct Greeting;
  enum class State : std::uint8_t { kConnecting, kGreeting, kOpen, kPausing };
  struct Counters {
    std::uint64_t questions = 0, answers = 0, errors = 0, connections = 0, losses = 0, repeated = 0,
                  refused = 0;
  };

  RedisClient(const RedisConfig& config, std::unique_ptr<TlsContext> tls, Loop& loop, Executor& blocking,
              const Clock& clock);

  // redis_client.cpp: questions
  void channel_reply(const RedisReply& reply) override;
  void channel_drained() override;
  void flush();
  void flush_soon();
  void tick_soon();
  void sweep();
  void give_up(std::vector<std::unique_ptr<Flight>> flights, const std::string& sentence);
  void refuse_soon(std::unique_ptr<Flight> flight);
  void check_health();

  // redis_connecting.cpp: the connection
  void begin();
  void connect();
  void try_next();
  void channel_open() override;
  void channel_ended(const Failure& why) override;
  void greeted(const RedisReply& reply);
  void attempt_failed(std::string cause, bool refused);
  void lost(const Failure& why);
  void remember(std::string cause);
  [[nodiscard]] bool hopeless() const;
  [[nodiscard]] double random() { return std::generate_canonical<double, 32>(random_); }

  const RedisConfig config_;
  const std::string place_;  // for sentences
  Loop& loop_;
  Executor& blocking_;
  std::unique_ptr<TlsContext> tls_;  // before the channel: outlives it
  Timers timers_;
  NameResolver names_;
  std::minstd_rand random_;

  State state_ = State::kConnecting;
  std::shared_ptr<RedisChannel> channel_;
  std::unique_ptr<Greeting> greeting_;
  SecretText password_;                 // between its file and the greeting
  std::vector<HostAddress> addresses_;  // not tried yet, the next one last
  Timers::Id patience_{};
  unsigned failed_ = 0;   // attempts in a row
  bool refused_ = false;  // the server is there and does not let us in
  std::uint64_t opened_ns_ = 0;
  std::uint64_t retry_ns_ = 0;
  std::string version_, role_;
  std::string last_error_;
  std::uint64_t last_error_ns_ = 0;

  std::deque<std::unique_ptr<Flight>> waiting_;
  std::deque<std::unique_ptr<Flight>> flights_;  // on the wire, in their order
  std::vector<std::unique_ptr<Flight>> refused_soon_;
  std::string out_;  // what is written at a time; kept for its room
  bool flushing_soon_ = false;
  bool ticking_ = false;
  Counters counters_;
  LatencyHistogram latency_;
};

}  // namespace authcached
