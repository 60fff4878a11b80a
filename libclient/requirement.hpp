// What a caller asks of a token. The strings are fixed before the first use; what they mean in one table
// (profile id, dictionary bits) is compiled when a lookup needs it and kept for the next, under the tag it
// was compiled by.
//
// Any thread may look up with one requirement. Compiling allocates nothing, takes no lock and is bounded: at
// most kAskedMax strings against the dictionary's 80 entries. A thread that finds the kept terms unreadable
// (another one is storing them) compiles its own on its stack.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libclient/attachment.hpp"
#include "libclient/include/authcache/authcache.h"
#include "libclient/seq_cell.hpp"
#include "shm/dictionary.hpp"
#include "shm/terms.hpp"

struct authcache_client;

namespace authcache::client {

inline constexpr std::size_t kAskedAudiencesMax = 16;  // as many as a profile may name
inline constexpr std::size_t kAskedScopesMax = 64;     // as many as have bits; more is no longer one question
inline constexpr std::size_t kAskedPermissionsMax = 64;
inline constexpr std::size_t kAskedTextMax =
    4096;  // longer than any that a token of 16 KiB carries in practice

inline constexpr std::uint32_t kPreparedKind = 0x51455231;
inline constexpr std::uint32_t kBoundKind = 0x51455232;
inline constexpr std::uint32_t kBrokenKind = 0x51455233;  // an add failed: nothing may be decided by it

// Where a record of one table holds each of a requirement's permissions. The low bits of a byte are the bit's number; beside
// it may stand that patterns say the same, so that a record without the bit is no answer yet.
using PermissionPlaces = std::array<std::uint8_t, kAskedPermissionsMax>;
inline constexpr std::uint8_t kPlaceBit = 0x3f;
inline constexpr std::uint8_t kPlacePatternsToo = 0x40;
inline constexpr std::uint8_t kPlaceNone = 0x80;

// What a requirement means in one table stands in shm/, since the daemon judges records by it too.
using shm::kAudienceAsked;
using shm::kAudienceWithoutBit;
using shm::kPermissionWithoutBit;
using shm::kProfileKnown;
using shm::kScopeWithoutBit;
using shm::pack_terms;
using shm::PackedTerms;
using shm::Terms;
using shm::TermsWords;
using shm::unpack_terms;

class Requirement : public authcache_requirement {
 public:
  Requirement(const authcache_client* client, std::string_view profile);

  // False: too many, too long, empty, or already in use. The requirement is broken then.
  bool add(shm::DictionaryKind kind, std::string_view text);
  void poison() { kind = kBrokenKind; }

  // Begins with one holder, whoever made it. A question that was submitted is another, so that its requirement
  // may be freed before the answer came. The last one to let go deletes it.
  void hold() const noexcept { holders_.fetch_add(1, std::memory_order_relaxed); }
  void let_go() const noexcept {
    // Release and acquire: what every other holder read was read before this deletes it.
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // The terms under this config word: those kept, whatever their dictionary word, or fresh ones.
  [[nodiscard]] PackedTerms packed_terms(const Attachment& table, std::uint64_t config) const noexcept;
  [[nodiscard]] Terms terms(const Attachment& table, std::uint64_t config) const noexcept {
    return unpack_terms(packed_terms(table, config).words);
  }
  // Compiles under exactly this dictionary word and keeps the result if nobody else is storing.
  [[nodiscard]] Terms compile(const Attachment& table, std::uint64_t config,
                              std::uint64_t dictionary) const noexcept;

  // Under exactly this dictionary word: those kept, or looked up anew.
  [[nodiscard]] PermissionPlaces permission_places(const Attachment& table, std::uint64_t dictionary) const noexcept;

  [[nodiscard]] const authcache_client* client() const { return client_; }
  [[nodiscard]] std::string_view profile() const { return profile_; }
  [[nodiscard]] const std::vector<std::string>& scopes() const { return scopes_; }
  [[nodiscard]] const std::vector<std::string>& permissions() const { return permissions_; }
  [[nodiscard]] const std::vector<std::string>& audiences() const { return audiences_; }

 private:
  const authcache_client* client_;
  std::string profile_;
  std::vector<std::string> scopes_;
  std::vector<std::string> permissions_;
  std::vector<std::string> audiences_;
  mutable std::atomic<std::uint32_t> holders_{1};
  alignas(64) mutable SeqCell<std::tuple_size_v<TermsWords>> kept_;  // with its sequence, one cache line
  // Table, dictionary word, places: of no use to a lookup, and not in its cache line.
  mutable SeqCell<2 + sizeof(PermissionPlaces) / 8> places_;
};

[[gnu::always_inline]] inline PackedTerms Requirement::packed_terms(const Attachment& table,
                                                                    std::uint64_t config) const noexcept {
  PackedTerms packed;
  const bool kept = kept_.load(packed.words) && packed.words[0] == table.ordinal && packed.words[1] == config;
  if (kept) [[likely]]
    return packed;
  return {pack_terms(compile(table, config, shm::StdAtomics::load_acquire(table.view.header().dictionary)))};
}

}  // namespace authcache::client
