// What follows from a change of a profile's key set: a key that came makes refusals for want of it void; a key that went
// takes what it proved with it, by its epoch at once and, where its issuer withdrew it, by a durable rule, so that no late
// copy of the set brings it back. A file is its owner's word of this moment: what is put back into it is good again.
//
// Records of a predecessor wait until the set is known for the first time; then those of other keys die, and the rest is
// served. Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>

#include "daemon/control/services.hpp"
#include "daemon/upstream/key_set_source.hpp"

namespace authcached {

class KeySetWatch {
 public:
  // Rules made here in one day. An issuer has a handful of keys and changes them a few times a year; one that makes up keys
  // in order to withdraw them must not use up the room for rules. Beyond it a withdrawn key still dies by its epoch.
  static constexpr std::size_t kRulesPerDay = 100;

  explicit KeySetWatch(Services& services) : services_(services) {}

  void poll();      // once a second
  void catch_up();  // more often: while it waits, a profile's records are not served

 private:
  void apply(const Profile& profile, const KeySetChange& change);
  void withdraw(const Profile& profile, const Sha256& key);
  [[nodiscard]] bool spend_rule();
  [[nodiscard]] bool proves_elsewhere(const Profile& profile, const Sha256& key) const;

  Services& services_;
  std::deque<std::int64_t> rules_made_ns_;  // CLOCK_BOOTTIME
  std::set<std::string> checking_;          // profiles whose records are being looked through
};

}  // namespace authcached
