// Every order, store and step of the protocol, made wrong one at a time: what is caught was needed, the rest
// is redundant, and why. A change of the protocol that moves a line from one list to the other must show
// here.
#include "tests/explorer/explore.hpp"

namespace authcache::explorer {
namespace {

using enum Site;
using enum Flow;

Mutant relaxed(const char* name, Site site) { return {name, {site}, {}, {}}; }
Mutant omitted(const char* name, Site site) { return {name, {}, {site}, {}}; }
Mutant flow(const char* name, Flow flow) { return {name, {}, {}, {flow}}; }

}  // namespace

std::vector<JudgedMutant> needed() {
  return {
      {relaxed("first control load relaxed", kFirstControlLoad), "one slot rewritten"},
      {relaxed("load of key word 0 relaxed", kKey0Load), "another key, word 0"},
      {relaxed("load of key word 1 relaxed", kKey1Load), "another key, word 1"},
      {relaxed("load of key word 2 relaxed", kKey2Load), "another key, word 2"},
      {relaxed("load of the deadline relaxed", kDeadlineLoad), "one slot rewritten"},
      {relaxed("load of the facts relaxed", kFactsLoad), "one slot rewritten"},
      {relaxed("load of the principals relaxed", kPrincipalsLoad), "one slot rewritten"},
      {relaxed("load of the grants relaxed", kGrantsLoad), "one slot rewritten"},
      {relaxed("load of the text's place relaxed", kColdTextLoad), "zeros, epoch of all"},
      {relaxed("loads of the other cold words relaxed", kColdRestLoad), "cold part"},
      {relaxed("loads of the text relaxed", kTextLoad), "text passed on"},
      {relaxed("load of the epoch of all relaxed", kAllEpochLoad), "zeros, epoch of all"},
      {relaxed("load of an issuer's epoch relaxed", kIssuerEpochLoad), "zeros, epoch of an issuer"},
      {relaxed("load of a key's epoch relaxed", kKeyEpochLoad), "zeros, epoch of a key"},
      {relaxed("live store relaxed", kLiveStore), "one slot rewritten"},
      {relaxed("store of key word 0 relaxed", kKey0Store), "another key, word 0"},
      {relaxed("store of key word 1 relaxed", kKey1Store), "another key, word 1"},
      {relaxed("store of key word 2 relaxed", kKey2Store), "another key, word 2"},
      {relaxed("store of the deadline relaxed", kDeadlineStore), "one slot rewritten"},
      {relaxed("store of the facts relaxed", kFactsStore), "one slot rewritten"},
      {relaxed("store of the principals relaxed", kPrincipalsStore), "one slot rewritten"},
      {relaxed("store of the grants relaxed", kGrantsStore), "one slot rewritten"},
      {relaxed("store of the text's place relaxed", kColdTextStore), "move with text"},
      {relaxed("stores of the other cold words relaxed", kColdRestStore), "cold part"},
      {relaxed("stores of the text relaxed", kTextStore), "text passed on"},
      {relaxed("extension relaxed", kExtensionStore), "extension"},
      {relaxed("kill store of a move relaxed", kMoveKillStore), "death in a move"},
      {omitted("second control load omitted", kSecondControlLoad), "one slot rewritten"},
      {omitted("kill omitted", kKillStore), "one slot rewritten"},
      {omitted("kill of a move omitted", kMoveKillStore), "moved text passed on"},
      {omitted("epoch not stored", kEpochStore), "zeros, epoch of all"},
      {{"busy store and kill omitted", {}, {kBusyStore, kKillStore}, {}}, "one slot rewritten"},
      {flow("insert publishes before it kills", kInsertPublishesFirst), "refresh"},
      {flow("move kills before it publishes", kMoveKillsFirst), "death in a move"},
      {flow("cold part stored after the live store", kColdAfterLive), "text passed on"},
      {flow("text's room reused before the kill", kTextReusedBeforeKill), "text passed on"},
      {flow("control not loaded again after the text", kTextNotChecked), "text passed on"},
      {flow("acknowledged before the kill", kAcknowledgesFirst), "one slot rewritten"},
      {flow("extension of whatever stands in the slot", kExtendsWhateverStands), "extension"},
      {flow("extension downwards", kExtendsDownwards), "extension"},
      {flow("sequence not raised", kSequenceNotRaised), "one slot rewritten"},
      {flow("sequence reset by a kill", kKillResetsSequence), "one slot rewritten"},
      {flow("sequence reset by recovery", kBuryResetsSequence), "death in one slot"},
      {flow("busy slot taken for live by recovery", kBuryRevives), "death in one slot"},
      {relaxed("pin: load of the deadline relaxed", kPinDeadlineLoad), "extension"},
      {relaxed("pin: loads of the epochs relaxed", kPinEpochLoad), "zeros, pin, epoch of all"},
      {flow("pin: control loaded before the deadline", kPinControlFirst), "extension"},
      {flow("pin: epochs not loaded", kPinEpochsNotLoaded), "pin, epoch of all"},
      {flow("state loaded first", kStateLoadedFirst), "zeros, epoch of all"},
      {flow("state not loaded", kStateNotLoaded), "zeros, epoch of all"},
      {{"doubles stay after recovery, and a revocation kills one copy",
        {},
        {},
        {kDoublesStay, kKillsFirstCopyOnly}},
       "death in a move"},
  };
}

std::vector<JudgedMutant> redundant() {
  return {
      {relaxed("guess by key word 0: relaxed as shipped", kGuessLoad), "it can only pass a slot over"},
      {relaxed("pin: control load relaxed", kPinControlLoad),
       "the deadline's acquire load stays before it, and zeros hold no pin"},
      {relaxed("state load relaxed", kStateLoad),
       "the acquire loads before it stay before it, and nothing follows"},
      {relaxed("kill store relaxed", kKillStore),
       "whatever is stored after it carries it; an acknowledgement orders it by other means"},
      {relaxed("bury store relaxed", kBuryStore), "the same"},
      {relaxed("epoch counter store relaxed", kEpochCounterStore), "no reader loads it"},
      {relaxed("epoch store relaxed", kEpochStore),
       "the acknowledgement, or the next live store, carries it"},
      {omitted("busy store omitted", kBusyStore),
       "the slot is dead from the kill on: dead says what busy says"},
      {flow("busy slot left busy by recovery", kBusyStaysBusy),
       "no reader accepts it and a publication may start from it"},
      {flow("doubles stay after recovery", kDoublesStay), "a kill ends every copy"},
      {flow("a kill ends the first copy only", kKillsFirstCopyOnly), "recovery leaves one copy"},
      {flow("epochs loaded before the record", kEpochsLoadedFirst),
       "a raise before the look is seen either way"},
  };
}

}  // namespace authcache::explorer
