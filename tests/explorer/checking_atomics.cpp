#include "tests/explorer/checking_atomics.hpp"

namespace authcache::explorer {

Machine::Machine(const std::byte* base, std::size_t bytes, const Mutant& mutant)
    : base_(base), location_of_(bytes / 8, kUnnamed), mutant_(mutant) {
  for (const Site site : mutant.relaxed) relaxed_ |= std::uint64_t{1} << static_cast<unsigned>(site);
  for (const Site site : mutant.omitted) omitted_ |= std::uint64_t{1} << static_cast<unsigned>(site);
  on = this;
}

std::size_t Machine::index_of(const void* word) const {
  return static_cast<std::size_t>(static_cast<const std::byte*>(word) - base_) / 8;
}

void Machine::name_word(const void* word, WordKind kind) {
  if (kinds_.size() == kLocationsMax) throw std::logic_error("more words than a view has room for");
  location_of_.at(index_of(word)) = static_cast<std::uint8_t>(kinds_.size());
  kinds_.push_back(kind);
}

void Machine::die_before(std::uint64_t store, bool loosely) {
  death_ = store;
  loosely_ = loosely;
}

void Machine::succeed() {
  death_ = 0;
  dying_ = false;
  writer_ = memory.everything();
}

void Machine::begin_run(Choices& choices, const ReaderRules& rules) {
  choices_ = &choices;
  rules_ = rules;
  zeroed_ = false;
  clock_ = 0;
}

Site Machine::load_site(WordKind kind, Order order) const {
  const bool pinning = stage_ == Stage::kPinning;
  switch (kind) {
    case WordKind::kControl:
      if (pinning) return Site::kPinControlLoad;
      return order == Order::kAcquire ? Site::kFirstControlLoad : Site::kSecondControlLoad;
    case WordKind::kDeadline: return pinning ? Site::kPinDeadlineLoad : Site::kDeadlineLoad;
    case WordKind::kKey0: return order == Order::kAcquire ? Site::kKey0Load : Site::kGuessLoad;
    case WordKind::kKey1: return Site::kKey1Load;
    case WordKind::kKey2: return Site::kKey2Load;
    case WordKind::kFacts: return Site::kFactsLoad;
    case WordKind::kPrincipals: return Site::kPrincipalsLoad;
    case WordKind::kGrants: return Site::kGrantsLoad;
    case WordKind::kColdText: return Site::kColdTextLoad;
    case WordKind::kText: return Site::kTextLoad;
    case WordKind::kAllEpoch: return pinning ? Site::kPinEpochLoad : Site::kAllEpochLoad;
    case WordKind::kIssuerEpoch: return pinning ? Site::kPinEpochLoad : Site::kIssuerEpochLoad;
    case WordKind::kKeyEpoch: return pinning ? Site::kPinEpochLoad : Site::kKeyEpochLoad;
    case WordKind::kState: return Site::kStateLoad;
    case WordKind::kEpochCounter: return Site::kNone;
    default: return Site::kColdRestLoad;
  }
}

Site Machine::store_site(WordKind kind, std::uint64_t value) const {
  switch (kind) {
    case WordKind::kControl:
      if (stage_ == Stage::kBurying) return Site::kBuryStore;
      if (shm::control_state(value) == shm::SlotState::kBusy) return Site::kBusyStore;
      if (shm::control_state(value) == shm::SlotState::kLive) return Site::kLiveStore;
      return shm::control_state(value) == shm::SlotState::kMoved ? Site::kMoveKillStore : Site::kKillStore;
    case WordKind::kDeadline:
      return stage_ == Stage::kExtending ? Site::kExtensionStore : Site::kDeadlineStore;
    case WordKind::kKey0: return Site::kKey0Store;
    case WordKind::kKey1: return Site::kKey1Store;
    case WordKind::kKey2: return Site::kKey2Store;
    case WordKind::kFacts: return Site::kFactsStore;
    case WordKind::kPrincipals: return Site::kPrincipalsStore;
    case WordKind::kGrants: return Site::kGrantsStore;
    case WordKind::kColdText: return Site::kColdTextStore;
    case WordKind::kText: return Site::kTextStore;
    case WordKind::kEpochCounter: return Site::kEpochCounterStore;
    case WordKind::kAllEpoch:
    case WordKind::kIssuerEpoch:
    case WordKind::kKeyEpoch: return Site::kEpochStore;
    case WordKind::kState: return Site::kNone;
    default: return Site::kColdRestStore;
  }
}

std::uint64_t Machine::rewritten(Site site, std::uint64_t value) const {
  const shm::SlotState state = shm::control_state(value);
  if (mutant_.has(Flow::kSequenceNotRaised) && (site == Site::kBusyStore || site == Site::kLiveStore)) {
    return shm::make_control(1, state);
  }
  if (mutant_.has(Flow::kKillResetsSequence) && site == Site::kKillStore) return shm::make_control(0, state);
  if (mutant_.has(Flow::kBuryResetsSequence) && site == Site::kBuryStore) return shm::make_control(0, state);
  if (mutant_.has(Flow::kBuryRevives) && site == Site::kBuryStore) {
    return shm::make_control(shm::control_sequence(value), shm::SlotState::kLive);
  }
  return value;
}

void Machine::store(const void* word, std::uint64_t value, Order order) {
  const std::uint8_t location = location_of_.at(index_of(word));
  if (reader_ != nullptr || location == kUnnamed)
    throw std::logic_error("a store that the explorer has no name for");
  const Site site = store_site(kinds_[location], value);
  if (is_omitted(site)) return;
  if (is_relaxed(site)) order = Order::kRelaxed;
  if (death_ != 0 && ++writer_stores_ == death_) {
    dying_ = true;
    if (!loosely_) throw WriterDied{};
  }
  if (dying_ && (order == Order::kRelease || unmade_[location])) {
    unmade_[location] = true;
    return;
  }
  memory.store(location, rewritten(site, value), order, writer_);
  if (dying_) throw WriterDied{};
}

std::uint64_t Machine::load(const void* word, Order order) {
  const std::uint8_t location = location_of_.at(index_of(word));
  if (reader_ == nullptr) {
    if (location == kUnnamed) return 0;
    // What lets the writers run before the readers: they have nothing to choose.
    if (memory.readable(location, writer_) != 1)
      throw std::logic_error("a writer that could read something older");
    return memory.load(location, 0, order, writer_);
  }
  ++loads_;
  if (rules_.interleaved && location != kUnnamed) {
    // Time passes, or it passes until a later store to this word is made: any other moment shows this load
    // the same.
    const auto later = memory.stamps_after(location, clock_);
    if (const unsigned moment = pick(static_cast<unsigned>(later.size() + 1)); moment > 0)
      clock_ = later[moment - 1];
  }
  const Site site = location == kUnnamed ? Site::kNone : load_site(kinds_[location], order);
  if (site == Site::kSecondControlLoad && is_omitted(site)) return first_control_;
  if (is_relaxed(site)) order = Order::kRelaxed;
  if (zeroed_) return 0;
  if (rules_.zeros && pick(2) == 1) {
    // An acquire load keeps every later one behind the replacement; a relaxed one may have been made late.
    zeroed_ = order == Order::kAcquire;
    return 0;
  }
  if (location == kUnnamed) return 0;
  const bool weak = (rules_.weak & set_of(kinds_[location])) != 0;
  const std::uint64_t until = rules_.interleaved ? clock_ : ~std::uint64_t{0};
  const unsigned nth = weak ? pick(memory.readable(location, *reader_, until)) : 0;
  const std::uint64_t value = memory.load(location, nth, order, *reader_);
  if (site == Site::kFirstControlLoad) first_control_ = value;
  return value;
}

}  // namespace authcache::explorer
