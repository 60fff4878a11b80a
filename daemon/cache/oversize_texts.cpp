#include "daemon/cache/oversize_texts.hpp"

namespace authcached {

void OversizeTexts::put(const authcache::shm::Place& place, std::string text) {
  const Name name{place.generation, place.slot, place.sequence};
  const std::size_t cost = text.size() + kEntryBytes;
  order_.push_back(name);
  if (!texts_.try_emplace(name, std::move(text)).second) {  // a place means one record for ever
    order_.pop_back();
    return;
  }
  bytes_ += cost;
  shrink_to(kBytesMax);
}

void OversizeTexts::shrink_to(std::size_t bytes) {
  while (bytes_ > bytes) {
    const auto oldest = texts_.find(order_.front());
    order_.pop_front();
    bytes_ -= oldest->second.size() + kEntryBytes;
    texts_.erase(oldest);
  }
}

std::string_view OversizeTexts::get(const authcache::shm::Place& place) const {
  const auto found = texts_.find({place.generation, place.slot, place.sequence});
  return found == texts_.end() ? std::string_view{} : std::string_view(found->second);
}

}  // namespace authcached
