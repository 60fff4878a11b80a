#include "daemon/cache/rule_set.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <new>
#include <set>
#include <unordered_map>
#include <utility>

#include "daemon/base/random.hpp"

namespace authcached {
namespace {

constexpr std::size_t kKinds = 10;  // RuleKind's values and the unused 0

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
}

std::int64_t saturating_subtract(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  if (!__builtin_sub_overflow(a, b, &difference)) return difference;
  return b < 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
}

bool value_is_digest(RuleKind kind) {
  return kind == RuleKind::kToken || kind == RuleKind::kSigningInput || kind == RuleKind::kKey;
}

bool known(RuleKind kind) { return kind >= RuleKind::kToken && kind <= RuleKind::kEverything; }

// Views into the strings of the entry that it leads to, or of the caller who looks for one.
struct IdentityView {
  RuleKind kind;
  std::string_view scope;
  std::string_view value;
  bool operator==(const IdentityView&) const = default;
};

// Keyed, so that nobody who picks subjects or session ids can make them collide.
struct IdentityHash {
  std::uint64_t seed = 0;
  std::size_t operator()(const IdentityView& identity) const {
    const std::uint64_t seeded = seed + static_cast<std::uint64_t>(identity.kind);
    const std::uint64_t hash = XXH3_64bits_withSeed(identity.value.data(), identity.value.size(), seeded);
    if (identity.scope.empty()) return hash;
    return XXH3_64bits_withSeed(identity.scope.data(), identity.scope.size(), hash);
  }
};

std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes{};
  // Without random bytes the set is as right as with them, only its cost can be attacked.
  if (!fill_random(bytes)) return 0;
  std::uint64_t seed = 0;
  for (const std::uint8_t byte : bytes) seed = seed << 8 | byte;
  return seed;
}

std::string_view bytes_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Changes of one identity that are not settled keep their own layer, so that each can still be taken back
// alone.
struct Entry {
  using ByEnd = std::multimap<std::pair<std::int64_t, std::uint64_t>, Entry*>;

  Rule rule;                           // all layers merged: what match answers by
  std::vector<Rule> layers;            // without scope and value; empty while there is only one change
  std::optional<ByEnd::iterator> end;  // place in by_end_, unless kept until lifted
};

Rule without_text(const Rule& rule) {
  Rule layer;
  layer.change = rule.change;
  layer.kind = rule.kind;
  layer.not_before_ns = rule.not_before_ns;
  layer.created_wall_ns = rule.created_wall_ns;
  layer.created_boot_ns = rule.created_boot_ns;
  layer.life_ns = rule.life_ns;
  layer.durable = rule.durable;
  return layer;
}

}  // namespace

std::string_view rule_kind_name(RuleKind kind) {
  switch (kind) {
    case RuleKind::kToken: return "token";
    case RuleKind::kSigningInput: return "signing_input";
    case RuleKind::kJti: return "jti";
    case RuleKind::kSid: return "sid";
    case RuleKind::kSubject: return "subject";
    case RuleKind::kClient: return "client";
    case RuleKind::kIssuer: return "issuer";
    case RuleKind::kKey: return "key";
    case RuleKind::kEverything: return "everything";
  }
  return "?";
}

bool denies_by_age(RuleKind kind) {
  switch (kind) {
    case RuleKind::kSid:
    case RuleKind::kSubject:
    case RuleKind::kClient:
    case RuleKind::kIssuer:
    case RuleKind::kEverything: return true;
    default: return false;
  }
}

std::optional<std::string_view> rule_fault(const Rule& rule) {
  if (!known(rule.kind)) return "its kind is unknown";
  if (rule.change == 0 ||
      rule.change > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return "its change number is out of range";
  }
  if (rule.scope.size() > kRuleTextBytesMax) return "its scope is too long";
  if (rule.value.size() > kRuleTextBytesMax) return "its value is too long";
  if (value_is_digest(rule.kind) && rule.value.size() != std::tuple_size_v<Sha256>) {
    return "its value is not a digest of 32 bytes";
  }
  if (rule.kind == RuleKind::kEverything && !rule.value.empty()) return "a rule on everything has no value";
  if (rule.life_ns < 0) return "its retention is negative";
  if (rule.not_before_ns < 0) return "its not-before is negative";
  return std::nullopt;
}

Rule merged_rule(const Rule& one, const Rule& other) {
  const Rule& later = one.change >= other.change ? one : other;
  const Rule& earlier = one.change >= other.change ? other : one;
  Rule merged = later;
  merged.not_before_ns = std::max(later.not_before_ns, earlier.not_before_ns);
  merged.durable = later.durable && earlier.durable;
  if (later.life_ns == 0 || earlier.life_ns == 0) {
    merged.life_ns = 0;
    return merged;
  }
  const std::int64_t wall_end = saturating_add(earlier.created_wall_ns, earlier.life_ns);
  const std::int64_t boot_end = saturating_add(earlier.created_boot_ns, earlier.life_ns);
  merged.life_ns = std::max({later.life_ns, saturating_subtract(wall_end, later.created_wall_ns),
                             saturating_subtract(boot_end, later.created_boot_ns)});
  return merged;
}

struct RuleSet::Impl {
  using Entries = std::unordered_map<IdentityView, std::unique_ptr<Entry>, IdentityHash>;

  explicit Impl(std::size_t rules_max_given)
      : rules_max(rules_max_given), entries(0, IdentityHash{random_seed()}) {}

  std::size_t rules_max;
  Entries entries;
  // Every change that has a layer of its own, and the one of each entry with a single layer.
  std::set<std::pair<std::uint64_t, Entry*>> by_change;
  // By the BOOTTIME at which retention ends: this clock never steps, so the order stays right.
  Entry::ByEnd by_end;
  std::pair<std::int64_t, std::uint64_t> purged_up_to{std::numeric_limits<std::int64_t>::min(), 0};
  std::array<std::size_t, kKinds> of_kind{};
  std::size_t scoped = 0;

  static IdentityView identity_of(const Entry& entry) {
    return {entry.rule.kind, entry.rule.scope, entry.rule.value};
  }

  void index_end(Entry& entry) {
    if (entry.end) by_end.erase(*entry.end);
    entry.end.reset();
    if (entry.rule.life_ns == 0) return;
    const std::int64_t end = saturating_add(entry.rule.created_boot_ns, entry.rule.life_ns);
    entry.end = by_end.insert({{end, entry.rule.change}, &entry});
  }

  void insert(const Rule& rule) {
    auto entry = std::make_unique<Entry>();
    entry->rule = rule;
    Entry& placed = *entry;
    const auto at = entries.emplace(identity_of(placed), std::move(entry)).first;
    try {
      by_change.insert({rule.change, &placed});
      index_end(placed);
    } catch (const std::bad_alloc&) {
      // Half of it would be found by the next one of its identity, and would then deny nothing.
      by_change.erase({rule.change, &placed});
      entries.erase(at);
      throw;
    }
    ++of_kind[static_cast<std::size_t>(rule.kind)];
    if (!rule.scope.empty()) ++scoped;
  }

  void remove(Entry& entry) {
    by_change.erase({entry.rule.change, &entry});
    for (const Rule& layer : entry.layers) by_change.erase({layer.change, &entry});
    if (entry.end) by_end.erase(*entry.end);
    --of_kind[static_cast<std::size_t>(entry.rule.kind)];
    if (!entry.rule.scope.empty()) --scoped;
    entries.erase(identity_of(entry));
  }

  // Durable layers can no longer be taken back, so they need not be told apart.
  void settle(Entry& entry) {
    std::vector<Rule> layers;
    std::optional<Rule> durable;
    for (Rule& layer : entry.layers) {
      by_change.erase({layer.change, &entry});
      if (!layer.durable) {
        layers.push_back(layer);
      } else {
        durable = durable ? merged_rule(*durable, layer) : layer;
      }
    }
    if (durable) layers.push_back(*durable);
    Rule merged = layers.front();
    for (const Rule& layer : layers) {
      merged = merged_rule(merged, layer);
      by_change.insert({layer.change, &entry});
    }
    if (layers.size() == 1) layers.clear();
    entry.layers = std::move(layers);
    // Scope and value stay where they are: the map's key views their characters.
    entry.rule.change = merged.change;
    entry.rule.not_before_ns = merged.not_before_ns;
    entry.rule.created_wall_ns = merged.created_wall_ns;
    entry.rule.created_boot_ns = merged.created_boot_ns;
    entry.rule.life_ns = merged.life_ns;
    entry.rule.durable = merged.durable;
    index_end(entry);
  }

  template <class Action>
  void for_each_with(std::uint64_t change, Action action) {
    std::vector<Entry*> found;
    for (auto at = by_change.lower_bound({change, nullptr}); at != by_change.end() && at->first == change;
         ++at) {
      found.push_back(at->second);
    }
    for (Entry* entry : found) action(*entry);
  }

  const Rule* find(RuleKind kind, std::string_view scope, std::string_view value,
                   const AdmissionFacts& facts) const {
    const auto found = entries.find(IdentityView{kind, scope, value});
    if (found == entries.end()) return nullptr;
    const Rule& rule = found->second->rule;
    if (!denies_by_age(kind)) return &rule;
    return !facts.issued_wall_ns || *facts.issued_wall_ns <= rule.not_before_ns ? &rule : nullptr;
  }

  const Rule* match(RuleKind kind, std::string_view value, const AdmissionFacts& facts) const {
    if (of_kind[static_cast<std::size_t>(kind)] == 0) return nullptr;
    if (const Rule* rule = find(kind, {}, value, facts)) return rule;
    if (scoped == 0) return nullptr;
    if (!facts.issuer.empty()) {
      if (const Rule* rule = find(kind, facts.issuer, value, facts)) return rule;
    }
    return facts.profile.empty() ? nullptr : find(kind, facts.profile, value, facts);
  }
};

RuleSet::RuleSet(std::size_t rules_max) : impl_(std::make_unique<Impl>(rules_max)) {}
RuleSet::RuleSet(RuleSet&&) noexcept = default;
RuleSet& RuleSet::operator=(RuleSet&&) noexcept = default;
RuleSet::~RuleSet() = default;

bool RuleSet::add(const Rule& rule) {
  const auto found = impl_->entries.find(IdentityView{rule.kind, rule.scope, rule.value});
  if (found == impl_->entries.end()) {
    if (impl_->entries.size() >= impl_->rules_max) return false;
    impl_->insert(rule);
    return true;
  }
  Entry& entry = *found->second;
  if (entry.layers.empty()) entry.layers.push_back(without_text(entry.rule));
  entry.layers.push_back(without_text(rule));
  impl_->settle(entry);
  return true;
}

void RuleSet::mark_durable(std::uint64_t change) {
  impl_->for_each_with(change, [&](Entry& entry) {
    if (entry.layers.empty()) {
      entry.rule.durable = true;
      return;
    }
    for (Rule& layer : entry.layers) layer.durable |= layer.change == change;
    impl_->settle(entry);
  });
}

void RuleSet::withdraw(std::uint64_t change) {
  impl_->for_each_with(change, [&](Entry& entry) {
    if (entry.layers.empty()) {
      if (!entry.rule.durable) impl_->remove(entry);
      return;
    }
    const std::size_t dropped = std::erase_if(
        entry.layers, [&](const Rule& layer) { return layer.change == change && !layer.durable; });
    if (dropped == 0) return;
    impl_->by_change.erase({change, &entry});
    if (entry.layers.empty()) {
      impl_->remove(entry);
    } else {
      impl_->settle(entry);
    }
  });
}

bool RuleSet::lift(RuleKind kind, std::string_view scope, std::string_view value, std::uint64_t up_to_change) {
  const auto found = impl_->entries.find(IdentityView{kind, scope, value});
  if (found == impl_->entries.end()) return false;
  Entry& entry = *found->second;
  if (entry.layers.empty()) {
    if (entry.rule.change > up_to_change) return false;
    impl_->remove(entry);
    return true;
  }
  const std::size_t dropped = std::erase_if(entry.layers, [&](const Rule& layer) {
    if (layer.change > up_to_change) return false;
    impl_->by_change.erase({layer.change, &entry});
    return true;
  });
  if (entry.layers.empty()) {
    impl_->remove(entry);
  } else {
    impl_->settle(entry);
  }
  return dropped > 0;
}

const Rule* RuleSet::find(RuleKind kind, std::string_view scope, std::string_view value) const {
  const auto found = impl_->entries.find(IdentityView{kind, scope, value});
  return found == impl_->entries.end() ? nullptr : &found->second->rule;
}

const Rule* RuleSet::match(const AdmissionFacts& facts) const {
  const Impl& rules = *impl_;
  const auto digest = [&](RuleKind kind, const Sha256* value) {
    return value == nullptr ? nullptr : rules.match(kind, bytes_of(*value), facts);
  };
  if (const Rule* rule = digest(RuleKind::kToken, facts.token)) return rule;
  if (const Rule* rule = digest(RuleKind::kSigningInput, facts.signing_input)) return rule;
  if (const Rule* rule = digest(RuleKind::kKey, facts.key)) return rule;
  const std::pair<RuleKind, std::string_view> texts[] = {
      {RuleKind::kJti, facts.jti},         {RuleKind::kSid, facts.sid},
      {RuleKind::kSubject, facts.subject}, {RuleKind::kClient, facts.client_id},
      {RuleKind::kIssuer, facts.issuer},   {RuleKind::kEverything, {}},
  };
  for (const auto& [kind, value] : texts) {
    if (const Rule* rule = rules.match(kind, value, facts)) return rule;
  }
  return nullptr;
}

std::vector<std::uint64_t> RuleSet::purge(std::int64_t wall_ns, std::int64_t boot_ns, std::size_t at_most) {
  std::vector<std::uint64_t> removed;
  auto& by_end = impl_->by_end;
  auto at = by_end.upper_bound(impl_->purged_up_to);
  for (std::size_t looked_at = 0; looked_at < at_most; ++looked_at) {
    if (at == by_end.end() || at->first.first >= boot_ns) {
      // Nothing behind this one has passed by BOOTTIME: the next round begins at the front.
      impl_->purged_up_to = {std::numeric_limits<std::int64_t>::min(), 0};
      return removed;
    }
    impl_->purged_up_to = at->first;
    Entry& entry = *at->second;
    ++at;
    const Rule& rule = entry.rule;
    const bool settled = rule.durable && entry.layers.empty();
    if (!settled || wall_ns <= saturating_add(rule.created_wall_ns, rule.life_ns)) continue;
    removed.push_back(rule.change);
    impl_->remove(entry);
  }
  return removed;
}

std::size_t RuleSet::size() const { return impl_->entries.size(); }

std::vector<Rule> RuleSet::list(std::uint64_t after, std::size_t limit) const {
  std::vector<Rule> rules;
  auto at = impl_->by_change.lower_bound({after, nullptr});
  for (; at != impl_->by_change.end() && rules.size() < limit; ++at) {
    const auto& [change, entry] = *at;
    // A change that is merged into a later one shows once, as the later one.
    if (change > after && change == entry->rule.change) rules.push_back(entry->rule);
  }
  return rules;
}

}  // namespace authcached
