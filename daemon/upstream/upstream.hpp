// Where the daemon learns the truth about a token.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "daemon/base/proof.hpp"

namespace authcached {

struct Query {
  std::string token;           // the bytes that the caller presented; wiped by the owner of the flight
  std::uint64_t deadline_ns;   // CLOCK_MONOTONIC; the answer is of no use later
  uid_t uid = static_cast<uid_t>(-1);  // who asked first: extra work for a question counts as this one's
};

// Called exactly once for each resolve, on the loop's thread, never from within resolve itself.
using Answer = std::move_only_function<void(Proof)>;

class KeySetSource;
class ChangeFeed;
class SessionLister;
class SlidingSessions;

class Upstream {
 public:
  virtual ~Upstream() = default;

  // Loop thread only. Never blocks. A failure to learn the truth is a Proof with kUnavailable.
  virtual void resolve(Query query, Answer answer) = 0;

  // True if a token of this shape could be one of ours; checked before any flight, budget or record.
  [[nodiscard]] virtual bool well_formed(std::string_view token) const = 0;

  // Where the keys come from that prove its tokens; null for upstreams without keys.
  [[nodiscard]] virtual KeySetSource* key_set() const { return nullptr; }

  // How it tells of changes; null if it does not.
  [[nodiscard]] virtual ChangeFeed* changes() const { return nullptr; }

  // Null for upstreams that cannot name what they know.
  [[nodiscard]] virtual SessionLister* session_lister() { return nullptr; }

  // Null unless its sessions end when they are not used.
  [[nodiscard]] virtual SlidingSessions* sliding_sessions() { return nullptr; }

  // False until it knows its keys for the first time: what a predecessor admitted cannot be judged before.
  [[nodiscard]] virtual bool ready() const { return true; }
  // Records of a predecessor wait for that (D8), and all records while changes are not heard; meanwhile clients hear
  // "unavailable". Set and unset by whoever adopts, and by whoever hears of changes.
  [[nodiscard]] bool catching_up() const { return catching_up_; }
  void set_catching_up(bool catching_up) { catching_up_ = catching_up; }

  // What an operator should see to, as one sentence; empty if all is well.
  [[nodiscard]] virtual std::string complaint() const { return {}; }

  // True if the key with this RFC 7638 thumbprint still proves tokens: a record of any other key is not adopted.
  [[nodiscard]] virtual bool has_key(const Sha256& thumbprint) const {
    (void)thumbprint;
    return false;
  }

  // One line of state for `authctl upstreams`, as JSON object text.
  [[nodiscard]] virtual std::string state_json() const = 0;

 private:
  bool catching_up_ = false;
};

}  // namespace authcached
