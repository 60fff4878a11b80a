#include "tests/support/fault_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

namespace authcached::testing {

namespace {

constexpr int kPatienceSeconds = 30;  // a script that hangs fails its test, and not the whole suite

class Side final : public ServerSide {
 public:
  Side(int fd, SSL* ssl, int number) : fd_(fd), ssl_(ssl), number_(number) {}

  std::string read_some() override {
    char bytes[16 * 1024];
    for (;;) {
      const long got =
          ssl_ != nullptr ? SSL_read(ssl_, bytes, sizeof bytes) : ::recv(fd_, bytes, sizeof bytes, 0);
      if (got > 0) return {bytes, static_cast<std::size_t>(got)};
      if (ssl_ == nullptr && got < 0 && errno == EINTR) continue;
      return {};
    }
  }
  std::string read_until(std::string_view mark) override {
    std::string all;
    while (all.find(mark) == std::string::npos) {
      const std::string more = read_some();
      if (more.empty()) return all;
      all += more;
    }
    return all;
  }
  bool write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const long wrote = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                         : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (wrote < 0 && ssl_ == nullptr && errno == EINTR) continue;
      if (wrote <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
  }
  void goodbye() override {
    if (ssl_ != nullptr) SSL_shutdown(ssl_);
  }
  void reset() override {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  void end() override { ::shutdown(fd_, SHUT_WR); }
  bool stay() override {
    while (!read_some().empty()) {
    }
    return true;
  }
  int number() const override { return number_; }

 private:
  int fd_;
  SSL* ssl_;
  int number_;
};

int choose(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
           unsigned int in_size, void* wanted) {
  const auto& protocol = *static_cast<const std::string*>(wanted);
  for (unsigned int at = 0; at < in_size; at += in[at] + 1U) {
    if (std::string_view(reinterpret_cast<const char*>(in + at + 1), in[at]) != protocol) continue;
    *out = in + at + 1;
    *out_size = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

std::shared_ptr<void> context_for(FaultServerOptions& options) {
  if (!options.leaf) return nullptr;
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  std::shared_ptr<void> owner(context,
                              [](void* ssl_context) { SSL_CTX_free(static_cast<SSL_CTX*>(ssl_context)); });
  if (options.tls_version_max != 0) {
    SSL_CTX_set_security_level(context, 0);  // old versions are forbidden at the usual one
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, options.tls_version_max);
  }
  if (SSL_CTX_use_certificate_chain_file(context, options.leaf->certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.leaf->key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw std::runtime_error("the test's certificate cannot be used");
  }
  SSL_CTX_set_alpn_select_cb(context, choose, &options.protocol);
  return owner;
}

}  // namespace

FaultServer::FaultServer(FaultServerOptions options, Script script)
    : options_(std::move(options)), script_(std::move(script)) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to a socket without saying that it wants no signal
  context_ = context_for(options_);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, options_.address, &address.sin_addr);
  address.sin_port = htons(options_.port);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 128) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no loopback port to listen on");
  }
  port_ = ntohs(address.sin_port);
  if (options_.accept) acceptor_ = std::thread([this] { accept_all(); });
}

FaultServer::~FaultServer() {
  refuse_more();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

void FaultServer::refuse_more() {
  if (ending_.exchange(true)) return;
  if (acceptor_.joinable()) acceptor_.join();
  ::close(listener_);
}

std::string FaultServer::url(std::string_view path) const {
  return (options_.leaf ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) +
         std::string(path);
}

void FaultServer::accept_all() {
  while (!ending_) {
    pollfd ready{listener_, POLLIN, 0};
    if (::poll(&ready, 1, 20) <= 0) continue;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const timeval patience{kPatienceSeconds, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd, number = connections_++] { serve(fd, number); });
  }
}

void FaultServer::serve(int fd, int number) {
  SSL* ssl = nullptr;
  if (context_) {
    ssl = SSL_new(static_cast<SSL_CTX*>(context_.get()));
    SSL_set_fd(ssl, fd);
  }
  if (ssl == nullptr || SSL_accept(ssl) == 1) {
    Side side(fd, ssl, number);
    script_(side);
  }
  if (ssl != nullptr) SSL_free(ssl);
  ERR_clear_error();
  const std::lock_guard lock(mutex_);
  open_.remove(fd);
  ::close(fd);
}

}  // namespace authcached::testing
