#include "bench/floor.hpp"

#include <fcntl.h>

#include <cstring>

#include "bench/die.hpp"

namespace authcache_bench {

using namespace authcache::shm;

FloorRegion::FloorRegion(const std::filesystem::path& directory, std::uint64_t lines) : lines_(lines) {
  constexpr std::uint64_t kHugePage = 2 << 20;
  const std::uint64_t bytes = round_up(lines * sizeof(Slot), kHugePage);
  const UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd || ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)) != 0)
    die("no room for the floor's region");
  auto mapped = Mapping::map(fd.get(), bytes, true);
  if (!mapped) die(mapped.error().message);
  mapping_ = std::move(*mapped);
  std::memset(mapping_.data(), 1, bytes);
  words_ = reinterpret_cast<const StdAtomics::Word*>(mapping_.data());
}

}  // namespace authcache_bench
