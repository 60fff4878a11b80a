// Policy over facts: what a record means to this caller. Pure; any thread; no allocation. Nothing of it is
// ever stored: one record answers callers with different requirements, at the same time, in either order.
//
// The bits decide wherever they can. Where they cannot (a confirmation, or strings without a bit on both
// sides) the first call says so, and the caller comes again with the record's text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shm/slot.hpp"
#include "shm/terms.hpp"
#include "shm/verdict.hpp"

namespace authcache::shm {

// A key that the request proved possession of. The numbers are ABI: they stand in records (text.hpp) and in authcache.h.
inline constexpr std::uint32_t kThumbprintJkt = 1;          // RFC 9449
inline constexpr std::uint32_t kThumbprintCertificate = 2;  // RFC 8705 x5t#S256
inline constexpr std::size_t kThumbprintBytes = 32;
struct Thumbprint {
  std::uint32_t kind;
  std::array<std::uint8_t, kThumbprintBytes> bytes;
};

// The audiences that a profile names, read from the table one at a time.
struct ProfileAudiences {
  const TableView* view = nullptr;
  std::uint64_t config = 0;
  std::uint32_t entry = 0;
  std::uint32_t count = 0;
};

// The strings behind the terms: only read where bits cannot decide.
struct Asked {
  std::span<const std::string> scopes{};
  std::span<const std::string> permissions{};
  std::span<const std::string> audiences{};
  ProfileAudiences defaults{};                       // stand in when audiences is empty
  const Thumbprint* thumbprint = nullptr;  // what the request proved, if anything
  const TableView* view = nullptr;  // where the terms' bits are explained; without it no pattern counts
};

// How one permission is held by a record. By text: only if the record says that its bits are not all.
enum class HeldBy : std::uint8_t { kNothing, kBits, kText, kNeedsText };
[[nodiscard]] HeldBy how_held(const HotRecord& record, const PermissionBits& bits, std::string_view permission,
                              std::optional<std::string_view> text) noexcept;

struct Evaluation {
  Verdict verdict = Verdict::kUnavailable;
  Reason reason = Reason::kNone;
  bool needs_text = false;  // nothing is decided: come again with the text
  bool operator==(const Evaluation&) const = default;
};

// What most hits come to, in a few instructions: a valid record bound to no key, asked only for what has bits, and
// holding them all. False decides nothing; true is what evaluate() would say.
[[nodiscard, gnu::always_inline]] inline bool met_by_bits(const HotRecord& record, const PackedTerms& terms,
                                      bool proved_a_key) noexcept {
  // Whatever may stand in the way, as bits of one word: one branch, where one for each would be mispredicted in turn.
  const std::uint64_t open = (record.facts & kNotPlainlyValid) | (terms.grants() & ~record.grants) |
                             terms.flags(kScopeWithoutBit | kPermissionWithoutBit);
  const bool addressed =
      !terms.has(kAudienceAsked) | ((unpack_principals(record.principals).audiences & terms.audiences()) != 0);
  return (open == 0) & !proved_a_key & addressed;
}

// `terms` must be compiled under a dictionary word loaded after the record's words. `text` is the record's,
// if read.
[[nodiscard]] Evaluation evaluate(const HotRecord& record, const Terms& terms, const Asked& asked,
                                  std::optional<std::string_view> text) noexcept;

}  // namespace authcache::shm
