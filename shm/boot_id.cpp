#include "shm/boot_id.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include "shm/unique_fd.hpp"

namespace authcache::shm {
namespace {

constexpr const char* kBootIdFile = "/proc/sys/kernel/random/boot_id";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Result<BootId> current_boot_id() {
  const UniqueFd fd(::open(kBootIdFile, O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(std::string("cannot open ") + kBootIdFile + "; mount /proc", errno);
  char text[64];
  const ssize_t size = ::read(fd.get(), text, sizeof text);
  BootId id{};
  unsigned digits = 0;
  for (ssize_t i = 0; i < size && digits < 32; ++i) {
    const int digit = hex_digit(text[i]);
    if (digit < 0) continue;
    id[digits / 16] = (id[digits / 16] << 4) | static_cast<std::uint64_t>(digit);
    ++digits;
  }
  if (digits != 32) return fail(ErrorCode::kSystem, std::string(kBootIdFile) + " does not hold a UUID");
  return id;
}

std::string boot_id_text(const BootId& id) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(id[0]),
                static_cast<unsigned long long>(id[1]));
  return text;
}

}  // namespace authcache::shm
