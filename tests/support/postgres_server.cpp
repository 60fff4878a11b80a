#include "tests/support/postgres_server.hpp"

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>

namespace authcache_test {

namespace fs = std::filesystem;

namespace {

constexpr auto kPatience = std::chrono::seconds(30);

// Debian keeps each major version's programs in a directory of its own.
fs::path programs() {
  fs::path newest;
  std::error_code none;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", none)) {
    if (fs::exists(version.path() / "bin/initdb") && version.path() > newest) newest = version.path();
  }
  return newest.empty() ? newest : newest / "bin";
}

const passwd* server_user() { return ::getpwnam("postgres"); }

// Between fork and exec.
void become_server_user() {
  if (::geteuid() != 0) return;
  const passwd* const user = server_user();
  if (user == nullptr || ::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 ||
      ::setuid(user->pw_uid) != 0)
    ::_exit(126);
}

pid_t launch(std::vector<std::string> arguments, const fs::path& log) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("cannot fork");
  if (pid != 0) return pid;
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  become_server_user();
  // After the change of user, which would clear it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::chdir("/") != 0) ::_exit(126);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::string PostgresServer::missing() {
  if (programs().empty()) return "no PostgreSQL server is installed (package postgresql)";
  if (::geteuid() == 0 && server_user() == nullptr)
    return "the user postgres is missing, and no server runs as root";
  return {};
}

PostgresServer::PostgresServer(const fs::path& directory, const PostgresTls& tls)
    : directory_(directory), data_(directory / "data"), port_(free_port()) {
  fs::create_directories(directory_);
  if (::geteuid() == 0 && ::chown(directory_.c_str(), server_user()->pw_uid, server_user()->pw_gid) != 0)
    throw std::runtime_error("cannot give a directory away");
  run_to_end({programs() / "initdb", "-D", data_, "-U", "admin", "--auth=trust", "--no-sync",
              "--encoding=UTF8", "--locale=C.UTF-8"});
  std::ofstream settings(data_ / "postgresql.conf", std::ios::app);
  settings << "listen_addresses = '127.0.0.1'\nport = " << port_ << "\nunix_socket_directories = '"
           << directory_.string()
           << "'\nfsync = off\nfull_page_writes = off\nmax_connections = 30\nshared_buffers = "
              "64MB\nautovacuum = off\n"
              "log_min_messages = warning\npassword_encryption = 'scram-sha-256'\n";
  if (!tls.certificate.empty()) {
    for (const auto& [from, to] :
         {std::pair{tls.certificate, "server.crt"}, std::pair{tls.key, "server.key"}}) {
      fs::copy_file(from, data_ / to);
      fs::permissions(data_ / to, fs::perms::owner_read | fs::perms::owner_write);
      if (::geteuid() == 0 &&
          ::chown((data_ / to).c_str(), server_user()->pw_uid, server_user()->pw_gid) != 0)
        throw std::runtime_error("cannot give a key away");
    }
    settings << "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n";
  }
  settings.close();
  std::ofstream(data_ / "pg_hba.conf", std::ios::trunc)
      << "local all admin trust\nlocal all reader trust\nlocal all all scram-sha-256\n"
      << "hostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 reject\n";
  start();
  sql("CREATE DATABASE app", "postgres");
  sql("CREATE ROLE reader LOGIN PASSWORD 'reader-secret'; CREATE ROLE guarded LOGIN PASSWORD "
      "'guarded-secret'");
}

PostgresServer::~PostgresServer() {
  kill();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void PostgresServer::run_to_end(const std::vector<std::string>& arguments) const {
  int status = 0;
  const pid_t pid = launch(arguments, directory_ / "log");
  if (::waitpid(pid, &status, 0) != pid || status != 0)
    throw std::runtime_error(arguments[0] + " failed:\n" + text_of(directory_ / "log"));
}

void PostgresServer::start() {
  pid_ = launch({programs() / "postgres", "-D", data_}, directory_ / "log");
  const auto end = std::chrono::steady_clock::now() + kPatience;
  const std::string where =
      "host=" + directory_.string() + " port=" + std::to_string(port_) + " dbname=postgres user=admin";
  while (PQping(where.c_str()) != PQPING_OK) {
    const bool ended = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("postgres did not start:\n" + text_of(directory_ / "log"));
    // Processes of one that was killed may still hold its memory for a moment.
    if (ended) pid_ = launch({programs() / "postgres", "-D", data_}, directory_ / "log");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void PostgresServer::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGINT);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

// The server first: it must not start others in place of those that went.
std::vector<pid_t> PostgresServer::processes() const {
  std::vector<pid_t> pids{pid_};
  std::ifstream children("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children");
  for (pid_t child = 0; children >> child;) pids.push_back(child);
  return pids;
}

void PostgresServer::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGSTOP);
  for (const pid_t pid : processes()) ::kill(pid, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void PostgresServer::suspend() const {
  ::kill(pid_, SIGSTOP);
  for (const pid_t pid : processes()) ::kill(pid, SIGSTOP);
}

void PostgresServer::resume() const {
  for (const pid_t pid : processes()) ::kill(pid, SIGCONT);
}

std::string PostgresServer::conninfo(const std::string& user) const {
  return "host=" + directory_.string() + " port=" + std::to_string(port_) + " dbname=app user=" + user;
}

std::string PostgresServer::tls_conninfo(const fs::path& authority, const std::string& user) const {
  return "host=localhost hostaddr=127.0.0.1 port=" + std::to_string(port_) + " dbname=app user=" + user +
         " sslmode=verify-full sslrootcert=" + authority.string();
}

std::string PostgresServer::sql(const std::string& text, const std::string& database) const {
  const std::string where =
      "host=" + directory_.string() + " port=" + std::to_string(port_) + " user=admin dbname=" + database;
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(where.c_str()), PQfinish);
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection.get(), text.c_str()),
                                                              PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    throw std::runtime_error(text.substr(0, 200) + ": " + PQerrorMessage(connection.get()));
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

}  // namespace authcache_test
