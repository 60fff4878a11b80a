// What writers and readers do in each scene. Slots are named by the order in which find looks at them.
#include "tests/explorer/explore.hpp"

namespace authcache::explorer {
namespace {

using enum WordKind;
using shm::SlotState;

constexpr WordSet kSlotWords = words(kControl, kDeadline, kKey0, kKey1, kKey2, kFacts, kPrincipals, kGrants);

Reader attached(World& world) {
  Reader reader;
  world.hear(reader);
  return reader;
}

void rewrite_one_slot(World& world) {
  world.publish(0, 0);
  world.revoke(0);
  world.publish(0, 0);
  world.revoke(0);
  world.publish(0, 0);
}

void read_one_slot(World& world) {
  Reader reader = attached(world);
  world.look_at_slot(reader, 0, 0);
}

// A pin taken, news, the pin checked, another look, news, both pins checked.
void look_twice_at_one_slot(World& world) {
  Reader reader = attached(world);
  const auto first = world.look_at_slot(reader, 0, 0);
  world.hear(reader);
  if (first) world.check(reader, *first);
  const auto second = world.look_at_slot(reader, 0, 0);
  world.hear(reader);
  if (first) world.check(reader, *first);
  if (second) world.check(reader, *second);
}

// The slot passes to a key that differs in one word, and back.
template <unsigned kOther>
void change_key(World& world) {
  world.publish(0, 0);
  world.kill(0, SlotState::kEvicted);
  world.publish(0, kOther);
  world.kill(0, SlotState::kEvicted);
  world.publish(0, 0);
}

template <unsigned kOther>
void look_for_both(World& world) {
  Reader reader = attached(world);
  world.look_at_slot(reader, 0, 0);
  world.look_at_slot(reader, 0, kOther);
}

// Newer records come to stand before and behind older ones in the order of the look.
void refresh(World& world) {
  world.insert(2, 0);
  world.insert(0, 0);
  world.insert(2, 0);
}

void find_twice(World& world) {
  Reader reader = attached(world);
  world.look(reader, 0);
  world.look(reader, 0);
}

// Whatever the way cell says.
void find_from_anywhere(World& world) {
  world.any_slot_is_likely = true;
  Reader reader = attached(world);
  world.look(reader, 0);
}

void move_and_revoke(World& world) {
  world.publish(0, 0, 0);
  world.move(0, 2);
  world.publish(0, 1);
  world.revoke(0);
  world.publish(2, 0, 0);
}

void find_with_text(World& world) {
  Reader reader = attached(world);
  const auto pin = world.look(reader, 0, true);
  world.hear(reader);
  if (pin) world.check(reader, *pin);
}

void find_pin_find(World& world) {
  Reader reader = attached(world);
  const auto pin = world.look(reader, 0);
  world.hear(reader);
  if (pin) world.check(reader, *pin);
  world.look(reader, 0);
}

void find_and_pin(World& world) {
  Reader reader = attached(world);
  const auto pin = world.look(reader, 0);
  world.hear(reader);
  if (pin) world.check(reader, *pin);
}

// The moved record is evicted, and its text's room given away: no copy may stand that still points there.
void move_and_pass_the_text_on(World& world) {
  world.publish(0, 0, 0);
  world.move(0, 2);
  world.evict_for(2, 3, 1, 0);
}

// A chain of two moves, as the search for room makes it, and the way back.
void move_a_chain(World& world) {
  world.publish(0, 0);
  world.publish(2, 1);
  world.move(2, 3);
  world.move(0, 2);
  world.move(2, 0);
}

// One room for the texts of three records in turn.
void pass_the_text_on(World& world) {
  world.publish(0, 0, 0);
  world.evict_for(0, 2, 1, 0);
  world.evict_for(2, 0, 0, 0);
}

void read_both_texts(World& world) {
  Reader reader = attached(world);
  world.look(reader, 0, true);
  world.look(reader, 1, true);
}

void extend_and_reuse(World& world) {
  world.publish(0, 0);
  const std::uint64_t first = world.sequence_in(0);
  world.extend(0, first, 7);
  world.extend(0, first, -3);
  world.revoke(0);
  world.extend(0, first, 9);  // the flight set out before the revocation
  world.publish(0, 0);
  world.extend(0, first, 11);
  world.extend(0, world.sequence_in(0), 13);
}

template <World::Epoch kWhich>
void raise_between(World& world) {
  world.publish(0, 0);
  world.raise(kWhich);
  world.publish_late(2, 1);
  world.vacate(0);
  world.publish(0, 0);
  world.raise(kWhich);
  world.publish(3, 1);
}

void find_both(World& world) {
  Reader reader = attached(world);
  world.look(reader, 1);
  world.look(reader, 0);
}

// An epoch that has been raised, so that zeros would make the record count again.
template <World::Epoch kWhich>
void raise_once(World& world) {
  world.publish(0, 0, 0);
  world.raise(kWhich);
}

void publish_and_revoke(World& world) {
  world.publish(0, 0, 0);
  world.revoke(0);
  world.publish(0, 0, 1);
}

// Scenes of a death: the writer is cut at each of these stores, and its successor goes on.
void cut_in_a_move(World& world) {
  world.publish(0, 0, 0);
  world.must_be_found(0);
  world.move(0, 2);
  world.must_be_found(std::nullopt);
  world.publish(0, 1);
}

void revoke_and_reuse(World& world) {
  world.revoke(0);
  world.vacate(0);
  world.publish(0, 0, 1);
}

void cut_in_a_refresh(World& world) {
  world.insert(2, 0);
  world.insert(0, 0);
  world.revoke(0);
}

void refresh_again(World& world) { world.insert(2, 0); }

void cut_in_an_extension(World& world) {
  world.publish(0, 0);
  world.extend(0, world.sequence_in(0), 5);
  world.raise(World::Epoch::kAll);
  world.revoke(0);
}

// The slot that the predecessor died in is the one that is used next.
void fill_one_slot(World& world) {
  world.publish(0, 0);
  world.kill(0, SlotState::kEvicted);
  world.publish(0, 0);
}

void fill_it_again(World& world) {
  world.vacate(0);
  world.publish(0, 0);
  world.revoke(0);
  world.publish(0, 0);
}

// Two threads; what the first knows may reach the second before its last look.
void one_tells_the_other(World& world) {
  Reader one = attached(world);
  Reader two = attached(world);
  world.look(one, 0);
  world.tell(one, two);
  world.look(two, 0);
}

void both_look_and_tell(World& world) {
  Reader one = attached(world);
  Reader two = attached(world);
  world.look(one, 0);
  world.look(two, 0);
  world.tell(one, two);
  world.look(two, 0);
}

void find_thrice_with_pins(World& world) {
  Reader reader = attached(world);
  const auto first = world.look(reader, 0, true);
  world.hear(reader);
  const auto second = world.look(reader, 0);
  world.hear(reader);
  if (first) world.check(reader, *first);
  if (second) world.check(reader, *second);
  world.look(reader, 0);
}

}  // namespace

std::vector<Scene> scenes(bool deep) {
  using Epoch = World::Epoch;
  // The cheap ones first: a mutant is caught sooner.
  std::vector<Scene> all = {
      {"one slot rewritten", kSlotWords, rewrite_one_slot, read_one_slot},
      {"extension", words(kControl, kDeadline, kFacts, kGrants), extend_and_reuse, look_twice_at_one_slot},
      {"text passed on", words(kControl, kKey0, kColdText, kText), pass_the_text_on, read_both_texts},
      {"cold part", words(kControl, kKey0, kColdExpires, kColdProfile, kColdChecksum), pass_the_text_on,
       read_both_texts},
      {"moved text passed on", words(kControl, kKey0, kColdText, kText), move_and_pass_the_text_on,
       find_with_text},
      {"zeros, epoch of all", words(kControl, kKey0, kAllEpoch), raise_once<Epoch::kAll>, read_both_texts,
       nullptr, true},
      {"zeros, epoch of an issuer", words(kControl, kKey0, kIssuerEpoch), raise_once<Epoch::kIssuer>,
       read_both_texts, nullptr, true},
      {"zeros, epoch of a key", words(kControl, kKey0, kKeyEpoch), raise_once<Epoch::kKey>, read_both_texts,
       nullptr, true},
      {"epoch of all", words(kControl, kKey0, kFacts, kAllEpoch), raise_between<Epoch::kAll>, find_both},
      {"epoch of an issuer", words(kControl, kKey0, kFacts, kIssuerEpoch), raise_between<Epoch::kIssuer>,
       find_both},
      {"epoch of a key", words(kControl, kKey0, kFacts, kKeyEpoch), raise_between<Epoch::kKey>, find_both},
      {"pin, epoch of all", words(kControl, kKey0, kAllEpoch), raise_between<Epoch::kAll>, find_and_pin},
      {"pin, epoch of an issuer", words(kControl, kKey0, kIssuerEpoch), raise_between<Epoch::kIssuer>,
       find_and_pin},
      {"pin, epoch of a key", words(kControl, kKey0, kKeyEpoch), raise_between<Epoch::kKey>, find_and_pin},
      {"zeros, pin, epoch of all", words(kControl, kKey0, kAllEpoch), raise_once<Epoch::kAll>, find_and_pin,
       nullptr, true},
      {"zeros, pin, epoch of an issuer", words(kControl, kKey0, kIssuerEpoch), raise_once<Epoch::kIssuer>,
       find_and_pin, nullptr, true},
      {"zeros, pin, epoch of a key", words(kControl, kKey0, kKeyEpoch), raise_once<Epoch::kKey>, find_and_pin,
       nullptr, true},
      {"move with text", words(kControl, kKey0, kColdText, kText), move_and_revoke, find_with_text},
      {"refresh", words(kControl, kKey0, kDeadline, kGrants), refresh, find_twice},
      {"refresh, other words", words(kControl, kKey0, kFacts, kPrincipals), refresh, find_twice},
      {"zeros, revocation", words(kControl, kKey0, kGrants), publish_and_revoke, find_with_text, nullptr,
       true},
      {"another key, word 0", kSlotWords, change_key<1>, look_for_both<1>},
      {"another key, word 1", kSlotWords, change_key<2>, look_for_both<2>},
      {"another key, word 2", kSlotWords, change_key<3>, look_for_both<3>},
      {"one slot, pins", words(kControl, kKey0, kFacts, kGrants), rewrite_one_slot, look_twice_at_one_slot},
      {"refresh, any slot is likely", words(kControl, kKey0), refresh, find_from_anywhere},
      {"chain of moves, any slot is likely", words(kControl, kKey0), move_a_chain, find_from_anywhere},
      {"move and revoke", words(kControl, kKey0, kGrants), move_and_revoke, find_pin_find},
      {"chain of moves", words(kControl, kKey0, kDeadline), move_a_chain, find_pin_find},
      {"death in one slot", words(kControl, kFacts, kGrants), fill_one_slot, look_twice_at_one_slot,
       fill_it_again},
      {"death in a move", words(kControl, kKey0, kGrants), cut_in_a_move, find_and_pin, revoke_and_reuse},
      {"death in a move, text", words(kControl, kKey0, kText), cut_in_a_move, find_with_text,
       revoke_and_reuse},
      {"death in a refresh", words(kControl, kKey0, kGrants), cut_in_a_refresh, find_twice, refresh_again},
      {"death in an extension", words(kControl, kKey0, kDeadline), cut_in_an_extension, find_twice,
       fill_it_again},
      {"two readers", words(kControl, kKey0), refresh, one_tells_the_other},
  };
  if (!deep) return all;
  constexpr WordSet kThree = words(kControl, kKey0, kDeadline, kFacts, kGrants);
  const std::vector<Scene> more = {
      {"one slot, pins, all words", kSlotWords, rewrite_one_slot, look_twice_at_one_slot},
      {"refresh, three words", kThree, refresh, find_twice},
      {"move, three looks", words(kControl, kKey0), move_and_revoke, find_thrice_with_pins},
      {"move with text, three words", words(kControl, kKey0, kColdText, kColdChecksum, kText),
       move_and_revoke, find_with_text},
      {"chain of moves, three words", kThree, move_a_chain, find_pin_find},
      {"death in one slot, three words", words(kControl, kKey0, kDeadline, kGrants), fill_one_slot,
       look_twice_at_one_slot, fill_it_again},
      {"death in a move, two looks", words(kControl, kKey0, kGrants), cut_in_a_move, find_pin_find,
       revoke_and_reuse},
      {"death in a refresh, two words", words(kControl, kKey0, kFacts, kGrants), cut_in_a_refresh, find_twice,
       refresh_again},
      {"refresh, any slot is likely, two words", words(kControl, kKey0, kGrants), refresh,
       find_from_anywhere},
      {"move and revoke, any slot is likely", words(kControl, kKey0, kGrants), move_and_revoke,
       find_from_anywhere},
      {"two readers, two words", words(kControl, kKey0, kGrants), refresh, one_tells_the_other},
      {"two readers, both look first", words(kControl, kKey0, kGrants), refresh, both_look_and_tell},
  };
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace authcache::explorer
