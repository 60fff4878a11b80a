// A policy for the slot protocol in which a test runs something of its own before the k-th operation on
// shared words: every point at which another process can look, or at which a writer can be killed.
// Sequentially consistent: it shows the order of the stores, not the memory model. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace authcache::shm_test {

struct ScriptedAtomics {
  struct Word {
    std::uint64_t value = 0;
  };

  static std::uint64_t load_acquire(const Word& word) { return load(word); }
  static std::uint64_t load_relaxed(const Word& word) { return load(word); }
  static void store_release(Word& word, std::uint64_t value) { store(word, value); }
  static void store_relaxed(Word& word, std::uint64_t value) { store(word, value); }

  // Runs `then` once, before the operation numbered `at` from now (0: the next one). Operations inside it
  // don't count.
  static void before_operation(int at, std::function<void()> then) {
    countdown_ = at;
    then_ = std::move(then);
  }
  // False if fewer operations happened than were asked for: the test has seen every point.
  static bool was_reached() {
    const bool reached = !then_;
    then_ = nullptr;
    return reached;
  }

 private:
  static std::uint64_t load(const Word& word) {
    step();
    return word.value;
  }
  static void store(Word& word, std::uint64_t value) {
    step();
    word.value = value;
  }
  static void step() {
    if (then_ && countdown_-- == 0) std::exchange(then_, nullptr)();
  }

  inline static int countdown_ = 0;
  inline static std::function<void()> then_;
};

}  // namespace authcache::shm_test
