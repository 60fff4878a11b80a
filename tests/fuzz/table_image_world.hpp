// A small real table, bent by an input: eight records of every kind, and the steps that change any of its
// words, its size and its order. The bytes live in a heap block of exactly the file's size, so that a
// sanitizer sees every access beyond it; only the header passes through a file, for the real open and its
// checks.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "shm/table_file.hpp"
#include "shm/unique_fd.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temp_table.hpp"

namespace authcache_fuzz {

inline constexpr std::size_t kRecords = 8;
inline constexpr std::uint64_t kMainId = 0x1111;
inline constexpr std::uint64_t kOtherId = 0x2222;

struct BentTable {
  bool pristine_header = true;  // nothing that the checks of open look at was changed
  std::uint64_t file_bytes = 0;
  std::byte* image = nullptr;  // at least as large as any geometry that opens
};

class TableWorld {
 public:
  TableWorld();
  TableWorld(const TableWorld&) = delete;
  TableWorld& operator=(const TableWorld&) = delete;

  // A fresh copy of the table with the steps of `bytes` applied.
  [[nodiscard]] BentTable bend(Bytes& bytes);
  // The real open of the file with this header. Its view looks at the image.
  [[nodiscard]] authcache::shm::Result<authcache::shm::TableFile> open(const BentTable& table, bool writable);

  [[nodiscard]] const authcache::shm::Place& place(std::size_t record) const { return places_[record]; }
  [[nodiscard]] static std::string token(std::size_t record) { return "token-" + std::to_string(record); }
  [[nodiscard]] static std::uint64_t profile_of(std::size_t record) {
    return record == 6 ? kOtherId : kMainId;
  }

 private:
  struct Aligned {
    void operator()(std::byte* block) const { std::free(block); }
  };
  void admit(std::size_t record);
  [[nodiscard]] std::uint64_t take_value(Bytes& bytes) const;
  void step(Bytes& bytes, BentTable& table);
  void store(BentTable& table, std::uint64_t offset, std::uint64_t value);
  [[nodiscard]] authcache::shm::TableView image_view() const;
  void mend_checksum(std::size_t record);

  authcache_test::TempTable table_;
  authcache::shm::UniqueFd file_;
  std::array<authcache::shm::Place, kRecords> places_;
  std::string pristine_;
  std::uint64_t image_bytes_ = 0;
  std::unique_ptr<std::byte[], Aligned> image_;
};

}  // namespace authcache_fuzz
