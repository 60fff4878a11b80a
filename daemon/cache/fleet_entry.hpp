// One revocation as hosts of a fleet tell it each other: a rule, who made it, and a signature over both.
// Pure.
//
// Signed because Redis is no authority: whoever can write to it, by a leaked password or through another
// program's injection, could otherwise void every record of every host (a rule on everything). The signature
// (HMAC-SHA256) covers the name of the fleet's key, so that an entry of one fleet is none in another, and
// every byte of the rule. That an old entry is told again does no harm: a rule is only ever tightened by it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "daemon/base/secret_file.hpp"
#include "daemon/cache/rule_set.hpp"
#include "shm/result.hpp"

namespace authcached {

using HostId = std::array<std::uint8_t, 16>;  // of the state database
[[nodiscard]] std::string host_id_text(const HostId& host);

struct FleetEntry {
  HostId host{};
  std::uint64_t change = 0;    // of that host: with it the entry's identity
  std::uint64_t previous = 0;  // change of the entry that the host published before this one; 0: none
  Rule rule;                   // kind, scope, value, not-before, creation by the host's wall clock, life

  [[nodiscard]] bool operator==(const FleetEntry& other) const;
};

class FleetSeal {
 public:
  // Shorter secrets can be searched for by who reads an entry.
  static constexpr std::size_t kSecretBytesMin = 32;

  // name: of this fleet's keys. Reads the file on the calling thread.
  static authcache::shm::Result<FleetSeal> load(const std::filesystem::path& key_file, std::string name);

  [[nodiscard]] std::string seal(const FleetEntry& entry) const;
  // The error says what is wrong, never what stood there.
  [[nodiscard]] authcache::shm::Result<FleetEntry> open(std::string_view sealed) const;

 private:
  FleetSeal(SecretText secret, std::string name) : secret_(std::move(secret)), name_(std::move(name)) {}
  [[nodiscard]] Sha256 signature(std::string_view payload) const;

  SecretText secret_;
  std::string name_;
};

// Under which name the copy of all rules keeps what this host says of the rule's identity: one place a host
// and identity, so that nobody's looser rule takes the place of another's.
[[nodiscard]] std::string copy_place(const HostId& host, const Rule& rule);

}  // namespace authcached
