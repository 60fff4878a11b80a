#include "bench/memcached_connection.hpp"

#include <sys/socket.h>

#include <cstring>

#include "bench/die.hpp"
#include "bench/server_process.hpp"

namespace authcache_bench {

MemcachedConnection::MemcachedConnection(const std::filesystem::path& socket) : fd_(connect_to(socket)) {
  if (!fd_) die("memcached refused the connection");
}

void MemcachedConnection::write_name(const authcache::shm::Key& key, char* to) {
  constexpr char kHex[] = "0123456789abcdef";
  char bytes[sizeof key];
  std::memcpy(bytes, key.data(), sizeof bytes);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    *to++ = kHex[byte >> 4];
    *to++ = kHex[byte & 15];
  }
}

void MemcachedConnection::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) die("memcached closed the connection");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string_view MemcachedConnection::receive_until(std::string_view end) {
  std::size_t used = 0;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), answer_ + used, sizeof answer_ - used, 0);
    if (got <= 0) die("memcached closed the connection");
    used += static_cast<std::size_t>(got);
    const std::string_view answer(answer_, used);
    if (answer.ends_with(end)) return answer;
  }
}

void MemcachedConnection::set(const authcache::shm::Key& key, std::string_view value) {
  constexpr std::size_t kPendingMax = 256 * 1024;
  char name[kNameBytes];
  write_name(key, name);
  pending_.append("set ").append(name, sizeof name).append(" 0 0 ").append(std::to_string(value.size()));
  pending_.append(" noreply\r\n").append(value).append("\r\n");
  if (pending_.size() > kPendingMax) {
    send_all(pending_);
    pending_.clear();
  }
}

void MemcachedConnection::flush() {
  send_all(pending_);
  pending_.clear();
  if (version().empty()) die("memcached did not take the records");
}

bool MemcachedConnection::get(const authcache::shm::Key& key, void* value, std::size_t size) {
  char request[4 + kNameBytes + 2] = {'g', 'e', 't', ' '};
  write_name(key, request + 4);
  request[4 + kNameBytes] = '\r';
  request[4 + kNameBytes + 1] = '\n';
  send_all({request, sizeof request});
  const std::string_view answer = receive_until("END\r\n");
  const std::size_t line = answer.find("\r\n");
  if (!answer.starts_with("VALUE ") || answer.size() < line + 2 + size) return false;
  std::memcpy(value, answer.data() + line + 2, size);
  return true;
}

std::string MemcachedConnection::version() {
  send_all("version\r\n");
  std::string_view answer = receive_until("\r\n");
  answer.remove_suffix(2);
  return std::string(answer.substr(answer.find(' ') + 1));
}

}  // namespace authcache_bench
