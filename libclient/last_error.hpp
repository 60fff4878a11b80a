// The last sentence of a client: what was wrong and the remedy. Any thread may set and read it; of two set at
// one time, one is kept. No lock and no allocation, so that it works inside a signal handler too.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "libclient/seq_cell.hpp"

namespace authcache::client {

inline constexpr std::size_t kSentenceBytes =
    512;  // with the NUL: a path and a cause; a longer sentence is cut

class LastError {
 public:
  void set(std::string_view sentence) noexcept {
    Cell::Words words{};
    std::memcpy(words.data(), sentence.data(), std::min(sentence.size(), kSentenceBytes - 1));
    (void)cell_.try_store(words);
  }

  // The sentence, NUL-terminated; empty if there was none or one is being set just now.
  void copy(char (&out)[kSentenceBytes]) const noexcept {
    Cell::Words words{};
    if (!cell_.load(words)) words.fill(0);
    std::memcpy(out, words.data(), kSentenceBytes);
  }

 private:
  using Cell = SeqCell<kSentenceBytes / 8>;
  Cell cell_;
};

}  // namespace authcache::client
