// The policy that the explorer compiles the shipped reader and writer with, and the machine behind it: every
// load of a reader is a branch over the messages that the memory model lets it read; a writer can die at any
// store; one place in the code can be made wrong, by name.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shm/table_view.hpp"
#include "tests/explorer/weak_memory.hpp"

namespace authcache::explorer {

// What a word of the file is, so far as the explored code touches it.
enum class WordKind : std::uint8_t {
  kControl,
  kDeadline,
  kKey0,
  kKey1,
  kKey2,
  kFacts,
  kPrincipals,
  kGrants,
  kColdText,
  kColdExpires,
  kColdIssued,
  kColdProfile,
  kColdToken0,
  kColdToken1,
  kColdToken2,
  kColdChecksum,
  kText,
  kEpochCounter,
  kAllEpoch,
  kIssuerEpoch,
  kKeyEpoch,
  kState,
};
inline constexpr unsigned kWordKinds = 22;
using WordSet = std::uint32_t;
constexpr WordSet set_of(WordKind kind) { return WordSet{1} << static_cast<unsigned>(kind); }
template <class... Kinds>
constexpr WordSet words(Kinds... kinds) {
  return (set_of(kinds) | ...);
}

// Where in the code an operation stands, told by its word, its order and the state that it stores.
enum class Site : std::uint8_t {
  kNone,
  kFirstControlLoad,
  kSecondControlLoad,
  kGuessLoad,
  kKey0Load,
  kKey1Load,
  kKey2Load,
  kDeadlineLoad,
  kFactsLoad,
  kPrincipalsLoad,
  kGrantsLoad,
  kColdTextLoad,
  kColdRestLoad,
  kTextLoad,
  kAllEpochLoad,
  kIssuerEpochLoad,
  kKeyEpochLoad,
  kStateLoad,
  kBusyStore,
  kLiveStore,
  kKillStore,
  kMoveKillStore,
  kBuryStore,
  kKey0Store,
  kKey1Store,
  kKey2Store,
  kDeadlineStore,
  kFactsStore,
  kPrincipalsStore,
  kGrantsStore,
  kColdTextStore,
  kColdRestStore,
  kTextStore,
  kExtensionStore,
  kEpochCounterStore,
  kEpochStore,
  kPinDeadlineLoad,
  kPinControlLoad,
  kPinEpochLoad,
};

// A step that TableWriter or a lookup is made of, done wrongly.
enum class Flow : std::uint8_t {
  kAsShipped,
  kInsertPublishesFirst,
  kMoveKillsFirst,
  kColdAfterLive,
  kTextReusedBeforeKill,
  kKillsFirstCopyOnly,
  kAcknowledgesFirst,
  kExtendsWhateverStands,
  kExtendsDownwards,
  kSequenceNotRaised,
  kKillResetsSequence,
  kBuryResetsSequence,
  kBuryRevives,
  kBusyStaysBusy,
  kDoublesStay,
  kStateLoadedFirst,
  kEpochsLoadedFirst,
  kStateNotLoaded,
  kTextNotChecked,
  kPinControlFirst,
  kPinEpochsNotLoaded,
};

struct Mutant {
  const char* name = "as shipped";
  std::vector<Site> relaxed;  // acquire or release made relaxed
  std::vector<Site> omitted;  // store not made; check taken as passed
  std::vector<Flow> flows;
  [[nodiscard]] bool has(Flow flow) const { return std::ranges::find(flows, flow) != flows.end(); }
};

struct WriterDied {};

class Machine {
 public:
  // Words must be named before they are used; one without a name reads as zero, for the explored code never
  // stores it.
  Machine(const std::byte* base, std::size_t bytes, const Mutant& mutant);
  ~Machine() { on = nullptr; }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  void name_word(const void* word, WordKind kind);

  // --- writers, one after the other; a reader that checks a pin
  enum class Stage : std::uint8_t { kPlain, kExtending, kBurying, kPinning };
  void set_stage(Stage stage) { stage_ = stage; }
  // The writer dies before its store number `store` (from 1). If `loosely`, its next relaxed store is made
  // all the same: nothing orders a relaxed store behind the release stores to other words that precede it.
  void die_before(std::uint64_t store, bool loosely);
  void succeed();  // the dead writer's successor: all that was stored happens before
  [[nodiscard]] bool dead() const { return dying_; }
  [[nodiscard]] const View& writer_view() const { return writer_; }

  // --- readers
  struct ReaderRules {
    WordSet weak = 0;    // words of other kinds are read as old as the view allows
    bool zeros = false;  // the range may be replaced by zeros before any load
    bool interleaved =
        false;  // readers see stores only once a clock has passed them, which runs between loads
  };
  void begin_run(Choices& choices, const ReaderRules& rules);
  void read_as(View& view) { reader_ = &view; }
  void write_on() { reader_ = nullptr; }
  void pass(std::uint64_t stamp) { clock_ = std::max(clock_, stamp); }
  unsigned pick(unsigned options) { return choices_->pick(options); }
  [[nodiscard]] std::uint64_t loads() const { return loads_; }

  std::uint64_t load(const void* word, Order order);
  void store(const void* word, std::uint64_t value, Order order);

  WeakMemory memory;
  inline static Machine* on = nullptr;

 private:
  static constexpr std::uint8_t kUnnamed = 0xff;
  [[nodiscard]] std::size_t index_of(const void* word) const;
  [[nodiscard]] Site load_site(WordKind kind, Order order) const;
  [[nodiscard]] Site store_site(WordKind kind, std::uint64_t value) const;
  [[nodiscard]] bool is_relaxed(Site site) const {
    return (relaxed_ >> static_cast<unsigned>(site) & 1) != 0;
  }
  [[nodiscard]] bool is_omitted(Site site) const {
    return (omitted_ >> static_cast<unsigned>(site) & 1) != 0;
  }
  std::uint64_t rewritten(Site site, std::uint64_t value) const;

  const std::byte* base_;
  std::vector<std::uint8_t> location_of_;
  std::vector<WordKind> kinds_;
  const Mutant& mutant_;
  std::uint64_t relaxed_ = 0;
  std::uint64_t omitted_ = 0;

  View writer_;
  Stage stage_ = Stage::kPlain;
  std::uint64_t death_ = 0;
  bool loosely_ = false;
  bool dying_ = false;
  std::uint64_t writer_stores_ = 0;
  std::array<bool, kLocationsMax> unmade_{};

  Choices* choices_ = nullptr;
  ReaderRules rules_;
  View* reader_ = nullptr;
  bool zeroed_ = false;
  std::uint64_t clock_ = 0;
  std::uint64_t loads_ = 0;
  std::uint64_t first_control_ = 0;
};

struct CheckingAtomics {
  struct Word {
    std::uint64_t unused;  // only its address counts
  };
  static std::uint64_t load_acquire(const Word& word) { return Machine::on->load(&word, Order::kAcquire); }
  static std::uint64_t load_relaxed(const Word& word) { return Machine::on->load(&word, Order::kRelaxed); }
  static void store_release(Word& word, std::uint64_t value) {
    Machine::on->store(&word, value, Order::kRelease);
  }
  static void store_relaxed(Word& word, std::uint64_t value) {
    Machine::on->store(&word, value, Order::kRelaxed);
  }
};
static_assert(sizeof(CheckingAtomics::Word) == 8, "the layout explored is the layout shipped");

}  // namespace authcache::explorer
