// What a caller asks of a token. The strings are fixed before the first use; what they mean in one table
// (profile id, dictionary bits) is compiled when a lookup needs it and kept for the next, under the tag it
// was compiled by.
//
// Any thread may look up with one requirement. Compiling allocates nothing, takes no lock and is bounded: at
// most kAskedMax strings against the dictionary's 80 entries. A thread that finds the kept terms unreadable
// (another one is storing them) compiles its own on its stack.
#pragma once

#include <array>
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

class Requirement : public authcache_requirement {
 public:
  Requirement(const authcache_client* client, std::string_view profile);

  // False: too many, too long, empty, or already in use. The requirement is broken then.
  bool add(shm::DictionaryKind kind, std::string_view text);
  void poison() { kind = kBrokenKind; }

  // The terms under this config word: those kept, whatever their dictionary word, or fresh ones.
  [[nodiscard]] Terms terms(const Attachment& table, std::uint64_t config) const noexcept;
  // Compiles under exactly this dictionary word and keeps the result if nobody else is storing.
  [[nodiscard]] Terms compile(const Attachment& table, std::uint64_t config,
                              std::uint64_t dictionary) const noexcept;

  [[nodiscard]] const authcache_client* client() const { return client_; }
  [[nodiscard]] std::string_view profile() const { return profile_; }
  [[nodiscard]] const std::vector<std::string>& scopes() const { return scopes_; }
  [[nodiscard]] const std::vector<std::string>& permissions() const { return permissions_; }
  [[nodiscard]] const std::vector<std::string>& audiences() const { return audiences_; }

 private:
  static constexpr std::size_t kTermsWords = 7;

  const authcache_client* client_;
  std::string profile_;
  std::vector<std::string> scopes_;
  std::vector<std::string> permissions_;
  std::vector<std::string> audiences_;
  alignas(64) mutable SeqCell<kTermsWords> kept_;  // with its sequence, one cache line
};

}  // namespace authcache::client
