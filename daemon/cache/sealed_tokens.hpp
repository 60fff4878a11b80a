// The tokens of records that only their upstream can confirm: asking again takes the token, and the table
// holds none. Kept in this process alone, encrypted (AES-256-GCM) under a random key that lies in a locked
// page outside core dumps and ends with the process: what a dump, a swap file or a stray copy of the rest of
// memory shows of them is noise.
//
// Invariants
// 1. A token is kept no longer than its record: whatever ends one puts its token under review, and a review
// that finds no
//    current valid record overwrites it. Reviews run in the turn after (review).
// 2. Never more than kEntriesMax, nor kBytesMax: beyond, a token is not kept and its record simply expires.
// 3. No nonce occurs twice under a key; each text is bound to its digest.
//
// Loop thread only.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/base/clock.hpp"
#include "daemon/cache/tables.hpp"
#include "shm/digest.hpp"

namespace authcached {

// One page that is locked, left out of core dumps and of children, and overwritten at its end.
class LockedPage {
 public:
  LockedPage();  // throws std::bad_alloc
  LockedPage(const LockedPage&) = delete;
  LockedPage& operator=(const LockedPage&) = delete;
  ~LockedPage();
  [[nodiscard]] std::uint8_t* data() const { return data_; }

 private:
  std::uint8_t* data_;
};

class SealedTokens final : public EndObserver {
 public:
  // A quarter of a kilobyte each with an opaque token: 50 MB. More hot tokens than this would keep an
  // upstream busy with hundreds of questions a second.
  static constexpr std::size_t kEntriesMax = 200'000;
  static constexpr std::size_t kBytesMax = 64 << 20;  // JWTs are longer: of these some 60 000
  static constexpr std::size_t kReviewsPerTurn = 2'000;

  // Nonce, text, tag. Never the token.
  using Sealed = std::string;

  explicit SealedTokens(Tables& tables, const Clock& clock, std::size_t entries_max = kEntriesMax);
  ~SealedTokens() override;

  // Empty if there is no room, no randomness or no memory: then the record is not refreshed.
  [[nodiscard]] Sealed seal(const authcache::shm::Digest& digest, std::string_view token);
  // The record of this digest stands now.
  void keep(const authcache::shm::Digest& digest, Sealed sealed);
  // The token, to be wiped by whoever takes it; nothing if it was not kept.
  [[nodiscard]] std::optional<std::string> open(const authcache::shm::Key& key,
                                                authcache::shm::Digest& digest) const;
  void forget(const authcache::shm::Key& key);
  // Looks at what was put under review, so many at most.
  void review();

  void ended(const authcache::shm::Key& key, authcache::shm::SlotState dead) noexcept override;
  void any_may_have_ended() noexcept override;

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Entry
      : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    authcache::shm::Digest digest{};
    Sealed sealed;
  };
  using List = boost::intrusive::list<Entry, boost::intrusive::constant_time_size<false>>;
  struct KeyHash {  // of digests that had a valid record: nobody chooses them
    std::size_t operator()(const authcache::shm::Key& key) const noexcept { return key[0]; }
  };
  using Entries = std::unordered_map<authcache::shm::Key, Entry, KeyHash>;

  void erase(Entries::iterator entry);
  [[nodiscard]] bool stands(const authcache::shm::Key& key) const;

  Tables& tables_;
  const Clock& clock_;
  const std::size_t entries_max_;
  LockedPage key_;
  bool has_key_ = false;
  std::uint64_t nonces_ = 0;
  Entries entries_;
  List settled_, doubtful_;
  std::size_t bytes_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace authcached
