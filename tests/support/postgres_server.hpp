// A real PostgreSQL server with a data directory of its own: on a unix socket, and on a port of the loopback
// address with TLS where a certificate is given. It dies with this object, and with the process. Postgres
// refuses to run as root, so there it runs as the user that its package made. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace authcache_test {

struct PostgresTls {
  std::filesystem::path certificate, key;
};

class PostgresServer {
 public:
  // Why no server can run here; "" if one can.
  [[nodiscard]] static std::string missing();

  // Makes the database cluster below `directory` (short: the socket's path must fit) and starts the server.
  explicit PostgresServer(const std::filesystem::path& directory, const PostgresTls& tls = {});
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;
  ~PostgresServer();

  void start();
  void stop();           // "fast": connections are ended, and it waits for that
  void kill();           // SIGKILL to the server and all of its processes
  void suspend() const;  // all of its processes stand still
  void resume() const;

  // Runs SQL as the superuser and gives the first value of the last result, "" if there is none;
  // std::runtime_error with the server's words where it fails.
  std::string sql(const std::string& text, const std::string& database = "app") const;

  [[nodiscard]] const std::filesystem::path& socket_directory() const { return directory_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // What leads there by socket, for `user`; and by TLS, trusting the authority.
  [[nodiscard]] std::string conninfo(const std::string& user = "reader") const;
  [[nodiscard]] std::string tls_conninfo(const std::filesystem::path& authority,
                                         const std::string& user = "reader") const;

 private:
  [[nodiscard]] std::vector<pid_t> processes() const;
  void run_to_end(const std::vector<std::string>& arguments) const;

  std::filesystem::path directory_, data_;
  std::uint16_t port_;
  pid_t pid_ = -1;
};

}  // namespace authcache_test
