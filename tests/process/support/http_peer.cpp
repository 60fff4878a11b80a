#include "tests/process/support/http_peer.hpp"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

namespace authcache_test {

using authcache::shm::UniqueFd;
using std::chrono::steady_clock;

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

std::string HttpReply::field(std::string_view name) const {
  for (const auto& [each, value] : fields) {
    if (each.size() == name.size() && ::strncasecmp(each.data(), name.data(), name.size()) == 0) return value;
  }
  return {};
}

HttpPeer::HttpPeer(const std::filesystem::path& socket)
    : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fd_ = UniqueFd();
}

HttpPeer::HttpPeer(std::uint16_t port, bool ipv6)
    : fd_(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_in four = loopback(port);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  const auto* address =
      ipv6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  if (::connect(fd_.get(), address, ipv6 ? sizeof six : sizeof four) != 0) fd_ = UniqueFd();
}

bool HttpPeer::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    pollfd ready{fd_.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 5'000) != 1) return false;
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool HttpPeer::fill(std::chrono::milliseconds within) {
  pollfd ready{fd_.get(), POLLIN, 0};
  if (ended_ || ::poll(&ready, 1, static_cast<int>(within.count())) != 1) return false;
  char bytes[64 * 1024];
  const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  ended_ = got <= 0;
  if (got > 0) input_.append(bytes, static_cast<std::size_t>(got));
  return got > 0;
}

HttpReply HttpPeer::receive(bool without_body, std::chrono::milliseconds within) {
  const auto end = steady_clock::now() + within;
  for (;;) {
    const std::size_t header = input_.find("\r\n\r\n");
    if (header != std::string::npos) {
      HttpReply reply;
      reply.status = std::stoi(input_.substr(9, 3));
      for (std::size_t at = input_.find("\r\n") + 2; at < header + 2;) {
        const std::size_t line_end = input_.find("\r\n", at);
        const std::size_t colon = input_.find(": ", at);
        if (colon < line_end)
          reply.fields.emplace_back(input_.substr(at, colon - at),
                                    input_.substr(colon + 2, line_end - colon - 2));
        at = line_end + 2;
      }
      const std::string length = reply.field("Content-Length");
      const std::size_t body = without_body || length.empty() ? 0 : std::stoul(length);
      if (input_.size() >= header + 4 + body) {
        reply.body = input_.substr(header + 4, body);
        reply.bytes = input_.substr(0, header + 4 + body);
        input_.erase(0, header + 4 + body);
        return reply;
      }
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now());
    if (left.count() <= 0 || !fill(left)) return {};
  }
}

HttpReply HttpPeer::ask(std::string_view request) {
  if (!connected() || !send(request)) return {};
  return receive(request.starts_with("HEAD "));
}

bool HttpPeer::is_closed(std::chrono::milliseconds within) {
  const auto end = steady_clock::now() + within;
  while (!ended_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now());
    if (left.count() <= 0) return false;
    (void)fill(left);
  }
  return true;
}

std::string http_get(std::string_view target, const FieldLines& fields, std::string_view method) {
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const std::string& field : fields) request += field + "\r\n";
  return request + "\r\n";
}

std::string http_post(std::string_view target, std::string_view form, const FieldLines& fields) {
  std::string request =
      "POST " + std::string(target) +
      " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
      std::to_string(form.size()) + "\r\n";
  for (const std::string& field : fields) request += field + "\r\n";
  return request + "\r\n" + std::string(form);
}

std::string bearer(std::string_view token) { return "Authorization: Bearer " + std::string(token); }

std::string basic(std::string_view name, std::string_view secret) {
  const std::string text = std::string(name) + ":" + std::string(secret);
  std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  encoded.resize(static_cast<std::size_t>(length));
  return "Authorization: Basic " + encoded;
}

std::uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return 0;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

}  // namespace authcache_test
