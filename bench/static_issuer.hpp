// nginx on a loopback port, over TLS with HTTP/2, that answers every question at /introspect with the same
// active answer: an issuer that costs as little as one can. Started by the bench in a directory of its own,
// with a CA of its own; it ends with the bench. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "bench/server_process.hpp"

namespace authcache_bench {

class StaticIssuer {
 public:
  explicit StaticIssuer(std::filesystem::path directory);

  [[nodiscard]] std::string url() const {
    return "https://localhost:" + std::to_string(port_) + "/introspect";
  }
  [[nodiscard]] const std::filesystem::path& ca_file() const { return ca_file_; }

 private:
  void write_config(const std::filesystem::path& certificate, const std::filesystem::path& key) const;

  std::filesystem::path directory_, ca_file_;
  std::uint16_t port_;
  std::unique_ptr<ServerProcess> process_;
};

}  // namespace authcache_bench
