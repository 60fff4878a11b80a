// What long tokens hash to, remembered: a hit on an 800-byte JWT spends most of its time in SHA-256,
// and a service sees the same token again and again. The memo maps a token's keyed tag to the key of its
// record and does no more than that: what the record says is read and judged on every lookup as without it.
//
// Invariants
// 1. No token and nothing that can be turned back into one is kept: a tag has 256 bits, under a key that is
// this
//    process's own; both are left out of core dumps.
// 2. An entry is written only for a token that was just found `valid` under the key that SHA-256 gave, so
// nobody fills the
//    memo with tokens that no upstream knows.
// 3. Entries are SeqCells: a signal handler or another thread that comes upon one being written hashes for
// itself.
//
// Any thread, signal handlers too: no lock, no allocation, no system call after creation.
#pragma once

#include <memory>
#include <string_view>

#include "libclient/seq_cell.hpp"
#include "libclient/universal_hash.hpp"
#include "shm/result.hpp"
#include "shm/slot.hpp"

namespace authcache::client {

// Shorter tokens are hashed in fewer than three blocks, which costs no more than looking in the memo.
inline constexpr std::size_t kMemoTokenMin = 128;
// Longer ones are rare, and would need as long a key.
inline constexpr std::size_t kMemoTokenMax = 4096;
// Room for a working set of some thousand tokens in half a MiB; with two ways, at least 95 of 100 tokens of a set of
// 1000 find room beside each other.
inline constexpr std::size_t kMemoSets = 4096;
inline constexpr std::size_t kMemoWays = 2;

class TokenMemo {
 public:
  // Fails where the kernel gives no memory or no random bytes.
  static shm::Result<std::unique_ptr<TokenMemo>> create();
  TokenMemo(const TokenMemo&) = delete;
  TokenMemo& operator=(const TokenMemo&) = delete;
  ~TokenMemo();

  [[nodiscard]] static bool takes(std::string_view token) noexcept {
    return token.size() >= kMemoTokenMin && token.size() <= kMemoTokenMax;
  }

  // The tag of a token that it takes.
  [[nodiscard]] Tag tag_of(std::uint64_t profile_id, std::string_view token) const noexcept {
    return universal_hash(region_->key, profile_id, token);
  }
  // False if the tag is not remembered.
  [[nodiscard]] bool find(const Tag& tag, shm::Key& key) const noexcept;
  void keep(const Tag& tag, const shm::Key& key) noexcept;

 private:
  using Entry = SeqCell<7>;  // tag, key: with its sequence one cache line
  struct alignas(64) Line {
    Entry entry;
  };
  static_assert(sizeof(Line) == 64);
  struct Region {
    alignas(64) std::uint64_t key[hash_key_words(kMemoTokenMax)];
    Line lines[kMemoSets * kMemoWays];
  };

  explicit TokenMemo(Region* region) : region_(region) {}
  [[nodiscard]] static std::size_t set_of(const Tag& tag) noexcept;

  Region* const region_;
};

}  // namespace authcache::client
