#include "daemon/cache/oversize_texts.hpp"

namespace authcached {

void OversizeTexts::put(const authcache::shm::Place& place, std::string text) {
  bytes_ += text.size();
  const Name name{place.generation, place.slot, place.sequence};
  texts_.insert_or_assign(name, std::move(text));  // a place occurs once, so nothing is replaced
  order_.push_back(name);
  while (bytes_ > kBytesMax) {
    const auto oldest = texts_.find(order_.front());
    order_.pop_front();
    bytes_ -= oldest->second.size();
    texts_.erase(oldest);
  }
}

std::string_view OversizeTexts::get(const authcache::shm::Place& place) const {
  const auto found = texts_.find({place.generation, place.slot, place.sequence});
  return found == texts_.end() ? std::string_view{} : std::string_view(found->second);
}

}  // namespace authcached
