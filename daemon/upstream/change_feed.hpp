// How an upstream that is a database tells of its changes: it reads them from somewhere (a table, a stream)
// and hands them on in batches, each with how far it has read. Loop thread only.
//
// What a feed owes: every change committed before ChangeBatch::up_to_ns is in that batch or was in one before
// it, or the batch says that it cannot tell (resync). A batch is handed on only when the one before it was
// taken in, so that a daemon that cannot keep up is not flooded. Nobody is owed that a change is told once
// only.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/upstream/session_change.hpp"

namespace authcached {

// From where a feed reads on. Two positions can be compared only within one source: the same server, database
// and history, in words that only the feed understands.
struct FeedCursor {
  std::string source;
  std::string position;

  bool operator==(const FeedCursor&) const = default;
};

struct ChangeBatch {
  std::vector<SessionChange> changes;
  std::string resync;  // why what happened before cannot be told: then all of the profile is to be forgotten
  std::uint64_t up_to_ns = 0;  // CLOCK_MONOTONIC, taken before the question was sent whose answer this is
  FeedCursor cursor;           // for a daemon that starts after this batch was taken in
};

class ChangeSink {
 public:
  using Done = std::move_only_function<void()>;
  virtual ~ChangeSink() = default;
  // done: nobody is told any more what was known before these changes. May be called before this returns.
  virtual void heard(ChangeBatch batch, Done done) = 0;
};

// For operators; the feed writes what it knows of its source, its sink the rest.
struct ChangeFeedStatus {
  bool hearing = false;             // the source answers
  std::string last_error, warning;  // why it does not; what works less well than it could
  std::uint64_t applied = 0, resyncs = 0, batches = 0;
  std::uint64_t confirmed_ns = 0;  // all until then is known (CLOCK_MONOTONIC); 0: never yet
  bool lost = false;               // for longer than changes_max_lag
};

class ChangeFeed {
 public:
  virtual ~ChangeFeed() = default;
  // Once. sink must outlive the feed or be taken back by stop(). cursor: as a former batch gave it; empty:
  // none is known, and the first batch is a resync.
  virtual void start(ChangeSink& sink, FeedCursor cursor) = 0;
  virtual void stop() = 0;

  [[nodiscard]] ChangeFeedStatus& status() { return status_; }
  [[nodiscard]] const ChangeFeedStatus& status() const { return status_; }

 private:
  ChangeFeedStatus status_;
};

// Of a profile's "changes" in `authctl upstreams`.
[[nodiscard]] boost::json::object changes_state(const ChangeFeedStatus& status, std::uint64_t now_ns);
// A sentence for operators; empty if all is well.
[[nodiscard]] std::string changes_complaint(const ChangeFeedStatus& status);

}  // namespace authcached
