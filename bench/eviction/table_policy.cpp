#include "bench/eviction/table_policy.hpp"

#include <stdexcept>
#include <vector>

#include "shm/coarse_clock.hpp"
#include "shm/table_writer.hpp"

namespace authcache_eviction {
namespace {

namespace shm = authcache::shm;

constexpr std::uint64_t kNowNs = 1'000 * shm::kNsPerSecond;
constexpr std::uint64_t kDeadlineNs = 1'000'000 * shm::kNsPerSecond;

shm::TableFile make_file(const Size& size, const std::filesystem::path& directory) {
  auto file = shm::create_table(directory, {.capacity = size.capacity,
                                            .text_bytes_per_record = shm::kTextBytesPerRecordMin,
                                            .heartbeat_timeout_ns = 10 * shm::kNsPerSecond,
                                            .negative_max = 0,
                                            .generation = 1});
  if (!file) throw std::runtime_error(file.error().message);
  return std::move(*file);
}

// Any uniform 192 bits do for a digest: three steps of SplitMix64.
shm::Key key_of_number(KeyNumber number) {
  shm::Key key;
  std::uint64_t state = std::uint64_t{number} * key.size();
  for (std::uint64_t& word : key) {
    std::uint64_t z = ++state * 0x9e37'79b9'7f4a'7c15;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    word = z ^ (z >> 31);
  }
  return key;
}

class Table : public Policy {
 public:
  Table(const Size& size, const std::filesystem::path& directory)
      : writer_(make_file(size, directory)), hints_(writer_.view().geometry.slots) {
    writer_.set_recency(hints_.data());
  }

  bool request(KeyNumber number) override {
    const shm::Key key = key_of_number(number);
    if (shm::Found found; writer_.find(key, found)) {
      if (hints_[found.slot] == 0) hints_[found.slot] = 1;
      return true;
    }
    shm::RecordSpec spec;
    spec.key = key;
    spec.deadline = kDeadlineNs;
    spec.epoch = writer_.epoch();
    if (!writer_.insert(spec, kNowNs)) throw std::runtime_error("the table refused a positive record");
    return false;
  }

 private:
  shm::TableWriter writer_;
  std::vector<std::uint8_t> hints_;
};

}  // namespace

std::unique_ptr<Policy> make_table(const Size& size, const std::filesystem::path& tmpfs_directory) {
  return std::make_unique<Table>(size, tmpfs_directory);
}

}  // namespace authcache_eviction
