// PgBouncer in transaction mode before a server. It dies with this object.
#pragma once

#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/process/support/child_process.hpp"
#include "tests/support/postgres_server.hpp"

namespace authcache_test {

class Pooler {
 public:
  Pooler(const PostgresServer& server, const std::filesystem::path& directory, const std::string& more)
      : directory_(directory) {
    std::filesystem::create_directory(directory_);
    std::filesystem::permissions(directory_, std::filesystem::perms(0777));
    const auto file = directory_ / "pgbouncer.ini";
    write_file(file, "[databases]\napp = host=" + server.socket_directory().string() +
                         " port=" + std::to_string(server.port()) +
                         " dbname=app user=reader\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = " +
                         directory_.string() + "\nauth_type = any\npool_mode = transaction\n" + more);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    std::vector<std::string> command{kProgram, file.string()};
    if (::geteuid() == 0)
      command.insert(command.begin(),
                     {"/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"});
    process_ = std::make_unique<ChildProcess>(ChildSpec{.argv = command, .environment = {}});
    if (!eventually([&] { return std::filesystem::exists(directory_ / ".s.PGSQL.6432"); }))
      throw std::runtime_error("pgbouncer did not start");
  }
  [[nodiscard]] std::string conninfo() const {
    return "host=" + directory_.string() + " port=6432 dbname=app user=reader";
  }
  static constexpr const char* kProgram = "/usr/sbin/pgbouncer";

 private:
  std::filesystem::path directory_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace authcache_test
