#include "daemon/cache/tables.hpp"

#include <unistd.h>

#include <algorithm>
#include <new>

#include "daemon/cache/reread.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

using A = shm::StdAtomics;

}  // namespace

Generation::Generation(shm::TableFile file, std::optional<Recency> hints)
    : writer(std::move(file)),
      index(writer.view()),
      names(writer.view()),
      refresh(writer.view().geometry.slots),
      recency(std::move(hints)) {
  writer.set_observer(this);
  if (recency) writer.set_recency(recency->bytes());
}

void Generation::placed(std::uint64_t slot) {
  index.placed(slot);
  names.placed(slot);
  refresh.set_proven_until(slot, 0);
  if (shm::unpack_facts(writer.peek(slot).facts).verdict == shm::Verdict::kValid) refresh.put(slot, RefreshQueue::kNew);
}

void Generation::removed(std::uint64_t slot) {
  index.removed(slot);
  names.removed(slot);
  refresh.remove(slot);
  if (ends_ == nullptr) return;
  const shm::HotRecord record = writer.peek(slot);
  for (EndObserver* observer : *ends_) observer->ended(record.key, shm::control_state(record.control));
}

void Generation::moved(std::uint64_t from, std::uint64_t to) {
  index.moved(from, to);
  names.moved(from, to);
  refresh.moved(from, to);
  for (auto& [id, scan] : scans_) {
    if (to >= scan.hand) continue;
    try {
      scan.stepped_behind.push_back(to);
    } catch (const std::bad_alloc&) {  // what cannot be remembered is come upon again
      scan.stepped_behind.clear();
      scan.hand = 0;
    }
  }
}

Generation::ScanId Generation::begin_scan() {
  scans_.emplace(++last_scan_, Scan{});
  return last_scan_;
}

std::optional<std::uint64_t> Generation::scan_next(ScanId id) {
  const auto found = scans_.find(id);
  if (found == scans_.end()) return std::nullopt;
  Scan& scan = found->second;
  if (!scan.stepped_behind.empty()) {
    const std::uint64_t slot = scan.stepped_behind.back();
    scan.stepped_behind.pop_back();
    return slot;
  }
  if (scan.hand == writer.view().geometry.slots) return std::nullopt;
  return scan.hand++;
}

Tables::Tables(std::filesystem::path dir, std::unique_ptr<Generation> current)
    : dir_(std::move(dir)), current_(std::move(current)) {
  current_->set_end_observers(&ends_);
}

void Tables::add_end_observer(EndObserver* observer) { ends_.push_back(observer); }

void Tables::doubt_all() const {
  for (EndObserver* observer : ends_) observer->any_may_have_ended();
}

Places Tables::insert(const shm::RecordSpec& spec, std::uint64_t now_ns, const RecordNames* names) {
  Places places;
  const std::uint64_t epoch_before = epoch();
  each([&](Generation& generation) {
    struct Announcement {
      Announcement(NameIndex& to, const RecordNames* names) : index(to) { index.announce(names); }
      ~Announcement() { index.announce(nullptr); }
      NameIndex& index;
    } const announcement(generation.names, names);
    if (const auto place = generation.writer.insert(spec, now_ns)) {
      places.items[places.count++] = *place;
      generation.refresh.set_proven_until(place->slot, generation.writer.peek(place->slot).deadline);
    }
  });
  level_epochs();
  if (epoch() != epoch_before) doubt_all();  // the index of an issuer or key was given to another
  return places;
}

bool Tables::extend(const Places& places, std::uint64_t deadline_ns, bool proven, bool keep_uses) {
  for (const shm::Place& place : places.all()) {
    Generation* generation = this->generation(place.generation);
    if (generation == nullptr || !generation->writer.extend(place, deadline_ns)) return false;
    generation->refresh.put(place.slot, RefreshQueue::kNew);
    if (!proven) continue;
    generation->refresh.set_proven_until(place.slot, generation->writer.peek(place.slot).deadline);
    if (!keep_uses) generation->writer.forget_uses(place.slot);
  }
  return places.count > 0;
}

bool Tables::used_since_proof(const Places& places) const {
  return std::ranges::any_of(places.all(), [this](const shm::Place& place) {
    const Generation* generation = this->generation(place.generation);
    return generation != nullptr && generation->writer.used_since_proof(place.slot);
  });
}

void Tables::set_role_grants(std::vector<std::string> all) {
  role_grants_ = std::move(all);
  (void)without_bits(role_grants_);
}

std::vector<std::string> Tables::without_bits(std::span<const std::string> role_grants) {
  std::vector<std::string> without;
  for (const std::string& grant : role_grants) {
    bool has = true;
    each([&](Generation& generation) { has = generation.writer.intern_role_grant(grant) && has; });
    if (!has) without.push_back(grant);
  }
  return without;
}

std::uint64_t Tables::kill(const shm::Key& key, shm::SlotState dead) {
  std::uint64_t kills = 0;
  each([&](Generation& generation) { kills += generation.writer.kill(key, dead) ? 1 : 0; });
  return kills;
}

std::uint64_t Tables::kill_token(const shm::Key& token, shm::SlotState dead) {
  std::uint64_t kills = 0;
  each([&](Generation& generation) {
    for (const std::uint64_t slot : generation.index.slots_of(token)) {
      generation.writer.kill_at(slot, dead);
      ++kills;
    }
  });
  return kills;
}

std::uint64_t Tables::kill_negatives() {
  std::uint64_t kills = 0;
  each([&](Generation& generation) { kills += generation.writer.kill_negatives(); });
  return kills;
}

bool Tables::kill_oldest_negatives(std::uint64_t at_most) {
  bool left = false;
  each([&](Generation& generation) { left = generation.writer.kill_oldest_negatives(at_most) || left; });
  return left;
}

bool Tables::find(const shm::Key& key, shm::Found& out) const { return newest().writer.find(key, out); }

bool Tables::text_is_elsewhere(const shm::Place& place) const {
  const Generation& generation = current_->writer.view().generation == place.generation ? *current_ : newest();
  return (shm::unpack_facts(generation.writer.peek(place.slot).facts).flags & shm::kTextOnSocket) != 0;
}

Places Tables::places_of(const shm::Key& key) const {
  Places places;
  for (const Generation* generation : {successor_.get(), current_.get()}) {
    shm::Found found;
    if (generation == nullptr || !generation->writer.find(key, found)) continue;
    places.items[places.count++] = {generation->writer.view().generation, found.slot, found.record.sequence()};
  }
  return places;
}

void Tables::level_epochs() {
  if (!successor_) return;
  const std::uint64_t greatest = std::max(successor_->writer.epoch(), current_->writer.epoch());
  each([&](Generation& generation) { generation.writer.advance_epoch(greatest); });
}

void Tables::raise_all() {
  level_epochs();
  each([](Generation& generation) { generation.writer.raise_all(); });
  doubt_all();
}

void Tables::advance_epoch() {
  std::uint64_t next = 0;
  each([&](const Generation& generation) { next = std::max(next, generation.writer.epoch() + 1); });
  each([&](Generation& generation) { generation.writer.advance_epoch(next); });
}

void Tables::raise_issuer(const shm::PrincipalId& issuer) {
  level_epochs();
  each([&](Generation& generation) { generation.writer.raise_issuer(issuer); });
  doubt_all();
}

std::vector<std::uint64_t> Tables::generations() const {
  std::vector<std::uint64_t> numbers{current_->writer.view().generation};
  if (successor_) numbers.push_back(successor_->writer.view().generation);
  return numbers;
}

Generation* Tables::generation(std::uint64_t number) const {
  for (Generation* each : {current_.get(), successor_.get()}) {
    if (each != nullptr && each->writer.view().generation == number) return each;
  }
  return nullptr;
}

void Tables::raise_key(const shm::PrincipalId& key) {
  level_epochs();
  each([&](Generation& generation) { generation.writer.raise_key(key); });
  doubt_all();
}

void Tables::beat(std::uint64_t now_ns) {
  if (before_beat_) before_beat_();
  each([&](Generation& generation) { generation.writer.beat(now_ns); });
}

void Tables::sweep(std::uint64_t now_ns, std::uint64_t slots, const Window& window) {
  each([&](Generation& generation) {
    const shm::TableView& view = generation.writer.view();
    const auto within = [&](std::uint64_t slot) {
      const shm::HotRecord hot = generation.writer.peek(slot);
      if (shm::unpack_facts(hot.facts).verdict != shm::Verdict::kValid || !shm::is_current(view, hot, 0)) return false;
      return now_ns < generation.refresh.proven_until(slot) + window(shm::load_cold(view.cold(slot)).profile_id);
    };
    const auto spares = window ? std::function<bool(std::uint64_t)>(within) : nullptr;
    generation.writer.sweep(now_ns, std::min(slots, view.geometry.slots), spares);
  });
}

void Tables::set_profiles(const std::vector<shm::ProfileDescription>& profiles) {
  profiles_ = profiles;
  std::vector<shm::ProfileDescription> shown = profiles;
  for (shm::ProfileDescription& profile : shown) {
    if (held_) profile.state = shm::ProfileState::kUnavailable;
  }
  each([&](Generation& generation) { generation.writer.set_profiles(shown); });
}

void Tables::set_profile_state(std::string_view name, shm::ProfileState state) {
  for (shm::ProfileDescription& profile : profiles_) {
    if (profile.name == name) profile.state = state;
  }
  if (held_) return;
  each([&](Generation& generation) { generation.writer.set_profile_state(name, state); });
}

void Tables::hold(bool held) {
  if (std::exchange(held_, held) == held) return;
  for (const shm::ProfileDescription& profile : profiles_) {
    const auto shown = held ? shm::ProfileState::kUnavailable : profile.state;
    each([&](Generation& generation) { generation.writer.set_profile_state(profile.name, shown); });
  }
}

void Tables::set_durable_change(std::uint64_t change) {
  each([&](Generation& generation) { generation.writer.set_durable_change(change); });
}

void Tables::set_clock_offsets(std::int64_t wall_offset_ns, std::int64_t boot_offset_ns) {
  each([&](Generation& generation) { generation.writer.set_clock_offsets(wall_offset_ns, boot_offset_ns); });
}

void Tables::begin_replacement(std::unique_ptr<Generation> successor) {
  successor_ = std::move(successor);
  successor_->set_end_observers(&ends_);
  successor_->writer.inherit(current_->writer);
  for (const std::string& grant : role_grants_) (void)successor_->writer.intern_role_grant(grant);
  current_->writer.set_state(shm::TableState::kMoving);
  copy_hand_ = 0;
}

bool Tables::copy_slice(std::uint64_t slots, std::uint64_t now_ns, const Admit& admit) {
  const shm::TableView& view = current_->writer.view();
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  for (std::uint64_t i = 0; i < slots && copy_hand_ < view.geometry.slots; ++i, ++copy_hand_) {
    const std::uint64_t control = A::load_relaxed(view.slot(copy_hand_).control);
    if (shm::control_state(control) != shm::SlotState::kLive) continue;
    const shm::HotRecord hot = current_->writer.peek(copy_hand_);
    shm::ColdRecord cold;
    const auto text = shm::read_text(view, copy_hand_, control, buffer, cold);
    shm::Found already;
    if (!text || successor_->writer.find(hot.key, already)) continue;  // dual writes brought a newer one
    const bool text_elsewhere = (shm::unpack_facts(hot.facts).flags & shm::kTextOnSocket) != 0;
    std::vector<std::string> role_grants;
    if (text_elsewhere || !shm::is_current(view, hot, now_ns) || !admit(hot, cold, *text, role_grants)) continue;
    Reread record;
    reread(view, hot, cold, *text, record);
    const auto told = with_grants(record.text, without_bits(role_grants), shm::kTextMax);
    if (!told) continue;
    record.spec.role_grants = role_grants;
    record.spec.text = *told;
    const auto place = successor_->writer.insert(record.spec, now_ns);
    if (place) successor_->refresh.set_proven_until(place->slot, current_->refresh.proven_until(copy_hand_));
  }
  return copy_hand_ >= view.geometry.slots;
}

shm::Result<void> Tables::name_successor() {
  shm::publish_table(successor_->writer.view());
  auto named = shm::name_table(successor_->writer.file(), dir_);
  successor_named_ = named.has_value();
  return named;
}

std::uint64_t Tables::abandon_successor() {
  // Naming has two steps, and the first may have been made: whoever opened the file meanwhile must leave it.
  const std::uint64_t abandoned = successor_->writer.view().generation;
  successor_->writer.set_state(shm::TableState::kRetired);
  ::unlink((dir_ / shm::table_file_name(abandoned)).c_str());
  current_->writer.set_state(shm::TableState::kLive);
  successor_.reset();
  doubt_all();
  return abandoned;
}

std::uint64_t Tables::retire_predecessor() {
  const std::uint64_t retired = current_->writer.view().generation;
  current_->writer.set_state(shm::TableState::kRetired);
  ::unlink((dir_ / shm::table_file_name(retired)).c_str());
  current_ = std::move(successor_);
  successor_named_ = false;
  doubt_all();
  return retired;
}

}  // namespace authcached
