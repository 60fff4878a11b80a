#include "daemon/upstream/key_set_source.hpp"

#include <algorithm>

namespace authcached {

KeySetChange compare_sets(const KeySet& before, const KeySet& now) {
  KeySetChange change;
  const auto note_removed = [&](const VerificationKey& key) {
    if (!now.proves_by(key.thumbprint)) change.removed.push_back(key.thumbprint);
  };
  std::ranges::for_each(before.keys(), note_removed);
  std::ranges::for_each(before.kept(), note_removed);
  change.added = std::ranges::any_of(now.keys(), [&](const VerificationKey& key) { return !before.proves_by(key.thumbprint); });
  return change;
}

}  // namespace authcached
