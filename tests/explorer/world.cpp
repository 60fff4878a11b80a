#include "tests/explorer/world.hpp"

#include <memory>

namespace authcache::explorer {

using shm::SlotState;

namespace {

using A = CheckingAtomics;

constexpr std::uint64_t kFarNs = 1'000'000;  // deadlines: time is not explored, and no record expires
constexpr std::uint32_t kIssuer = 1;
constexpr std::uint32_t kSigningKey = 1;

std::uint64_t tag(const Version& version) { return version.number * 16 + version.key; }

void expect(bool holds, const std::string& what) {
  if (!holds) throw Violation(what);
}

}  // namespace

std::vector<std::byte>& World::memory_of_table() {
  static std::vector<std::byte> bytes(
      shm::make_geometry(shm::kCapacityMin, shm::kTextBytesPerRecordMin).file_bytes + 64);
  return bytes;
}

World::World(const Mutant& mutant)
    : machine(memory_of_table().data(), memory_of_table().size(), mutant), mutant_(mutant) {
  view_.geometry = shm::make_geometry(shm::kCapacityMin, shm::kTextBytesPerRecordMin);
  const auto address = reinterpret_cast<std::uintptr_t>(memory_of_table().data());
  view_.base = memory_of_table().data() + (64 - address % 64) % 64;
  key_ = {0x1111, 0x2222, 0x3333};
  view_.heartbeat_timeout_ns = UINT64_MAX;  // nor does a heartbeat
  pair_ = shm::buckets_of(key_, view_.secret.data(), view_.geometry.buckets);
  for (unsigned i = 0; i < shm::kChoices; ++i) {
    Slot& slot = view_.slot(at(i));
    machine.name_word(&slot.control, WordKind::kControl);
    machine.name_word(&slot.deadline, WordKind::kDeadline);
    machine.name_word(&slot.key[0], WordKind::kKey0);
    machine.name_word(&slot.key[1], WordKind::kKey1);
    machine.name_word(&slot.key[2], WordKind::kKey2);
    machine.name_word(&slot.facts, WordKind::kFacts);
    machine.name_word(&slot.principals, WordKind::kPrincipals);
    machine.name_word(&slot.grants, WordKind::kGrants);
    auto& cold = view_.cold(at(i));
    machine.name_word(&cold.text, WordKind::kColdText);
    machine.name_word(&cold.expires_wall_ns, WordKind::kColdExpires);
    machine.name_word(&cold.issued_wall_ns, WordKind::kColdIssued);
    machine.name_word(&cold.profile_id, WordKind::kColdProfile);
    machine.name_word(&cold.token[0], WordKind::kColdToken0);
    machine.name_word(&cold.token[1], WordKind::kColdToken1);
    machine.name_word(&cold.token[2], WordKind::kColdToken2);
    machine.name_word(&cold.checksum, WordKind::kColdChecksum);
  }
  for (std::uint64_t unit = 0; unit < kTextUnits; ++unit) {
    for (std::uint64_t word = 0; word < 2; ++word) {
      machine.name_word(&view_.text_word(unit * (shm::kTextUnitBytes / 8) + word), WordKind::kText);
    }
  }
  auto& header = view_.header();
  machine.name_word(&header.state, WordKind::kState);
  machine.name_word(&view_.profile(0, 0).state, WordKind::kState);
  machine.name_word(&header.epoch_counter, WordKind::kEpochCounter);
  machine.name_word(&header.all_epoch, WordKind::kAllEpoch);
  machine.name_word(&view_.issuer_epoch(kIssuer), WordKind::kIssuerEpoch);
  machine.name_word(&view_.key_epoch(kSigningKey), WordKind::kKeyEpoch);
  // As create_table leaves it; whoever attached has this happen before.
  A::store_relaxed(header.epoch_counter, 1);
  A::store_relaxed(header.state, static_cast<std::uint64_t>(shm::TableState::kLive));
  A::store_relaxed(view_.profile(0, 0).state, static_cast<std::uint64_t>(shm::ProfileState::kCurrent));
  acknowledgements_.push_back({machine.writer_view(), machine.memory.stores(), 0, 0});
  versions_.emplace_back();  // version 0 is what zeros would say: never published
}

shm::Key World::key_words(unsigned key) const {
  shm::Key words = key_;
  if (key > 0) words[key - 1] ^= 0x8000;
  return words;
}

shm::HotRecord World::hot_of(const Version& version) const {
  return {.control = 0,
          .deadline = version.deadlines.front(),
          .key = key_words(version.key),
          .facts = shm::pack_facts({.epoch = version.epoch,
                                    .verdict = shm::Verdict::kValid,
                                    .reason = static_cast<shm::Reason>(version.number),
                                    .flags = static_cast<std::uint16_t>(version.key)}),
          .principals = shm::pack_principals(
              {.issuer = kIssuer, .key = kSigningKey, .audiences = static_cast<std::uint16_t>(tag(version))}),
          .grants = tag(version)};
}

shm::ColdRecord World::cold_of(const Version& version) const {
  const std::uint64_t word = tag(version);
  return {.text_unit = version.text_unit.value_or(0),
          .text_bytes = text_of(version).size(),
          .expires_wall_ns = static_cast<std::int64_t>(word + 1),
          .issued_wall_ns = static_cast<std::int64_t>(word + 2),
          .profile_id = word + 3,
          .token = {word + 4, word + 5, word + 6},
          .checksum = word + 7};
}

std::string World::text_of(const Version& version) {
  if (!version.text_unit) return {};
  const std::string word = "version" + std::string(1, static_cast<char>('a' + version.number));
  return word + word;  // two words, each with the version in it
}

std::uint64_t World::new_version(unsigned key, std::optional<std::uint64_t> text_unit, std::uint64_t epoch) {
  Version version;
  version.key = key;
  version.number = versions_.size();
  version.epoch = epoch;
  version.text_unit = text_unit;
  version.deadlines = {kFarNs + tag(version) * 1000};
  version.void_before = void_;
  version.floor_before = floor_;
  versions_.push_back(version);
  return version.number;
}

// Said once the stores that end them are made: a writer that died before has ended nothing.
void World::end_versions_of(unsigned key, std::uint64_t before) {
  if (machine.dead()) return;
  for (const Version& version : versions_) {
    if (version.key == key && version.number < before) void_ |= Versions{1} << version.number;
  }
}

void World::publish(unsigned slot, unsigned key, std::optional<std::uint64_t> text_unit) {
  publish_version(slot, new_version(key, text_unit, A::load_relaxed(view_.header().epoch_counter)));
}

void World::publish_late(unsigned slot, unsigned key) {
  publish_version(slot, new_version(key, std::nullopt, A::load_relaxed(view_.header().epoch_counter) - 1));
}

void World::publish_version(unsigned slot, std::uint64_t number) {
  const Version version = versions_[number];
  const shm::HotRecord hot = hot_of(version);
  const shm::ColdRecord cold = cold_of(version);
  if (!mutant_.has(Flow::kColdAfterLive)) return publish_record(view_, at(slot), hot, cold, text_of(version));
  const std::uint64_t sequence = begin_publish(view_.slot(at(slot)));
  end_publish(view_.slot(at(slot)), hot, sequence);
  store_text(view_, cold.text_unit, text_of(version));
  store_cold(view_.cold(at(slot)), cold);
}

void World::vacate(unsigned slot) {
  if (!shm::is_live_slot(view_.slot(at(slot)))) return;
  end_versions_of(static_cast<unsigned>(peek_slot(view_.slot(at(slot))).grants % 16), versions_.size());
  kill(slot, SlotState::kEvicted);
}

void World::kill(unsigned slot, SlotState why) { kill_slot(view_.slot(at(slot)), why); }

// As TableWriter::insert: every older copy is killed first.
void World::insert(unsigned slot, unsigned key, std::optional<std::uint64_t> text_unit) {
  if (mutant_.has(Flow::kInsertPublishesFirst)) {
    std::vector<std::uint64_t> old;
    for_each_copy(view_, pair_, key_words(key), [&](std::uint64_t copy) { old.push_back(copy); });
    end_versions_of(key, versions_.size());
    publish(slot, key, text_unit);
    for (const std::uint64_t copy : old) kill_slot(view_.slot(copy), SlotState::kEvicted);
    return;
  }
  for_each_copy(view_, pair_, key_words(key),
                [&](std::uint64_t copy) { kill_slot(view_.slot(copy), SlotState::kEvicted); });
  end_versions_of(key, versions_.size());
  publish(slot, key, text_unit);
}

// As kill_at and the insert that it makes room for: the text's room is free only after the kill.
void World::evict_for(unsigned victim, unsigned slot, unsigned key, std::uint64_t text_unit) {
  const bool reused_before = mutant_.has(Flow::kTextReusedBeforeKill);
  if (!reused_before) kill(victim, SlotState::kEvicted);
  publish(slot, key, text_unit);
  if (reused_before) kill(victim, SlotState::kEvicted);
}

void World::move(unsigned from, unsigned to) {
  if (!mutant_.has(Flow::kMoveKillsFirst)) return move_record(view_, at(from), at(to));
  const shm::HotRecord hot = peek_slot(view_.slot(at(from)));
  const shm::ColdRecord cold = load_cold(view_.cold(at(from)));
  kill_slot(view_.slot(at(from)), SlotState::kMoved);
  publish_record(view_, at(to), hot, cold, {});
}

void World::acknowledge() {
  if (machine.dead()) return;  // said by a living writer only
  acknowledgements_.push_back({machine.writer_view(), machine.memory.stores(), void_, floor_});
}

void World::revoke(unsigned key) {
  if (mutant_.has(Flow::kAcknowledgesFirst)) {
    end_versions_of(key, versions_.size());
    acknowledge();
  }
  bool first = true;
  for_each_copy(view_, pair_, key_words(key), [&](std::uint64_t copy) {
    if (first || !mutant_.has(Flow::kKillsFirstCopyOnly)) kill_slot(view_.slot(copy), SlotState::kRevoked);
    first = false;
  });
  end_versions_of(key, versions_.size());
  acknowledge();
}

void World::extend(unsigned slot, std::uint64_t sequence, std::int64_t by) {
  Slot& target = view_.slot(at(slot));
  const shm::HotRecord standing = peek_slot(target);
  const std::uint64_t deadline = standing.deadline + static_cast<std::uint64_t>(by);
  const bool same = shm::is_live_slot(target) && standing.sequence() == sequence;
  // What the flight proved belongs to the record that it set out from, and to no other.
  if (same && by >= 0) versions_[standing.grants / 16].deadlines.push_back(deadline);
  machine.set_stage(Machine::Stage::kExtending);
  if (mutant_.has(Flow::kExtendsDownwards)) {
    if (same) A::store_release(target.deadline, deadline);
  } else {
    (void)extend_deadline(target, mutant_.has(Flow::kExtendsWhateverStands) ? standing.sequence() : sequence,
                          deadline);
  }
  machine.set_stage(Machine::Stage::kPlain);
}

void World::raise(Epoch which) {
  auto& header = view_.header();
  auto& word = which == Epoch::kAll      ? header.all_epoch
               : which == Epoch::kIssuer ? view_.issuer_epoch(kIssuer)
                                         : view_.key_epoch(kSigningKey);
  const std::uint64_t raised = A::load_relaxed(header.epoch_counter) + 1;
  if (mutant_.has(Flow::kAcknowledgesFirst)) {
    floor_ = raised;
    acknowledge();
  }
  raise_epoch(header, word);
  if (!machine.dead()) floor_ = raised;
  acknowledge();
}

void World::recover() {
  machine.set_stage(Machine::Stage::kBurying);
  for (unsigned i = 0; i < shm::kChoices && !mutant_.has(Flow::kBusyStaysBusy); ++i)
    bury_busy_slot(view_.slot(at(i)));
  machine.set_stage(Machine::Stage::kPlain);
  for (unsigned i = 0; i < shm::kChoices && !mutant_.has(Flow::kDoublesStay); ++i) {
    if (!shm::is_live_slot(view_.slot(at(i)))) continue;
    if (has_earlier_copy(view_, pair_, at(i), peek_slot(view_.slot(at(i))).key)) kill(i, SlotState::kEvicted);
  }
}

std::uint64_t World::sequence_in(unsigned slot) { return peek_slot(view_.slot(at(slot))).sequence(); }

void World::hear(Reader& reader) {
  const unsigned which = machine.pick(static_cast<unsigned>(acknowledgements_.size() - reader.heard));
  reader.heard += which;
  const Acknowledgement& heard = acknowledgements_[reader.heard];
  reader.view.join(heard.view);
  reader.void_versions |= heard.void_versions;
  reader.floor = std::max(reader.floor, heard.floor);
  machine.pass(heard.stamp);
}

void World::tell(const Reader& from, Reader& to) {
  if (machine.pick(2) == 0) return;
  to.view.join(from.view);
  to.void_versions |= from.void_versions;
  to.floor = std::max(to.floor, from.floor);
  to.heard = std::max(to.heard, from.heard);
}

bool World::serving_and_current(const shm::HotRecord& record, bool serving_before,
                                const std::optional<std::uint64_t>& epochs_before) {
  const bool current = epochs_before ? shm::unpack_facts(record.facts).epoch >= *epochs_before
                                     : shm::is_current(view_, record, 1);
  if (!current) return false;
  if (mutant_.has(Flow::kStateNotLoaded)) return true;
  return mutant_.has(Flow::kStateLoadedFirst) ? serving_before : shm::still_serving(view_);
}

std::optional<Pin> World::look(Reader& reader, unsigned key, bool text) {
  machine.read_as(reader.view);
  const std::uint64_t before = machine.loads();
  const bool serving = mutant_.has(Flow::kStateLoadedFirst) && shm::still_serving(view_);
  std::optional<std::uint64_t> epochs;
  if (mutant_.has(Flow::kEpochsLoadedFirst)) {
    epochs =
        std::max({A::load_acquire(view_.header().all_epoch), A::load_acquire(view_.issuer_epoch(kIssuer)),
                  A::load_acquire(view_.key_epoch(kSigningKey))});
  }
  shm::Found found;
  std::optional<Pin> pin;
  shm::ColdRecord cold;
  std::uint64_t buffer[shm::kTextMax / 8];
  std::optional<std::string_view> words;
  bool accepted_text = !text;
  const unsigned likely = any_slot_is_likely ? machine.pick(shm::kChoices) : 0;
  bool ok = shm::find(view_, key_words(key), pair_, at(likely), found);
  if (ok && text) {
    if (mutant_.has(Flow::kTextNotChecked)) {
      cold = load_cold(view_.cold(found.slot));
      if (text_in_bounds(view_.geometry, cold)) {
        copy_text(view_, cold, buffer);
        words = std::string_view(reinterpret_cast<const char*>(buffer), cold.text_bytes);
      }
    } else {
      words = read_text(view_, found.slot, found.record.control, buffer, cold);
    }
    accepted_text = words.has_value();
  }
  ok = ok && accepted_text && serving_and_current(found.record, serving, epochs);
  loads_max = std::max(loads_max, machine.loads() - before);
  expect(machine.loads() - before <= kLookupLoadsMax, "a lookup took more loads than its bound");
  if (ok) pin = accept(reader, key, found, words ? &cold : nullptr, words.value_or(""));
  return pin;
}

std::optional<Pin> World::look_at_slot(Reader& reader, unsigned slot, unsigned key) {
  machine.read_as(reader.view);
  shm::Found found;
  found.slot = at(slot);
  if (read_slot(view_.slot(found.slot), key_words(key), found.record) != shm::SlotRead::kRead)
    return std::nullopt;
  return accept(reader, key, found, nullptr, {});
}

std::optional<Pin> World::accept(Reader& reader, unsigned key, const shm::Found& found,
                                 const shm::ColdRecord* cold, std::string_view text) {
  const shm::HotRecord& record = found.record;
  const std::uint64_t number = record.grants / 16;
  expect(number > 0 && number < versions_.size(), "a record that was never published");
  const Version& version = versions_[number];
  const shm::HotRecord whole = hot_of(version);
  expect(version.key == key && record.key == whole.key, "a record of another key");
  expect(
      record.facts == whole.facts && record.principals == whole.principals && record.grants == whole.grants,
      "a mixture of two records");
  expect(std::ranges::find(version.deadlines, record.deadline) != version.deadlines.end(),
         "a deadline of another record");
  if (cold != nullptr) {
    const shm::ColdRecord own = cold_of(version);
    expect(cold->text_unit == own.text_unit && cold->text_bytes == own.text_bytes &&
               cold->expires_wall_ns == own.expires_wall_ns && cold->issued_wall_ns == own.issued_wall_ns &&
               cold->profile_id == own.profile_id && cold->token == own.token &&
               cold->checksum == own.checksum,
           "a cold part of another record");
    expect(text == text_of(version), "a text of another record");
  }
  expect((reader.void_versions >> number & 1) == 0, "a record that had ended before");
  expect(version.epoch >= reader.floor, "a record of an epoch that was void before");
  reader.void_versions |= version.void_before;
  reader.floor = std::max(reader.floor, version.floor_before);
  accepted.push_back(number);
  return Pin{shm::make_pin(view_, found, 0, 0), number};
}

bool World::holds(const Pin& pin, std::uint64_t now_ns) {
  const auto clock = [&] { return now_ns; };
  if (mutant_.has(Flow::kPinControlFirst)) {
    return A::load_acquire(pin.shipped.slot->control) == pin.shipped.control &&
           now_ns < A::load_acquire(pin.shipped.slot->deadline);
  }
  if (mutant_.has(Flow::kPinEpochsNotLoaded)) {
    return now_ns < A::load_acquire(pin.shipped.slot->deadline) &&
           A::load_acquire(pin.shipped.slot->control) == pin.shipped.control && shm::still_serving(view_);
  }
  return shm::pin_holds(pin.shipped, clock);
}

void World::check(Reader& reader, const Pin& pin) {
  const Version& version = versions_[pin.version];
  const bool past = machine.pick(2) != 0;
  machine.read_as(reader.view);
  machine.set_stage(Machine::Stage::kPinning);
  const bool held = holds(pin, past ? std::ranges::max(version.deadlines) : 1);
  machine.set_stage(Machine::Stage::kPlain);
  if (!held) return;
  expect(!past, "a pin held by a deadline of another record");
  expect((reader.void_versions >> pin.version & 1) == 0, "a pin on a record that had ended before");
  expect(version.epoch >= reader.floor, "a pin on a record of an epoch that was void before");
}

void World::check_settled() {
  if (!kept_key_) return;
  Choices none;
  machine.begin_run(none, {});
  Reader settled;
  settled.view = machine.memory.everything();
  expect(look(settled, *kept_key_, false).has_value(), "a record that was to stay is gone");
  machine.write_on();
}

}  // namespace authcache::explorer
