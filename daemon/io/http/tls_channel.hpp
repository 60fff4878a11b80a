// TLS without a socket: ciphertext goes in, plaintext comes out, and the other way. TLS 1.2 at least; the
// certificate must name the host that was asked for, and a stream that ends without TLS saying so is told
// apart from one that ended.
//
// Loop thread only. A context outlives its channels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/io/http/exchange.hpp"
#include "shm/result.hpp"

namespace authcached {

// Who is trusted, and the sessions that servers let resume.
class TlsContext {
 public:
  // An empty ca_file trusts the system's store.
  static authcache::shm::Result<std::unique_ptr<TlsContext>> create(const std::filesystem::path& ca_file,
                                                                    bool offer_http2);
  // The same for a protocol that has no name in ALPN.
  static authcache::shm::Result<std::unique_ptr<TlsContext>> create_unnamed(const std::filesystem::path& ca_file);
  ~TlsContext();

  struct Impl;
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  static authcache::shm::Result<std::unique_ptr<TlsContext>> create_offering(const std::filesystem::path& ca_file,
                                                                             std::string_view protocols);
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class TlsChannel {
 public:
  // origin names whose session may be resumed: never one of another host or port.
  static authcache::shm::Result<std::unique_ptr<TlsChannel>> create(TlsContext& context, const HttpUrl& url);
  ~TlsChannel();

  // The first call, with nothing, begins the handshake. Appends what could be read; a failure ends the
  // channel.
  [[nodiscard]] std::optional<Failure> receive(std::string_view ciphertext, std::string& plaintext);
  // Only once established.
  [[nodiscard]] std::optional<Failure> send(std::string_view plaintext);
  void say_goodbye();
  // Moves what is to be sent behind what stands in out.
  void take_output(std::string& out);

  [[nodiscard]] bool established() const;
  [[nodiscard]] bool ended() const;  // the other side said that nothing more comes
  [[nodiscard]] bool resumed() const;
  [[nodiscard]] bool http2() const;

  struct Impl;

 private:
  explicit TlsChannel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace authcached
