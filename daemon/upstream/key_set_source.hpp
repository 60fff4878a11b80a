// Where a profile's keys come from: a file (file_key_set.hpp) or an issuer's endpoint (https_key_set.hpp). Those who check
// signatures need not know which. Loop thread only; a KeySet itself may be read by any thread that holds it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/token/key_set.hpp"

namespace authcached {

// What a new set changed: keys that no longer prove anything, and whether new ones came.
struct KeySetChange {
  std::vector<Sha256> removed;
  bool added = false;
  bool failed = false;  // the set cannot be read or fetched, for a reason not told before: last_error()
};

// What came of looking for a key that the set in use does not have.
enum class Sought : std::uint8_t {
  kChanged,     // another set is in use now: look there
  kNotThere,    // the newest set that may be had now does not have it
  kFailed,      // it could not be asked for: nothing is known about the token
  kTimeout,     // nobody answered within the question's deadline
  kOverBudget,  // this uid caused too many fetches for nothing
  kOverloaded,
};

class KeySetSource {
 public:
  using Changed = std::move_only_function<void(const KeySetChange&)>;
  // for_ns: with kNotThere, how long that stays the answer.
  using Found = std::move_only_function<void(Sought, std::int64_t for_ns)>;

  virtual ~KeySetSource() = default;

  // The set in use; null if there is none that may be relied on.
  [[nodiscard]] virtual std::shared_ptr<const KeySet> keys() const = 0;
  // False until there was a set for the first time.
  [[nodiscard]] virtual bool ready() const { return true; }
  // Until when what keys() proves may be relied on; nothing if that has no end.
  [[nodiscard]] virtual std::optional<std::int64_t> keep_until_wall_ns() const { return std::nullopt; }

  // Called once a second: looks whether there is anything to do. changed is called at most once, on the loop, with what
  // happened since the last time.
  virtual void poll(Changed changed) = 0;

  // A token names a key that `seen` (null: there was no set) does not have. found is called exactly once, on the loop,
  // never from within; at the deadline (CLOCK_MONOTONIC) at the latest.
  virtual void seek(const KeySet* seen, uid_t uid, std::uint64_t deadline_ns, Found found) = 0;

  [[nodiscard]] virtual const std::string& last_error() const = 0;
  [[nodiscard]] virtual std::int64_t loaded_wall_ns() const = 0;
  [[nodiscard]] virtual std::string complaint() const = 0;
  [[nodiscard]] virtual std::string state_json() const = 0;

  [[nodiscard]] bool has_key(const Sha256& thumbprint) const {
    const auto set = keys();
    return set && set->proves_by(thumbprint);
  }
};

// What moving from one set to the next changes.
[[nodiscard]] KeySetChange compare_sets(const KeySet& before, const KeySet& now);

}  // namespace authcached
