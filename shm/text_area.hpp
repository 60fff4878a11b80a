// The writer's private account of the text area: which 64-byte units hold the text of a live record. Nothing of it
// lies in shared memory; after a restart it is rebuilt from the live records. Writer thread only.
//
// Pages of 64 KiB are given to one size class each and come back when their last text is freed, so that a change in
// the sizes of identities cannot starve one class for ever.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "shm/layout.hpp"
#include "shm/text.hpp"

namespace authcache::shm {

class TextArea {
 public:
  explicit TextArea(std::uint64_t bytes);

  // The first unit of room for this many bytes (1 to kTextMax), or nothing when no page is left for its class.
  [[nodiscard]] std::optional<std::uint64_t> allocate(std::uint64_t bytes);
  // The arguments come from shared memory: room that is not taken is left alone.
  void free(std::uint64_t unit, std::uint64_t bytes);
  // Marks room that an adopted record already uses; false if it overlaps another or cannot be ours.
  [[nodiscard]] bool claim(std::uint64_t unit, std::uint64_t bytes);

  [[nodiscard]] std::uint64_t used_bytes() const { return used_units_ * kTextUnitBytes; }

 private:
  static constexpr std::uint32_t kPageUnits = 1024;
  static constexpr std::array<std::uint16_t, 15> kClassUnits = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256};
  static constexpr std::uint8_t kNoClass = 0xff;
  static_assert(kClassUnits.back() * kTextUnitBytes == kTextMax);

  struct Page {
    std::uint8_t size_class = kNoClass;
    bool listed = false;  // stands in partial_[size_class]
    std::uint16_t used = 0;
    std::array<std::uint64_t, kPageUnits / 64> taken{};  // one bit an object
  };

  static std::uint8_t class_for(std::uint64_t bytes);
  static std::uint32_t objects_in_page(std::uint8_t size_class) { return kPageUnits / kClassUnits[size_class]; }
  std::optional<std::uint32_t> page_with_room(std::uint8_t size_class);
  void take(std::uint32_t page, std::uint32_t object);
  void list_if_roomy(std::uint32_t page);

  std::vector<Page> pages_;
  std::vector<std::uint32_t> free_pages_;                                    // may hold claimed ones: checked when taken
  std::array<std::vector<std::uint32_t>, kClassUnits.size()> partial_;       // pages with room, each once
  std::uint64_t used_units_ = 0;
};

}  // namespace authcache::shm
