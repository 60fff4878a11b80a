#include "bench/static_issuer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <ctime>
#include <fstream>

#include "bench/die.hpp"
#include "tests/support/test_ca.hpp"

namespace authcache_bench {
namespace {

constexpr std::time_t kLifeSeconds = 6 * 3600;

// Free a moment ago: nginx takes no port of the kernel's choice.
std::uint16_t free_port() {
  const authcache::shm::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    die("no port is free");
  }
  return ntohs(address.sin_port);
}

std::string active_answer() {
  const std::time_t now = std::time(nullptr);
  return R"({"active":true,"token_type":"Bearer","client_id":"web","sub":"3f2c1e9a-5b47-4d0e-9c86-7a1b2c3d4e5f",)"
         R"("aud":"api","scope":"orders:read orders:write","iat":)" +
         std::to_string(now) + R"(,"exp":)" + std::to_string(now + kLifeSeconds) + "}";
}

}  // namespace

StaticIssuer::StaticIssuer(std::filesystem::path directory)
    : directory_(std::filesystem::absolute(directory)), port_(free_port()) {
  std::filesystem::create_directories(directory_);
  const authcached::testing::TestCa ca(directory_);
  ca_file_ = ca.file();
  const auto leaf = ca.leaf("localhost", "DNS:localhost");
  write_config(leaf.certificate, leaf.key);
  const std::string place = directory_.string();
  const std::vector<std::string> command{
      "nginx", "-p", place, "-e", place + "/error.log", "-c", place + "/nginx.conf"};
  process_ = std::make_unique<ServerProcess>(command, directory_ / "ready.sock");
}

// One process, as no more than a core is left for it. keepalive_requests: nginx closes a connection after 1
// 000 requests by default; h2load does not come back after that. The unix socket only tells that it is up.
void StaticIssuer::write_config(const std::filesystem::path& certificate,
                                const std::filesystem::path& key) const {
  std::ofstream out(directory_ / "nginx.conf");
  out << "daemon off;\nmaster_process off;\npid " << (directory_ / "nginx.pid").string() << ";\nerror_log "
      << (directory_ / "error.log").string()
      << ";\nevents { worker_connections 64; }\nhttp {\n  access_log off;\n";
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    out << "  " << kind << "_temp_path " << (directory_ / kind).string() << ";\n";
  out << "  server {\n    listen 127.0.0.1:" << port_
      << " ssl http2;\n    listen unix:" << (directory_ / "ready.sock").string() << ";\n    ssl_certificate "
      << certificate.string() << ";\n    ssl_certificate_key " << key.string()
      << ";\n    keepalive_requests 1000000000;\n    keepalive_timeout 1h;\n    location = /introspect {\n"
         "      default_type application/json;\n      return 200 '"
      << active_answer() << "';\n    }\n  }\n}\n";
  if (!out.flush()) die("cannot write nginx's configuration");
}

}  // namespace authcache_bench
