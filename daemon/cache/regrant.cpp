// How a record that stands comes to say what its roles grant by now: the part of Admission that a change of the roles'
// definitions needs. A live record is never rewritten, so it is admitted again, with its own facts, deadline and epoch.
#include "daemon/cache/admission.hpp"
#include "daemon/cache/reread.hpp"
#include "daemon/cache/revoker.hpp"
#include "shm/dictionary.hpp"

namespace authcached {

namespace shm = authcache::shm;
using shm::Verdict;

namespace {

// Which records a walk has to look into. The bits of a table's dictionary are looked up once, not for each record.
class RolesFilter {
 public:
  // Those that hold one of these roles; without any, those that hold some role.
  explicit RolesFilter(std::optional<std::set<std::string>> roles) : roles_(std::move(roles)) {}

  bool concerns(const Generation& generation, std::uint64_t slot) {
    const shm::TableView& view = generation.writer.view();
    const std::uint64_t dictionary = shm::StdAtomics::load_relaxed(view.header().dictionary);
    if (view.generation != generation_ || dictionary != dictionary_) look_up(view, dictionary);
    const shm::HotRecord hot = generation.writer.peek(slot);
    // Where a role found no bit, the text must tell.
    return (hot.grants & bits_) != 0 || (shm::unpack_facts(hot.facts).flags & shm::kGrantsInText) != 0;
  }

 private:
  void look_up(const shm::TableView& view, std::uint64_t dictionary) {
    generation_ = view.generation;
    dictionary_ = dictionary;
    bits_ = 0;
    for (std::uint32_t bit = 0; bit < shm::unpack_dictionary(dictionary).grants; ++bit) {
      char buffer[shm::kDictionaryTextMax];
      const shm::GrantText grant = shm::grant_text(view, bit, buffer);
      if (grant.kind != shm::DictionaryKind::kPermission || !grant.text.starts_with(kRolePrefix)) continue;
      if (!roles_ || roles_->contains(std::string(grant.text.substr(kRolePrefix.size())))) bits_ |= std::uint64_t{1} << bit;
    }
  }

  std::optional<std::set<std::string>> roles_;
  std::uint64_t generation_ = 0;
  std::uint64_t dictionary_ = 0;
  std::uint64_t bits_ = 0;
};

}  // namespace

void Admission::set_roles(std::shared_ptr<const RoleBook> roles, const Profiles& profiles) {
  roles_ = std::move(roles);
  taken_.clear();
  for (const auto& profile : profiles) taken_[profile->id] = profile->config.roles;
  tables_.set_role_grants(roles_->all_grants());
}

std::vector<std::string> Admission::grants_of_roles(std::uint64_t profile_id, std::span<const std::string> permissions) const {
  std::vector<std::string> granted;
  if (const auto taken = taken_.find(profile_id); taken != taken_.end()) roles_->expand(taken->second, permissions, granted);
  return granted;
}

bool Admission::may_copy(const shm::TableView& view, const Profiles& profiles, const shm::HotRecord& hot, const shm::ColdRecord& cold,
                         std::string_view text, std::vector<std::string>& role_grants) const {
  if (!may_keep(view, profiles, hot, cold, text)) return false;
  std::vector<std::string> permissions;
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field == shm::TextField::kPermissions) permissions.emplace_back(item->value);
  }
  role_grants = grants_of_roles(cold.profile_id, permissions);
  return true;
}

Admission::Regranted Admission::regrant(Generation& generation, std::uint64_t slot, const Profiles& profiles) {
  const shm::TableView& view = generation.writer.view();
  const shm::HotRecord hot = generation.writer.peek(slot);
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  if (shm::control_state(hot.control) != shm::SlotState::kLive || shm::unpack_facts(hot.facts).verdict != Verdict::kValid) {
    return Regranted::kSame;
  }
  const auto kill = [&] {
    tables_.kill(hot.key, shm::SlotState::kEvicted);
    return Regranted::kKilled;
  };
  // One that is past its deadline may be prolonged while its upstream cannot be asked.
  if (!shm::is_current(view, hot, 0)) return kill();
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  shm::ColdRecord cold;
  const auto beside = shm::read_text(view, slot, hot.control, buffer, cold);
  const bool elsewhere = (shm::unpack_facts(hot.facts).flags & shm::kTextOnSocket) != 0;
  const std::string_view text = elsewhere ? texts_.get({view.generation, slot, hot.sequence()}) : beside.value_or(std::string_view{});
  if (!beside || (elsewhere && text.empty()) || !may_keep(view, profiles, hot, cold, text)) return kill();

  Reread record;
  reread(view, hot, cold, text, record);
  const std::vector<std::string> granted = grants_of_roles(cold.profile_id, record.permissions);
  const std::vector<std::string> without_bits = tables_.without_bits(granted);
  record.spec.role_grants = granted;
  if (hot.grants == generation.writer.bits_of(record.spec) && record.told_grants == without_bits) return Regranted::kSame;

  const auto told = with_grants(record.text, without_bits, OversizeTexts::kTextMax);
  if (!told) return kill();
  record.spec.text_too_large = told->size() > shm::kTextMax;
  if (!record.spec.text_too_large) record.spec.text = *told;
  const std::uint64_t proven_until = generation.refresh.proven_until(slot);
  const RecordNames names = names_in_text(*told);
  const Places places = tables_.insert(record.spec, now, &names);
  for (const shm::Place& place : places.all()) {
    tables_.generation(place.generation)->refresh.set_proven_until(place.slot, proven_until);
    if (tables_.text_is_elsewhere(place)) texts_.put(place, *told);
  }
  return Regranted::kChanged;
}

std::uint64_t Admission::regrant_adopted(Generation& generation, const Profiles& profiles) {
  RolesFilter filter{std::nullopt};
  std::uint64_t changed = 0;
  const Generation::ScanId scan = generation.begin_scan();
  while (const auto slot = generation.scan_next(scan)) {
    if (!filter.concerns(generation, *slot)) continue;
    changed += regrant(generation, *slot, profiles) == Regranted::kSame ? 0 : 1;
  }
  generation.end_scan(scan);
  return changed;
}

void Revoker::regrant(Admission& admission, const Profiles& profiles, std::set<std::string> roles, BulkKill::Done done) {
  bulk_.each_record(
      [&admission, &profiles, filter = RolesFilter(std::move(roles))](Generation& generation, std::uint64_t slot) mutable {
        return filter.concerns(generation, slot) && admission.regrant(generation, slot, profiles) != Admission::Regranted::kSame;
      },
      std::move(done));
}

}  // namespace authcached
