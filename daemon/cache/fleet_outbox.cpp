#include "daemon/cache/fleet_outbox.hpp"

#include <algorithm>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;

FleetOutbox::FleetOutbox(const HostId& self, const FleetSeal& seal, const RuleSet& rules,
                         FleetTransport& transport, StateWriter& state, Loop& loop, const Clock& clock)
    : self_(self),
      seal_(seal),
      rules_(rules),
      transport_(transport),
      state_(state),
      clock_(clock),
      timers_(loop) {}

void FleetOutbox::start(const std::vector<SharedRule>& stored) {
  for (const SharedRule& shared : stored) {
    if (shared.published) {
      last_sealed_ = std::max(last_sealed_, shared.rule.change);
    } else {
      queue(shared.rule);
    }
  }
  pump();
}

void FleetOutbox::add(const std::vector<Rule>& committed) {
  for (const Rule& rule : committed) queue(rule);
  pump();
}

void FleetOutbox::queue(Rule rule) {
  Item item;
  item.entry.host = self_;
  item.entry.change = rule.change;
  item.entry.rule = std::move(rule);
  const std::uint64_t change = item.entry.change;
  if (!sent_.contains(change)) queue_.try_emplace(change, std::move(item));
}

void FleetOutbox::pump() {
  if (publishing_ || queue_.empty()) return;
  publishing_ = true;
  std::vector<FleetParcel> parcels;
  std::vector<std::uint64_t> changes;
  while (!queue_.empty() && parcels.size() < kBatchMax) {
    auto node = queue_.extract(queue_.begin());
    Item& item = node.mapped();
    const std::uint64_t change = item.entry.change;
    if (item.sealed.empty()) {
      // In the copy the latest takes the place of those before it, so it must say what they said.
      Rule& rule = item.entry.rule;
      if (const Rule* const known = rules_.find(rule.kind, rule.scope, rule.value)) {
        rule.created_boot_ns = known->created_boot_ns;  // not in the outbox: it means nothing in another boot
        rule = merged_rule(rule, *known);
      }
      item.entry.previous = last_sealed_;
      item.sealed = seal_.seal(item.entry);
      last_sealed_ = std::max(last_sealed_, change);
    }
    item.taken_ns = INT64_MAX;
    parcels.push_back({copy_place(self_, item.entry.rule), item.sealed});
    changes.push_back(change);
    sent_.insert(std::move(node));
  }
  transport_.publish(parcels,
                     [this, changes](const shm::Result<void>& outcome) { went_out(changes, outcome); });
}

void FleetOutbox::went_out(const std::vector<std::uint64_t>& changes, const shm::Result<void>& outcome) {
  publishing_ = false;
  if (outcome) {
    trouble_.clear();
    published_ += changes.size();
    const std::int64_t now = clock_.boot_ns();
    for (const std::uint64_t change : changes) {
      if (const auto sent = sent_.find(change); sent != sent_.end()) sent->second.taken_ns = now;
    }
    return pump();
  }
  trouble_ = outcome.error().message;
  for (const std::uint64_t change : changes) back_to_queue(change);
  timers_.after(kRetry_ns, [this] { pump(); });
}

void FleetOutbox::back_to_queue(std::uint64_t change) {
  if (auto node = sent_.extract(change)) queue_.insert(std::move(node));
}

bool FleetOutbox::read_back(const FleetEntry& entry) {
  if (entry.host != self_) return false;
  for (auto* under_way : {&sent_, &queue_}) {  // in the queue: it went out, and that was not known
    const auto found = under_way->find(entry.change);
    if (found == under_way->end() || found->second.sealed.empty() || !(found->second.entry == entry))
      continue;
    recent_.emplace_back(clock_.boot_ns(), std::move(found->second));
    if (recent_.size() > kRecentMax) recent_.pop_front();
    under_way->erase(found);
    to_mark_.push_back(entry.change);
    mark();
    return true;
  }
  return false;
}

void FleetOutbox::mark() {
  if (marking_ || to_mark_.empty()) return;
  marking_ = true;
  // One that cannot be marked is published once more after the next start.
  state_.with_fleet(
      [changes = std::exchange(to_mark_, {})](FleetStore& store) { return store.mark_published(changes); },
      [this](const shm::Result<void>&) {
        marking_ = false;
        mark();
      });
}

void FleetOutbox::confirmed(std::int64_t boot_ns) {
  std::vector<std::uint64_t> missing;
  for (const auto& [change, item] : sent_) {
    if (item.taken_ns < boot_ns) missing.push_back(change);
  }
  for (const std::uint64_t change : missing) back_to_queue(change);
  while (!recent_.empty() && recent_.front().first < boot_ns - kRecent_ns) recent_.pop_front();
  pump();
}

void FleetOutbox::repeat_recent() {
  doubt_all();
  for (auto& [when, item] : std::exchange(recent_, {})) {
    const std::uint64_t change = item.entry.change;
    if (!sent_.contains(change)) queue_.try_emplace(change, std::move(item));
  }
  pump();
}

void FleetOutbox::doubt_all() {
  std::vector<std::uint64_t> all;
  for (const auto& [change, item] : sent_) {
    if (item.taken_ns != INT64_MAX) all.push_back(change);  // of the others the outcome is still to come
  }
  for (const std::uint64_t change : all) back_to_queue(change);
}

void FleetOutbox::put_back(std::set<std::string> places, std::move_only_function<void()> done) {
  auto stored = std::make_shared<std::vector<SharedRule>>();
  state_.with_fleet(
      [stored](FleetStore& store) -> shm::Result<void> {
        auto loaded = store.load();
        if (!loaded) return std::unexpected(loaded.error());
        *stored = std::move(*loaded);
        return {};
      },
      [this, stored, places = std::move(places),
       done = std::move(done)](const shm::Result<void>& loaded) mutable {
        if (!loaded) {
          trouble_ = loaded.error().message;
          return void(
              timers_.after(kRetry_ns, [this, places = std::move(places), done = std::move(done)]() mutable {
                put_back(std::move(places), std::move(done));
              }));
        }
        std::vector<std::uint64_t> missing;
        for (SharedRule& shared : *stored) {
          if (!shared.published || places.contains(copy_place(self_, shared.rule))) continue;
          missing.push_back(shared.rule.change);
          queue(std::move(shared.rule));
        }
        if (missing.empty()) return done();
        state_.with_fleet([missing](FleetStore& store) { return store.mark_unpublished(missing); },
                          [](const shm::Result<void>&) {});
        pump();
        done();
      });
}

void FleetOutbox::forget_spent() {
  constexpr std::size_t kAtOnce = 500;
  auto spent = std::make_shared<std::vector<Rule>>();
  state_.with_fleet(
      [spent, now = clock_.wall_ns()](FleetStore& store) -> shm::Result<void> {
        auto loaded = store.load();
        if (!loaded) return std::unexpected(loaded.error());
        for (const SharedRule& shared : *loaded) {
          const Rule& rule = shared.rule;
          const bool over = rule.life_ns > 0 && now - kSpentAfter_ns - rule.created_wall_ns > rule.life_ns;
          if (shared.published && over && spent->size() < kAtOnce) spent->push_back(rule);
        }
        return {};
      },
      [this, spent](const shm::Result<void>&) {
        std::vector<std::string> places;
        std::vector<std::uint64_t> changes;
        for (const Rule& rule : *spent) {
          // Both clocks must say that it is over: memory knows.
          if (rules_.contains(rule.kind, rule.scope, rule.value)) continue;
          places.push_back(copy_place(self_, rule));
          changes.push_back(rule.change);
        }
        if (places.empty()) return;
        transport_.remove_from_copy(places, [this, changes](const shm::Result<void>& removed) {
          if (!removed) return;
          state_.with_fleet([changes](FleetStore& store) { return store.remove(changes); },
                            [](const shm::Result<void>&) {});
        });
      });
}

}  // namespace authcached
