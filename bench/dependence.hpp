// What makes one lookup wait for the one before it, as a request's next step waits for its answer.
//
// The next token's index is the index after this one plus a zero that is made from the loaded data and that
// the compiler can't see through. So the next lookup can't begin before this one's data arrived, and yet
// tokens come in order and none comes twice in a pass. (An index that took a bit of the loaded data would
// look some tokens up twice and skip others, and its time would depend on which.)
#pragma once

#include <cstddef>
#include <cstdint>

namespace authcache_bench {

[[gnu::always_inline]] inline std::uint64_t opaque_zero(std::uint64_t loaded) {
  std::uint64_t zero = 0;
  asm volatile("" : "+r"(zero));
  return loaded & zero;
}

[[gnu::always_inline]] inline std::size_t following(std::size_t at, std::size_t count, std::uint64_t loaded) {
  const std::size_t next = at + 1 + opaque_zero(loaded);
  return next >= count ? 0 : next;
}

// Waits until all earlier loads arrived. For a lookup that finds nothing: its answer is the same whatever was
// loaded, so a processor that guesses it right would begin the next one at once, and the time would be that
// of a throughput.
[[gnu::always_inline]] inline void wait_for_loads() { __builtin_ia32_lfence(); }

}  // namespace authcache_bench
