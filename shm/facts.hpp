// The words of a hot record that hold facts, as bit fields. Both words are functions of their fields: no
// other file shifts or masks them.
//
//   facts       epoch 40 | reason 8 | verdict 4 | flags 12        (low to high)
//   principals  issuer 12 | key 12 | audiences 16 | text hint 24
#pragma once

#include <cstdint>

#include "shm/verdict.hpp"

namespace authcache::shm {

inline constexpr unsigned kEpochBits =
    40;  // one raise a microsecond lasts 12 days; the writer replaces the table first
inline constexpr std::uint64_t kEpochMax = (std::uint64_t{1} << kEpochBits) - 1;
inline constexpr std::uint32_t kIssuersMax = 1024;  // index 0: no issuer
inline constexpr std::uint32_t kKeysMax =
    4096;  // index 0: no key; 64 profiles at most, 64 keys each on average
inline constexpr std::uint32_t kAudienceBits = 16;
inline constexpr std::uint32_t kGrantBits = 64;

enum RecordFlag : std::uint16_t {
  kHasConfirmation = 1,  // sender-constrained: the thumbprint stands in the text
  kGrantsInText = 2,     // some scope or permission has no bit: the bits say yes, only the text says no
  kAudienceInText = 4,   // the same for audiences
  kTextOnSocket = 8,     // the text did not fit: the daemon has it
  kIsJws = 16,           // the cold part's token hash is that of a signing input
  kPatternsInText = 32,  // some pattern of a role has no bit: a permission that has one may be held by the text alone
};

struct Facts {
  std::uint64_t epoch;  // the epoch counter when the flight that proved this began
  Verdict verdict;      // kValid or kInvalid
  Reason reason;
  std::uint16_t flags;
};

struct Principals {
  std::uint32_t issuer;
  std::uint32_t key;
  std::uint16_t audiences;
  std::uint32_t text_hint =
      0;  // text_hint_of(unit): where the text stands, to ask for it beside the cold part
};

constexpr std::uint64_t pack_facts(const Facts& facts) {
  return (facts.epoch & kEpochMax) | (std::uint64_t{static_cast<std::uint8_t>(facts.reason)} << 40) |
         (std::uint64_t{static_cast<std::uint8_t>(facts.verdict)} << 48) | (std::uint64_t{facts.flags} << 52);
}
constexpr Facts unpack_facts(std::uint64_t word) {
  return {word & kEpochMax, static_cast<Verdict>((word >> 48) & 0xf),
          static_cast<Reason>((word >> 40) & 0xff), static_cast<std::uint16_t>(word >> 52)};
}

// Any of these bits, and the record is not a valid one that is bound to no key: one test on the hit path.
inline constexpr std::uint64_t kNotPlainlyValid = pack_facts(
    {.epoch = 0, .verdict = static_cast<Verdict>(0xf), .reason = Reason::kNone, .flags = kHasConfirmation});
static_assert(static_cast<unsigned>(Verdict::kValid) == 0);

// The indices are masked to the arrays' sizes, so that no word, whoever wrote it, leads a reader out of them.
constexpr std::uint64_t pack_principals(const Principals& principals) {
  return std::uint64_t{principals.issuer & 0xfff} | (std::uint64_t{principals.key & 0xfff} << 12) |
         (std::uint64_t{principals.audiences} << 24) | (std::uint64_t{principals.text_hint} << 40);
}
constexpr Principals unpack_principals(std::uint64_t word) {
  return {static_cast<std::uint32_t>(word & (kIssuersMax - 1)),
          static_cast<std::uint32_t>((word >> 12) & (kKeysMax - 1)), static_cast<std::uint16_t>(word >> 24),
          static_cast<std::uint32_t>(word >> 40)};
}

// 0: none, or beyond what 24 bits can say, 1 GiB of texts.
constexpr std::uint32_t text_hint_of(std::uint64_t unit) {
  constexpr std::uint64_t kLimit = 1 << 24;
  return unit + 1 < kLimit ? static_cast<std::uint32_t>(unit + 1) : 0;
}

// All that the word says of an identity: the same for two records of one, wherever their texts stand.
constexpr std::uint64_t principals_without_hint(std::uint64_t word) {
  return word & ((std::uint64_t{1} << 40) - 1);
}

static_assert((kIssuersMax & (kIssuersMax - 1)) == 0 && kIssuersMax <= 4096);
static_assert((kKeysMax & (kKeysMax - 1)) == 0 && kKeysMax <= 4096);

}  // namespace authcache::shm
