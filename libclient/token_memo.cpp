#include "libclient/token_memo.hpp"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <new>

#include "libclient/random_bytes.hpp"

namespace authcache::client {

shm::Result<std::unique_ptr<TokenMemo>> TokenMemo::create() {
  // Zeros are empty entries, and pages come as they are first written: a process that sees no long token
  // spends only the key's.
  void* const room =
      ::mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return shm::system_error("cannot map the memo of long tokens", errno);
  std::unique_ptr<TokenMemo> memo(new (std::nothrow) TokenMemo(static_cast<Region*>(room)));
  if (!memo) {
    ::munmap(room, sizeof(Region));
    return shm::fail(shm::ErrorCode::kSystem, "out of memory");
  }
  (void)::madvise(room, sizeof(Region), MADV_DONTDUMP);
  if (!fill_random(memo->region_->key, sizeof memo->region_->key))
    return shm::system_error("the kernel gave no random bytes for the memo of long tokens", errno);
  return memo;
}

TokenMemo::~TokenMemo() { ::munmap(region_, sizeof(Region)); }

// The sums' lowest bits are those of products and lean to zero; a product's high bits depend on all of them.
std::size_t TokenMemo::set_of(const Tag& tag) noexcept {
  constexpr std::uint64_t kOdd = 0x9e37'79b9'7f4a'7c15;
  return static_cast<std::size_t>((tag[0] ^ tag[3]) * kOdd >> (64 - std::countr_zero(kMemoSets)));
}

bool TokenMemo::find(const Tag& tag, shm::Key& key) const noexcept {
  const Line* const set = &region_->lines[set_of(tag) * kMemoWays];
  for (std::size_t way = 0; way < kMemoWays; ++way) {
    Entry::Words words;
    if (!set[way].entry.load(words)) continue;
    // All words, always: the time does not tell how much of a tag matched.
    const std::uint64_t differs =
        (words[0] ^ tag[0]) | (words[1] ^ tag[1]) | (words[2] ^ tag[2]) | (words[3] ^ tag[3]);
    if (differs != 0) continue;
    key = {words[4], words[5], words[6]};
    return true;
  }
  return false;
}

void TokenMemo::keep(const Tag& tag, const shm::Key& key) noexcept {
  Line* const set = &region_->lines[set_of(tag) * kMemoWays];
  // Room that was never used, else by a bit of the newcomer's own: with any fixed order, three tokens of one
  // set would push each other out in turn.
  std::size_t way = tag[2] >> 32 & 1;
  for (std::size_t i = 0; i < kMemoWays; ++i) {
    if (!set[i].entry.ever_stored()) way = i;
  }
  (void)set[way].entry.try_store({tag[0], tag[1], tag[2], tag[3], key[0], key[1], key[2]});
}

}  // namespace authcache::client
