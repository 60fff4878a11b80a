#include "shm/text.hpp"

namespace authcache::shm {
namespace {

constexpr std::size_t kFieldHeadBytes = 3;
constexpr std::size_t kValueMax = 0xffff;

}  // namespace

bool TextBuilder::add(TextField field, std::string_view value) {
  if (value.size() > kValueMax || bytes_.size() + kFieldHeadBytes + value.size() > bytes_max_) return false;
  bytes_.push_back(static_cast<char>(field));
  bytes_.push_back(static_cast<char>(value.size() & 0xff));
  bytes_.push_back(static_cast<char>(value.size() >> 8));
  bytes_.append(value);
  return true;
}

std::optional<TextCursor::Item> TextCursor::next() {
  if (rest_.size() < kFieldHeadBytes) return std::nullopt;
  const std::size_t size = static_cast<std::uint8_t>(rest_[1]) | static_cast<std::size_t>(static_cast<std::uint8_t>(rest_[2])) << 8;
  if (rest_.size() - kFieldHeadBytes < size) return std::nullopt;
  const Item item{static_cast<TextField>(rest_[0]), rest_.substr(kFieldHeadBytes, size)};
  rest_.remove_prefix(kFieldHeadBytes + size);
  return item;
}

bool text_holds(std::string_view bytes, TextField field, std::string_view value) {
  TextCursor cursor(bytes);
  while (const auto item = cursor.next()) {
    if (item->field == field && item->value == value) return true;
  }
  return false;
}

}  // namespace authcache::shm
