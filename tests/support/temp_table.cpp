#include "tests/support/temp_table.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <stdexcept>
#include <string>

#include "shm/coarse_clock.hpp"

namespace authcache_test {

namespace shm = authcache::shm;

namespace {

shm::TableWriter make_named_table(const std::filesystem::path& dir, const shm::TableSpec& spec) {
  auto file = shm::create_table(dir, spec);
  if (!file) throw std::runtime_error(file.error().message);
  shm::publish_table(file->view);
  if (auto named = shm::name_table(*file, dir); !named) throw std::runtime_error(named.error().message);
  shm::TableWriter writer(std::move(*file));
  writer.beat(shm::coarse_now_ns());
  return writer;
}

}  // namespace

TempTableDirectory::TempTableDirectory() {
  std::string name = "/dev/shm/authcache-test.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path_ = name;
  if (::chmod(name.c_str(), 0750) != 0) throw std::runtime_error("cannot chmod " + name);
}

TempTableDirectory::~TempTableDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

shm::TableSpec small_table_spec() {
  return {.capacity = shm::kCapacityMin,
          .text_bytes_per_record = 256,
          .heartbeat_timeout_ns = 10 * shm::kNsPerSecond,
          .negative_max = 100,
          .generation = 1};
}

TempTable::TempTable(const shm::TableSpec& spec) : writer_(make_named_table(directory_.path(), spec)) {}

std::filesystem::path TempTable::file() const { return dir() / shm::table_file_name(view().generation); }

shm::TableFile TempTable::open_again(bool writable) const {
  auto opened = shm::open_table(file(), {.writable = writable});
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(*opened);
}

}  // namespace authcache_test
