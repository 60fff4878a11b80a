// The moments at which a test stops the daemon, kills it or lets something else happen. In production no hook is set
// and each costs one branch.
#pragma once

#include <functional>

namespace authcached {

enum class FaultPoint {
  kVerdictBeforeInsert,
  kRuleBeforeKill,
  kKilledBeforeDurable,
  kDurableBeforeAcknowledge,
  kReplyBeforeSend,
};

using FaultHook = std::function<void(FaultPoint)>;

}  // namespace authcached
