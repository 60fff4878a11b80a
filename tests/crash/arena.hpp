// What the processes of the writer-kill test share besides the table: which versions were given out, what was
// acknowledged as dead, what was seen. The test makes it before it forks; it lives as long as the test.
//
// A writer stores an acknowledgement only after the call that it acknowledges has returned, as a daemon
// answers. A reader loads what it holds a lookup against before the lookup begins.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "tests/crash/record_model.hpp"

namespace crash {

inline constexpr std::size_t kReaders = 2;

struct ReaderTally {
  std::atomic<std::uint64_t> rounds, accepted, texts, not_live;
};

struct Arena {
  std::atomic<bool> stop;
  std::atomic<std::uint64_t> next_version;   // the least that was not given out
  std::atomic<std::uint64_t> killed[kKeys];  // versions below this are acknowledged as dead
  std::atomic<std::uint64_t> issuer_void[kOftenUsed];
  std::atomic<std::uint64_t> key_void[kOftenUsed];
  std::atomic<std::uint64_t> all_void;
  ReaderTally readers[kReaders];
  // Of all writers together.
  std::atomic<std::uint64_t> adoptions, kept, busy, doubles, operations;
  std::atomic<bool> faulty;
  char fault[512];

  void report(std::string_view who, std::string_view what);
};

// A page of its own, shared with every process forked from here on.
class SharedArena {
 public:
  SharedArena();
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;
  ~SharedArena();
  Arena* operator->() const { return arena_; }
  Arena& operator*() const { return *arena_; }

 private:
  Arena* arena_;
};

using NumberOfKey = std::map<shm::Key, std::uint64_t>;

// The name of the table and its place, which all lives of the writer share.
struct Stage {
  std::filesystem::path dir;
  std::uint64_t generation;
  NumberOfKey numbers;
};

enum class KillBy : std::uint8_t { kDelay, kSteps };

// The life of one writer: it takes the table over as the daemon does, proves what is left to be sound, and
// works until it is killed. By kSteps it asks to be traced, and at one store into the table it stops:
// SIGSEGV, then SIGSTOP. Never returns; its exit status is 3 after a fault.
[[noreturn]] void live_as_writer(const Stage& stage, Arena& arena, std::uint64_t seed, KillBy kill_by);

// Looks tokens up until the arena says stop, and holds all that it accepts against the model. Never returns.
[[noreturn]] void live_as_reader(const Stage& stage, Arena& arena, std::size_t index, std::uint64_t seed);

}  // namespace crash
