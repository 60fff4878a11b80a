#include "daemon/cache/name_index.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <new>

#include "daemon/base/random.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr std::array<NameKind, kNameKinds> kAllKinds = {NameKind::kSubject, NameKind::kSid, NameKind::kClient, NameKind::kJti};

std::size_t index_of(NameKind kind) { return static_cast<std::size_t>(kind); }

// Keyed, so that nobody who picks his session ids can make one chain of them all.
std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes{};
  if (!fill_random(bytes)) return 0;  // as right as with them; only its cost can be attacked
  std::uint64_t seed = 0;
  for (const std::uint8_t byte : bytes) seed = seed << 8 | byte;
  return seed;
}

}  // namespace

shm::TextField name_field(NameKind kind) {
  switch (kind) {
    case NameKind::kSubject: return shm::TextField::kSubject;
    case NameKind::kSid: return shm::TextField::kSid;
    case NameKind::kClient: return shm::TextField::kClientId;
    case NameKind::kJti: break;
  }
  return shm::TextField::kJti;
}

RecordNames names_in_text(std::string_view text) {
  RecordNames names;
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    for (const NameKind kind : kAllKinds) {
      if (item->field == name_field(kind)) names[index_of(kind)] = item->value;
    }
  }
  return names;
}

NameIndex::NameIndex(const shm::TableView& view) : view_(view), slots_(view.geometry.slots), seed_(random_seed()) {
  for (Chains& chains : chains_) chains = {zeros(), zeros(), zeros(), zeros()};
}

NameIndex::Array NameIndex::zeros() const {
  Array array(static_cast<std::uint32_t*>(std::calloc(slots_, sizeof(std::uint32_t))));
  if (!array) throw std::bad_alloc();
  return array;
}

std::uint32_t NameIndex::tag_of(NameKind kind, std::string_view name) const {
  const std::uint64_t hash = XXH3_64bits_withSeed(name.data(), name.size(), seed_ + index_of(kind));
  const auto tag = static_cast<std::uint32_t>(hash);
  return tag == 0 ? 1 : tag;
}

void NameIndex::placed(std::uint64_t slot) {
  const auto put_all = [&](const RecordNames& names) {
    for (const NameKind kind : kAllKinds) {
      if (!names[index_of(kind)].empty()) put(kind, slot, names[index_of(kind)]);
    }
  };
  if (announced_ != nullptr) return put_all(*announced_);
  const std::uint64_t control = shm::StdAtomics::load_relaxed(view_.slot(slot).control);
  if (shm::unpack_facts(shm::StdAtomics::load_relaxed(view_.slot(slot).facts)).verdict != shm::Verdict::kValid) return;
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  shm::ColdRecord cold;
  if (const auto text = shm::read_text(view_, slot, control, buffer, cold)) put_all(names_in_text(*text));
}

void NameIndex::put(NameKind kind, std::uint64_t slot, std::string_view name) {
  Chains& chains = chains_[index_of(kind)];
  const std::uint32_t tag = tag_of(kind, name);
  const auto link = static_cast<Link>(slot + 1);
  Link& head = chains.heads[head_of(tag)];
  chains.tags[slot] = tag;
  chains.next[slot] = head;
  chains.previous[slot] = 0;
  if (head != 0) chains.previous[head - 1] = link;
  head = link;
}

void NameIndex::removed(std::uint64_t slot) {
  for (const NameKind kind : kAllKinds) unlink(kind, slot);
}

void NameIndex::unlink(NameKind kind, std::uint64_t slot) {
  Chains& chains = chains_[index_of(kind)];
  if (chains.tags[slot] == 0) return;
  const Link next = chains.next[slot];
  const Link previous = chains.previous[slot];
  (previous != 0 ? chains.next[previous - 1] : chains.heads[head_of(chains.tags[slot])]) = next;
  if (next != 0) chains.previous[next - 1] = previous;
  chains.tags[slot] = 0;
  for (auto& [id, walk] : walks_) {
    if (walk.kind == kind && walk.at == slot + 1) walk.at = next;
  }
}

void NameIndex::moved(std::uint64_t from, std::uint64_t to) {
  for (const NameKind kind : kAllKinds) relink(kind, from, to);
}

void NameIndex::relink(NameKind kind, std::uint64_t from, std::uint64_t to) {
  Chains& chains = chains_[index_of(kind)];
  const std::uint32_t tag = chains.tags[from];
  if (tag == 0) return;
  const auto link = static_cast<Link>(to + 1);
  const Link next = chains.next[from];
  const Link previous = chains.previous[from];
  (previous != 0 ? chains.next[previous - 1] : chains.heads[head_of(tag)]) = link;
  if (next != 0) chains.previous[next - 1] = link;
  chains.next[to] = next;
  chains.previous[to] = previous;
  chains.tags[to] = tag;
  chains.tags[from] = 0;
  for (auto& [id, walk] : walks_) {
    if (walk.kind == kind && walk.at == from + 1) walk.at = link;
  }
}

NameIndex::WalkId NameIndex::begin_walk(NameKind kind, std::string_view name) {
  const std::uint32_t tag = tag_of(kind, name);
  walks_.emplace(++last_walk_, Walk{kind, tag, chains_[index_of(kind)].heads[head_of(tag)]});
  return last_walk_;
}

NameIndex::Step NameIndex::step(WalkId id, std::uint64_t links, std::uint64_t& cost) {
  const auto found = walks_.find(id);
  if (found == walks_.end()) return {Step::What::kEnd};
  Walk& walk = found->second;
  const Chains& chains = chains_[index_of(walk.kind)];
  for (std::uint64_t followed = 0; walk.at != 0; ++followed) {
    if (followed == links) return {Step::What::kAgain};
    const std::uint64_t slot = walk.at - 1;
    walk.at = chains.next[slot];
    ++cost;
    if (chains.tags[slot] == walk.tag) return {Step::What::kSlot, slot};
  }
  return {Step::What::kEnd};
}

}  // namespace authcached
