// Which slots hold valid records of a subject, a sid, a client or a jti, one chain of slots for each such name and
// kind. Bulk revocation and flush need it; a scan of the table would stall the writer. Loop thread only.
//
// Invariants
// 1. A slot stands in the chain of each name of its record from the moment it is live until the moment it is not. A
//    negative record, which has no text, stands in none.
// 2. A record that moves takes over its old slot's place in every chain, so a Walk passes each record that stood in the
//    chain when it began exactly once, whatever is placed, removed or moved between its steps. What is placed later is
//    put before the head and not passed.
//
// Memory: 4 kinds x 16 bytes (head, next, previous, tag) a slot, 64 bytes a slot or 75 a record of capacity. The arrays
// start as zero pages of the kernel, and 0 is what they begin with: a kind that no record names costs none of it.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "shm/table_writer.hpp"

namespace authcached {

enum class NameKind : std::uint8_t { kSubject, kSid, kClient, kJti };
inline constexpr std::size_t kNameKinds = 4;
[[nodiscard]] authcache::shm::TextField name_field(NameKind kind);

// By NameKind; empty where the record has no such name. Views.
using RecordNames = std::array<std::string_view, kNameKinds>;
[[nodiscard]] RecordNames names_in_text(std::string_view text);

class NameIndex {
 public:
  explicit NameIndex(const authcache::shm::TableView& view);

  // The names of the record that is about to be placed, for as long as they are set; without them placed() reads them
  // beside the record, where those of a text that lies with the daemon (kTextOnSocket) cannot be found.
  void announce(const RecordNames* names) { announced_ = names; }

  void placed(std::uint64_t slot);
  void removed(std::uint64_t slot);
  void moved(std::uint64_t from, std::uint64_t to);

  using WalkId = std::uint64_t;
  [[nodiscard]] WalkId begin_walk(NameKind kind, std::string_view name);
  // The next live slot whose record may have that name (its hash is equal), or nothing at the end. cost grows by the
  // links followed; a step follows at most `links`, and says so by kAgain.
  struct Step {
    enum class What : std::uint8_t { kSlot, kAgain, kEnd } what;
    std::uint64_t slot = 0;
  };
  [[nodiscard]] Step step(WalkId walk, std::uint64_t links, std::uint64_t& cost);
  void end_walk(WalkId walk) { walks_.erase(walk); }

 private:
  // A slot number plus one; 0 is none.
  using Link = std::uint32_t;
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  using Array = std::unique_ptr<std::uint32_t[], Free>;
  struct Chains {
    Array heads, next, previous;
    Array tags;  // hash of the name; 0: this slot stands in no chain of this kind
  };
  struct Walk {
    NameKind kind;
    std::uint32_t tag;
    Link at;
  };

  [[nodiscard]] Array zeros() const;
  [[nodiscard]] std::uint32_t tag_of(NameKind kind, std::string_view name) const;
  [[nodiscard]] std::size_t head_of(std::uint32_t tag) const { return static_cast<std::size_t>((std::uint64_t{tag} * slots_) >> 32); }
  void put(NameKind kind, std::uint64_t slot, std::string_view name);
  void unlink(NameKind kind, std::uint64_t slot);
  void relink(NameKind kind, std::uint64_t from, std::uint64_t to);

  const authcache::shm::TableView& view_;
  std::uint64_t slots_;
  std::uint64_t seed_;
  std::array<Chains, kNameKinds> chains_;
  const RecordNames* announced_ = nullptr;
  std::map<WalkId, Walk> walks_;
  WalkId last_walk_ = 0;
};

}  // namespace authcached
