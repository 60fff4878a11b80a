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

// A requirement as one table understands it. Bits are those that `dictionary` counts: see lookup.cpp for when
// they may be used.
struct Terms {
  std::uint64_t attachment = 0;  // ordinal; with config and dictionary the tag
  std::uint64_t config = 0;
  std::uint64_t dictionary = 0;
  std::uint64_t profile_id = 0;
  std::uint64_t scopes = 0;
  std::uint64_t permissions = 0;
  std::uint16_t audiences = 0;
  std::uint8_t profile_entry = 0;
  std::uint8_t default_audiences = 0;  // how many the profile names
  bool profile_known = false;
  bool audience_asked = false;
  bool audience_without_bit = false;  // some asked string has no bit under `dictionary`
  bool scope_without_bit = false;
  bool permission_without_bit = false;
};

// Terms as the words of one cache line. Here, and inline, because every hit reads them.
using TermsWords = std::array<std::uint64_t, 7>;

inline constexpr std::uint64_t kProfileKnown = 1;
inline constexpr std::uint64_t kAudienceAsked = 2;
inline constexpr std::uint64_t kAudienceWithoutBit = 4;
inline constexpr std::uint64_t kScopeWithoutBit = 8;
inline constexpr std::uint64_t kPermissionWithoutBit = 16;

// audiences 16 | profile entry 8 | default audiences 8 | flags 32
inline std::uint64_t pack_small_terms(const Terms& terms) {
  const std::uint64_t flags = terms.profile_known * kProfileKnown | terms.audience_asked * kAudienceAsked |
                              terms.audience_without_bit * kAudienceWithoutBit |
                              terms.scope_without_bit * kScopeWithoutBit |
                              terms.permission_without_bit * kPermissionWithoutBit;
  return std::uint64_t{terms.audiences} | std::uint64_t{terms.profile_entry} << 16 |
         std::uint64_t{terms.default_audiences} << 24 | flags << 32;
}

inline TermsWords pack_terms(const Terms& terms) {
  return {terms.attachment, terms.config,      terms.dictionary,       terms.profile_id,
          terms.scopes,     terms.permissions, pack_small_terms(terms)};
}

inline Terms unpack_terms(const TermsWords& words) {
  Terms terms;
  terms.attachment = words[0];
  terms.config = words[1];
  terms.dictionary = words[2];
  terms.profile_id = words[3];
  terms.scopes = words[4];
  terms.permissions = words[5];
  terms.audiences = static_cast<std::uint16_t>(words[6]);
  terms.profile_entry = static_cast<std::uint8_t>(words[6] >> 16);
  terms.default_audiences = static_cast<std::uint8_t>(words[6] >> 24);
  const std::uint64_t flags = words[6] >> 32;
  terms.profile_known = (flags & kProfileKnown) != 0;
  terms.audience_asked = (flags & kAudienceAsked) != 0;
  terms.audience_without_bit = (flags & kAudienceWithoutBit) != 0;
  terms.scope_without_bit = (flags & kScopeWithoutBit) != 0;
  terms.permission_without_bit = (flags & kPermissionWithoutBit) != 0;
  return terms;
}

// Terms left packed: a hit needs five of the words, and unpacking all of them costs more than the rest of its
// decisions.
struct PackedTerms {
  TermsWords words;

  [[nodiscard]] std::uint64_t dictionary() const { return words[2]; }
  [[nodiscard]] std::uint64_t profile_id() const { return words[3]; }
  [[nodiscard]] std::uint64_t grants() const { return words[4] | words[5]; }
  [[nodiscard]] std::uint64_t audiences() const { return words[6] & 0xffff; }
  [[nodiscard]] std::uint32_t profile_entry() const { return static_cast<std::uint8_t>(words[6] >> 16); }
  [[nodiscard]] std::uint64_t flags(std::uint64_t of) const { return words[6] >> 32 & of; }
  [[nodiscard]] bool has(std::uint64_t flag) const { return flags(flag) != 0; }
};

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
