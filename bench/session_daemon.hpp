// A real authcached over a SQLite database of sessions of its own, each of another subject, for benches that need
// the daemon's part. One thread; the daemon ends with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/server_process.hpp"

namespace authcache_bench {

class SessionDaemon {
 public:
  static constexpr const char* kProfile = "sessions";

  struct Setup {
    std::uint64_t capacity;        // of its table, records
    std::size_t sessions = 100'000;
    std::string profile_lines{};   // further ones of its profile
    std::string sections{};        // further ones of the configuration
  };
  SessionDaemon(std::string program, std::filesystem::path runtime, std::filesystem::path state, Setup setup);

  // Asks for every session through the miss socket, 64 questions in flight; ends the program unless all are
  // valid.
  void ask_all() const;
  // Writes the configuration anew with this capacity and asks for a reload, which replaces the table.
  void reload(std::uint64_t capacity) const;

  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  [[nodiscard]] const std::vector<std::string>& tokens() const { return tokens_; }
  [[nodiscard]] const std::filesystem::path& runtime() const { return runtime_; }
  [[nodiscard]] const std::filesystem::path& database() const { return database_; }
  [[nodiscard]] std::filesystem::path control_socket() const;

 private:
  void fill_database();
  void write_config(std::uint64_t capacity) const;

  std::filesystem::path runtime_, state_, database_;
  Setup setup_;
  std::vector<std::string> tokens_;
  std::unique_ptr<ServerProcess> process_;
};

}  // namespace authcache_bench
