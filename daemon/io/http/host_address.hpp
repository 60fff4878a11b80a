// An IP address of a server, as name resolution gives it and a connection takes it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace authcached {

struct HostAddress {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // the first four for IPv4
  std::uint32_t scope = 0;

  bool operator==(const HostAddress&) const = default;
  [[nodiscard]] bool loopback() const {
    if (!v6) return bytes[0] == 127;
    std::array<std::uint8_t, 16> one{};
    one[15] = 1;
    return bytes == one;
  }
};

}  // namespace authcached
