#include "daemon/cache/change_applier.hpp"

#include <algorithm>
#include <cstring>

#include "daemon/cache/token_hash.hpp"

namespace authcached {

namespace shm = authcache::shm;

// The last job to end, or whoever made the batch if there was none, calls done.
struct ChangeApplier::Batch {
  explicit Batch(Done then) : done(std::move(then)) {}
  void end_one(std::uint64_t count) {
    killed += count;
    if (--open == 0) done(killed);
  }
  std::uint64_t killed = 0;
  std::size_t open = 1;  // the call itself
  Done done;
};

void ChangeApplier::apply(std::uint64_t profile_id, std::span<const SessionChange> changes, Done done) {
  auto batch = std::make_shared<Batch>(std::move(done));
  admission_.note_changes(profile_id, changes);
  const bool all = std::ranges::count(changes, SessionChange::Kind::kProfile, &SessionChange::kind) > 0;
  for (const SessionChange& change : changes) {
    if (all && change.kind != SessionChange::Kind::kProfile) continue;
    switch (change.kind) {
      case SessionChange::Kind::kToken: {
        Sha256 hash{};
        if (change.value.size() != hash.size()) break;  // no token has it
        std::memcpy(hash.data(), change.value.data(), hash.size());
        // In every profile: another one's record of the same token is asked for again at worst.
        batch->killed += tables_.kill_token(token_key(hash), shm::SlotState::kEvicted);
        break;
      }
      case SessionChange::Kind::kSid: forget_named(profile_id, NameKind::kSid, change.value, batch); break;
      case SessionChange::Kind::kSubject:
        forget_named(profile_id, NameKind::kSubject, change.value, batch);
        break;
      case SessionChange::Kind::kProfile:
        ++batch->open;
        bulk_.by_profile(profile_id, [batch](std::uint64_t killed) { batch->end_one(killed); });
        break;
    }
  }
  batch->end_one(0);
}

void ChangeApplier::forget_named(std::uint64_t profile_id, NameKind kind, const std::string& name,
                                 const std::shared_ptr<Batch>& batch) {
  const auto ours = [profile_id](const shm::TableView&, const shm::HotRecord&, const shm::ColdRecord& cold) {
    return cold.profile_id == profile_id ? std::optional(shm::SlotState::kEvicted) : std::nullopt;
  };
  ++batch->open;
  bulk_.by_name(kind, name, ours, [batch](std::uint64_t killed) { batch->end_one(killed); });
}

}  // namespace authcached
