// Reads a Redis stream without missing an entry, and knows when it has heard all there was. On a connection
// of its own, since a read waits at the server for what comes next.
//
// Every entry is counted. A look at the stream (XINFO) says how many were ever added to it, those that were
// trimmed or deleted too; who has read up to the last id must have read exactly as many. What was trimmed,
// deleted or lost with a server therefore shows, wherever it was. After a change of the server (another run
// id) the entry at the cursor must still be there: it shows that this server has all that was read before.
// If it is not, the last place is looked for at which both servers had the same, among those read lately.
//
// What has the id of an entry that was read is taken for it: who deletes one and writes another in its place
// within a millisecond is not seen here.
//
// Loop thread only, or before the loop runs; gone before the loop. Nothing is told from within start. Entries
// may be told again after a gap and after a restart of their reader; never in another order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/io/redis/redis_client.hpp"
#include "daemon/io/redis/redis_stream_reply.hpp"

namespace authcached {

// Up to where a stream was read: all of it belongs into one durable row.
struct StreamCursor {
  std::string server;       // run id of the server that it was read from
  StreamId id;              // of the last entry read
  std::uint64_t added = 0;  // entries ever added to the stream up to it

  bool operator==(const StreamCursor&) const = default;
};

enum class StreamGap : std::uint8_t {
  kNoCursor,     // it was never read before
  kOtherServer,  // another server, and nothing shows that it has what was read of the one before
  kRegressed,    // the stream ends before the cursor
  kTrimmed,      // entries behind the cursor are gone
};
[[nodiscard]] std::string_view stream_gap_name(StreamGap gap);  // "no_cursor", ...

// All that was in the stream when this reader looked was told, and is done with.
struct StreamMoment {
  std::int64_t boot_ns = 0;     // CLOCK_BOOTTIME when the look was sent: nothing older is unheard
  std::uint64_t server_ms = 0;  // the server's clock at the look
  StreamCursor cursor;
};

class RedisStreamEvents {
 public:
  using Done = std::move_only_function<void()>;

  // The next entries, in their order. Nothing more is read before done() was called; the cursor passes them
  // then.
  virtual void stream_entries(std::vector<StreamEntry> entries, Done done) = 0;
  virtual void stream_confirmed(const StreamMoment& moment) = 0;
  // What lies before `position` may be lost for ever: learn it from elsewhere. The stream is read on from
  // there after done().
  virtual void stream_gap(StreamGap gap, const StreamCursor& position, Done done) = 0;
  // Another server answers now, and it has all that was read up to the cursor, which may have been put back
  // to where the two parted. Others may have written to the one before what this one does not have. Goes on
  // after done().
  virtual void stream_moved(Done done) { done(); }
  // Commands of the owner that go along with each look, in the same transaction; their number. Changes made
  // so may be made twice.
  virtual unsigned accompany_look(std::string& commands) {
    (void)commands;
    return 0;
  }
  // Their replies, as many, one by one by next(). False: they cannot be replies to these commands.
  virtual bool take_accompanied(const RedisReply& first) {
    (void)first;
    return true;
  }

 protected:
  ~RedisStreamEvents() = default;
};

struct RedisStreamOptions {
  RedisConfig server;
  std::filesystem::path ca_file;
  std::string key;
  // How often it looks whether it has heard all, while nothing happens.
  std::chrono::milliseconds look_every{1'000};
};

class RedisStream final : public std::enable_shared_from_this<RedisStream> {
 public:
  // Entries in one reply: many enough for a burst, few enough for the limits of one reply
  // (redis_channel.hpp). Halved where they do not fit, since some are longer.
  static constexpr unsigned kEntriesMax = 64;
  // Places that were read lately, for finding where a server that took over parted from the one before: one a
  // look at the most. Each costs one entry in a reply.
  static constexpr std::size_t kPlacesMax = 32;
  // Beyond the time that a command may wait at the server.
  static constexpr std::uint64_t kPatience_ns = 3'000'000'000;
  // After a question that failed. The connection itself has pauses of its own.
  static constexpr std::uint64_t kRetry_ns = 200'000'000;

  // The events must outlive this object.
  static authcache::shm::Result<std::shared_ptr<RedisStream>> create(RedisStreamOptions options, Loop& loop,
                                                                     Executor& blocking, const Clock& clock,
                                                                     RedisStreamEvents& events);

  // Once. Without a cursor the first event is a gap.
  void start(std::optional<StreamCursor> cursor);
  // What was told and is done with.
  [[nodiscard]] const std::optional<StreamCursor>& cursor() const { return cursor_; }
  // Run id of the server that answered the last look.
  [[nodiscard]] const std::string& server() const { return server_; }
  // Why nothing is heard just now, as a sentence; empty while all is well.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  // The connection's members, as JSON object text.
  [[nodiscard]] std::string connection_json() const { return client_->state_json(); }
  [[nodiscard]] std::uint64_t gaps() const { return gaps_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

 private:
  using Answered = authcache::shm::Result<RedisReply>;
  struct Look {
    std::int64_t boot_ns = 0;
    std::uint64_t server_ms = 0;
    std::string server;
    StreamInfo info;
    bool cursor_stands = false;
  };

  RedisStream(RedisStreamOptions options, Loop& loop, const Clock& clock, RedisStreamEvents& events);

  void look();
  bool looked(const Answered& answer, std::int64_t boot_ns, bool greeted);
  [[nodiscard]] std::optional<Look> look_of(const RedisReply& reply, bool greeted) const;
  void judge(const Look& look);
  void find_parting(const StreamCursor& end);
  bool parting_found(const Answered& answer, const StreamCursor& end);
  void read();
  bool was_read(const Answered& answer);
  // The cursor behind these; finds out whether some before the target are gone.
  [[nodiscard]] StreamCursor behind(const std::vector<StreamEntry>& entries);
  void gap(StreamGap why, StreamCursor position);
  void entries_done();
  void confirm_if_reached();
  void go_on();
  void fail_for_now(std::string sentence);
  RedisStreamEvents::Done then(void (RedisStream::*next)());

  const RedisStreamOptions options_;
  const Clock& clock_;
  RedisStreamEvents& events_;
  Timers timers_;
  std::shared_ptr<RedisClient> client_;

  std::optional<StreamCursor> cursor_;
  std::vector<StreamCursor> places_;    // confirmed ones, the latest last
  std::optional<StreamMoment> target_;  // of the last look: confirmed once the cursor is there
  std::optional<StreamCursor> next_;    // the cursor, once the entries told are done with
  bool trimmed_ = false;                // some before them are gone: told after them
  std::uint64_t known_connection_ = 0;  // whose server is that of the cursor
  std::int64_t looked_boot_ns_ = INT64_MIN;
  unsigned entries_at_once_ = kEntriesMax;
  std::string server_;
  std::string trouble_ = "it was not heard yet";
  std::uint64_t gaps_ = 0, entries_ = 0;
};

}  // namespace authcached
