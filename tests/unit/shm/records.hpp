// Numbered tokens and what was proved about them, so that a record read back says which admission it came
// from.
#pragma once

#include <cstdint>
#include <string>

#include "shm/coarse_clock.hpp"
#include "shm/digest.hpp"
#include "shm/table_writer.hpp"

namespace authcache::shm_test {

inline constexpr std::uint64_t kNowNs = 1'000 * shm::kNsPerSecond;
inline constexpr std::uint64_t kLifeNs = 60 * shm::kNsPerSecond;
inline constexpr std::uint64_t kProfile = 7;

inline shm::Key numbered_key(std::uint64_t number) {
  return shm::key_of(shm::token_digest(kProfile, "token-" + std::to_string(number)));
}

inline shm::PrincipalId principal(std::uint64_t number) { return {number, 1, 2, 3}; }

// Good for kLifeNs from kNowNs; the version stands in the cold part.
inline shm::RecordSpec numbered_spec(const shm::TableWriter& writer, std::uint64_t number,
                                     std::int64_t version = 0) {
  shm::RecordSpec spec;
  spec.key = numbered_key(number);
  spec.deadline = kNowNs + kLifeNs;
  spec.epoch = writer.epoch();
  spec.expires_wall_ns = version;
  spec.profile_id = kProfile;
  spec.token = spec.key;
  return spec;
}

inline shm::RecordSpec negative_spec(const shm::TableWriter& writer, std::uint64_t number,
                                     std::int64_t version = 0) {
  shm::RecordSpec spec = numbered_spec(writer, number, version);
  spec.verdict = shm::Verdict::kInvalid;
  spec.reason = shm::Reason::kUnknown;
  return spec;
}

// How many live slots hold this key, looked for everywhere.
inline int live_copies(const shm::TableView& view, const shm::Key& key) {
  int copies = 0;
  shm::HotRecord record;
  for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
    copies += shm::read_slot(view.slot(slot), key, record) == shm::SlotRead::kRead ? 1 : 0;
  }
  return copies;
}

inline std::string text_at(const shm::TableView& view, const shm::Found& found) {
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  shm::ColdRecord cold;
  const auto text = shm::read_text(view, found.slot, found.record.control, buffer, cold);
  return text ? std::string(*text) : std::string("<none>");
}

// A small generator: the same numbers on every machine for a seed that a failing test prints.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e37'79b9'7f4a'7c15);
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t end) { return next() % end; }

 private:
  std::uint64_t state_;
};

}  // namespace authcache::shm_test
