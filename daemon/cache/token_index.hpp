// Which slots hold records of a token that is known only by its hash: a JWS by its signing input (a malleated twin
// shares it), any other token by its bytes. Revocation needs it; a scan of the table would stall the writer.
//
// Chains through two arrays of one entry a slot: bounded by construction, no allocation after the start. Loop thread.
#pragma once

#include <cstdint>
#include <vector>

#include "shm/table_writer.hpp"

namespace authcached {

class TokenIndex final : public authcache::shm::SlotObserver {
 public:
  explicit TokenIndex(const authcache::shm::TableView& view);

  void placed(std::uint64_t slot) override;
  void removed(std::uint64_t slot) override;

  // The live slots whose cold part names this token hash (its first 192 bits). Killing while walking is allowed: the
  // answer is a copy.
  [[nodiscard]] std::vector<std::uint64_t> slots_of(const authcache::shm::Key& token) const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  [[nodiscard]] authcache::shm::Key token_at(std::uint64_t slot) const;
  [[nodiscard]] std::size_t chain_of(const authcache::shm::Key& token) const { return token[0] % heads_.size(); }

  const authcache::shm::TableView& view_;
  std::vector<std::uint32_t> heads_;
  std::vector<std::uint32_t> next_;
  std::vector<std::uint32_t> previous_;
};

}  // namespace authcached
