#include "shm/text_area.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace authcache::shm {

TextArea::TextArea(std::uint64_t bytes) : pages_(bytes / (kPageUnits * kTextUnitBytes)) {
  free_pages_.reserve(pages_.size());
  for (auto page = static_cast<std::uint32_t>(pages_.size()); page > 0; --page) free_pages_.push_back(page - 1);
}

std::uint8_t TextArea::class_for(std::uint64_t bytes) {
  const std::uint64_t units = (bytes + kTextUnitBytes - 1) / kTextUnitBytes;
  return static_cast<std::uint8_t>(std::ranges::lower_bound(kClassUnits, units) - kClassUnits.begin());
}

std::optional<std::uint32_t> TextArea::page_with_room(std::uint8_t size_class) {
  auto& partial = partial_[size_class];
  while (!partial.empty()) {
    Page& page = pages_[partial.back()];
    if (page.size_class == size_class && page.used < objects_in_page(size_class)) return partial.back();
    if (page.size_class == size_class) page.listed = false;
    partial.pop_back();
  }
  while (!free_pages_.empty()) {
    const std::uint32_t index = free_pages_.back();
    free_pages_.pop_back();
    if (pages_[index].size_class != kNoClass) continue;
    pages_[index].size_class = size_class;
    list_if_roomy(index);
    return index;
  }
  return std::nullopt;
}

void TextArea::list_if_roomy(std::uint32_t index) {
  Page& page = pages_[index];
  if (page.listed || page.used >= objects_in_page(page.size_class)) return;
  try {
    partial_[page.size_class].push_back(index);
    page.listed = true;
  } catch (const std::bad_alloc&) {
    // Its room is found again when the next of its objects is freed; a kill must run to its end.
  }
}

void TextArea::take(std::uint32_t index, std::uint32_t object) {
  Page& page = pages_[index];
  page.taken[object / 64] |= std::uint64_t{1} << (object % 64);
  ++page.used;
  used_units_ += kClassUnits[page.size_class];
}

std::optional<std::uint64_t> TextArea::allocate(std::uint64_t bytes) {
  if (bytes == 0 || bytes > kTextMax) return std::nullopt;
  const std::uint8_t size_class = class_for(bytes);
  const auto index = page_with_room(size_class);
  if (!index) return std::nullopt;
  const Page& page = pages_[*index];
  for (std::uint32_t word = 0; word < page.taken.size(); ++word) {
    if (page.taken[word] == ~std::uint64_t{0}) continue;
    const std::uint32_t object = word * 64 + static_cast<std::uint32_t>(std::countr_one(page.taken[word]));
    take(*index, object);
    return std::uint64_t{*index} * kPageUnits + std::uint64_t{object} * kClassUnits[size_class];
  }
  return std::nullopt;
}

void TextArea::free(std::uint64_t unit, std::uint64_t bytes) {
  if (bytes == 0 || unit / kPageUnits >= pages_.size()) return;
  const auto index = static_cast<std::uint32_t>(unit / kPageUnits);
  Page& page = pages_[index];
  if (page.size_class == kNoClass) return;
  const auto offset = static_cast<std::uint32_t>(unit % kPageUnits);
  const std::uint32_t object = offset / kClassUnits[page.size_class];
  if (offset % kClassUnits[page.size_class] != 0 || (page.taken[object / 64] >> (object % 64) & 1) == 0) return;
  page.taken[object / 64] &= ~(std::uint64_t{1} << (object % 64));
  --page.used;
  used_units_ -= kClassUnits[page.size_class];
  if (page.used == 0) {
    // Its entry in partial_ is recognised as stale by the class, so it must not count as listed in the next one.
    if (page.listed) std::erase(partial_[page.size_class], index);
    page.listed = false;
    page.size_class = kNoClass;
    free_pages_.push_back(index);
    return;
  }
  list_if_roomy(index);
}

bool TextArea::claim(std::uint64_t unit, std::uint64_t bytes) {
  if (bytes == 0) return true;
  const std::uint64_t index = unit / kPageUnits;
  if (bytes > kTextMax || index >= pages_.size()) return false;
  const std::uint8_t size_class = class_for(bytes);
  Page& page = pages_[index];
  const auto offset = static_cast<std::uint32_t>(unit % kPageUnits);
  const std::uint32_t object = offset / kClassUnits[size_class];
  if (page.size_class != kNoClass && page.size_class != size_class) return false;
  if (offset % kClassUnits[size_class] != 0 || object >= objects_in_page(size_class)) return false;
  if ((page.taken[object / 64] >> (object % 64) & 1) != 0) return false;
  page.size_class = size_class;
  take(static_cast<std::uint32_t>(index), object);
  list_if_roomy(static_cast<std::uint32_t>(index));
  return true;
}

}  // namespace authcache::shm
