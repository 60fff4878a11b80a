// The table file, byte by byte (FORMAT.md tells it in prose). Offsets are a function of two numbers in the
// header, the capacity and the text bytes per record, so a reader computes them itself and believes no offset
// from the file.
//
// Bump kFormatVersion when: a field moves or changes meaning, an array changes its size, a packed word
// (facts.hpp) changes its fields, a reader of the old version could misread a file of the new one. Reserved
// words are zero.
#pragma once

#include <cstdint>

#include "shm/atomics.hpp"
#include "shm/facts.hpp"
#include "shm/slot.hpp"

namespace authcache::shm {

inline constexpr std::uint64_t kMagic = 0x4c42'5443'4854'5541;  // "AUTHCTBL" in memory order
inline constexpr std::uint64_t kFormatVersion = 2;

inline constexpr std::uint64_t kCapacityMin = 1'000;
inline constexpr std::uint64_t kCapacityMax =
    30'000'000;  // 5 GB of hot and cold records: larger was not tested
inline constexpr std::uint32_t kTextBytesPerRecordMin = 64;
inline constexpr std::uint32_t kTextBytesPerRecordMax = 4'096;

inline constexpr std::uint32_t kSlotsPerBucket =
    2;  // 128 bytes: one aligned pair of lines, which the CPU fetches together
inline constexpr std::uint32_t kLoadPercent =
    85;  // 2 choices of 2 slots hold 89 %; the rest keeps insertion short

// A way cell (ways.hpp) holds one of four slots. With four cells for each slot, one byte, nine guesses in ten
// are right in a table that has turned over many times; with two of them it would be eight.
inline constexpr unsigned kWayBits = 2;
inline constexpr unsigned kWayCellsPerWord = 64 / kWayBits;
inline constexpr std::uint32_t kWayCellsPerSlot = 4;

inline constexpr std::uint32_t kSecretWords = 24;  // XXH3 takes a secret of 136 bytes or more
inline constexpr std::uint32_t kDictionaryTextMax = 255;
inline constexpr std::uint32_t kProfilesMax = 64;
inline constexpr std::uint32_t kProfileNameMax = 63;
inline constexpr std::uint32_t kProfileAudiencesMax = 16;

enum class TableState : std::uint64_t {
  kRetired = 0,  // also what a reader sees in zeros mapped over a file it gave up
  kLive = 1,
  kMoving = 2,  // valid; a successor is being filled
};

template <class A>
struct BasicHeader {
  using Word = typename A::Word;

  // Written before publication, never after.
  Word magic;
  Word version;  // stored last, with release: 0 until the file is whole
  Word file_bytes;
  Word generation;
  Word boot_id[2];
  Word capacity;
  Word text_bytes_per_record;
  Word heartbeat_timeout_ns;
  Word tick_ns;           // resolution of the readers' clock
  Word database_uuid[2];  // the state database whose rules this table obeys
  Word negative_max;
  Word reserved_fixed[51];
  Word secret[kSecretWords];
  Word reserved_secret[40];

  // Read on every hit.
  alignas(128) Word state;
  Word heartbeat_ns;
  Word all_epoch;
  Word config;      // number of the current profile directory; copy config % 2 holds it
  Word dictionary;  // entries in use: grants in the low half, audiences in the high
  Word reserved_hot[11];

  // The writer's own, read by tools.
  alignas(128) Word epoch_counter;
  Word durable_change;  // last rule change known durable, stored before its acknowledgement
  Word wall_offset_ns;  // CLOCK_REALTIME - CLOCK_MONOTONIC when last looked at
  Word boot_offset_ns;  // CLOCK_BOOTTIME - CLOCK_MONOTONIC
  Word live;
  Word negative;
  Word inserted;
  Word replaced;
  Word extended;
  Word killed_revoked;
  Word killed_expired;
  Word killed_evicted;
  Word moved;
  Word negative_refused;
  Word text_refused;
  Word text_used_bytes;
  Word reserved_writer[352];
};

template <class A>
struct BasicCold {
  typename A::Word text;             // place: unit of 64 bytes 40 | bytes 24
  typename A::Word expires_wall_ns;  // 0: the upstream named no end
  typename A::Word issued_wall_ns;   // INT64_MIN: it did not say
  typename A::Word profile_id;
  typename A::Word token[3];  // 192 bits: SHA-256 of the signing input (JWS) or of the token (all others)
  typename A::Word checksum;  // checksum.hpp
};

template <class A>
struct BasicProfileEntry {
  typename A::Word id;     // 0: entry unused
  typename A::Word state;  // ProfileState
  typename A::Word sizes;  // name bytes 8 | audience count 8
  typename A::Word reserved;
  typename A::Word name[8];
  typename A::Word audiences[kProfileAudiencesMax * 32];  // 256 bytes each: length byte, text
};

enum class ProfileState : std::uint64_t { kUnavailable = 0, kCurrent = 1 };

template <class A>
struct BasicDictionaryEntry {
  typename A::Word words[33];  // kind byte, length byte, text
};

// An issuer or a signing key, by the SHA-256 that names it.
template <class A>
struct BasicPrincipalEntry {
  typename A::Word id[4];
};

using Header = BasicHeader<StdAtomics>;
using Cold = BasicCold<StdAtomics>;
using ProfileEntry = BasicProfileEntry<StdAtomics>;
using DictionaryEntry = BasicDictionaryEntry<StdAtomics>;
using PrincipalEntry = BasicPrincipalEntry<StdAtomics>;

static_assert(sizeof(Header) == 4096);
static_assert(sizeof(Cold) == 64);

inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kTextUnitBytes = 64;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

struct Geometry {
  std::uint64_t capacity = 0;
  std::uint64_t buckets = 0;
  std::uint64_t slots = 0;
  std::uint64_t issuer_epochs = 0;  // byte offsets from here on
  std::uint64_t key_epochs = 0;
  std::uint64_t issuers = 0;
  std::uint64_t keys = 0;
  std::uint64_t dictionary = 0;
  std::uint64_t profiles = 0;
  std::uint64_t hot = 0;
  std::uint64_t cold = 0;
  std::uint64_t ways = 0;
  std::uint64_t text = 0;
  std::uint64_t text_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t way_cells = 0;

  bool operator==(const Geometry&) const = default;
};

// Both arguments must be within their limits.
constexpr Geometry make_geometry(std::uint64_t capacity, std::uint64_t text_bytes_per_record) {
  Geometry g;
  g.capacity = capacity;
  g.buckets = round_up(capacity * 100, std::uint64_t{kLoadPercent} * kSlotsPerBucket) /
              (kLoadPercent * kSlotsPerBucket);
  g.slots = g.buckets * kSlotsPerBucket;
  g.issuer_epochs = sizeof(Header);
  g.key_epochs = g.issuer_epochs + kIssuersMax * 8;
  g.issuers = g.key_epochs + kKeysMax * 8;
  g.keys = g.issuers + kIssuersMax * sizeof(PrincipalEntry);
  g.dictionary = g.keys + kKeysMax * sizeof(PrincipalEntry);
  g.profiles = g.dictionary + (kGrantBits + kAudienceBits) * sizeof(DictionaryEntry);
  // Hot records start on a 2 MiB boundary where huge pages could hold them, else a page would be spent on
  // nothing.
  constexpr std::uint64_t kHugePage = 2 << 20;
  const std::uint64_t fixed_end = g.profiles + 2 * kProfilesMax * sizeof(ProfileEntry);
  g.hot = round_up(fixed_end, g.slots * sizeof(Slot) >= kHugePage ? kHugePage : kPageBytes);
  g.cold = round_up(g.hot + g.slots * sizeof(Slot), kPageBytes);
  g.ways = round_up(g.cold + g.slots * sizeof(Cold), kPageBytes);
  g.way_cells = g.slots * kWayCellsPerSlot;
  g.text = round_up(g.ways + g.way_cells * kWayBits / 8, kPageBytes);
  g.text_bytes = round_up(capacity * text_bytes_per_record, std::uint64_t{64} * 1024);
  g.file_bytes = g.text + g.text_bytes;
  return g;
}

}  // namespace authcache::shm
