#include "daemon/io/http/tls_channel.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "daemon/io/http/secret_text.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::Result;

namespace {

// A record's plaintext at most, so that one read empties what one record brought.
constexpr std::size_t kReadBytes = 16 * 1024;
// Sessions kept for one origin: connections are made one or a few at a time, and each resumption brings new
// ones.
constexpr std::size_t kSessionsKept = 4;
constexpr std::size_t kOriginsKept = 32;  // twice as many as one client talks to
// A resumed session was verified when it began: an hour later the certificate is looked at again.
constexpr long kSessionSeconds = 3600;
// Intermediates on the way to a root. Public chains have two; each costs a signature check.
constexpr int kChainDepthMax = 6;

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};

// The newest sentence of OpenSSL's queue, which is empty afterwards.
std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

}  // namespace

struct TlsContext::Impl {
  std::unique_ptr<SSL_CTX, SslFree> context;
  std::map<std::string, std::vector<std::unique_ptr<SSL_SESSION, SslFree>>>
      sessions;  // by origin, the newest last

  void keep(const std::string& origin, SSL_SESSION* session);
  SSL_SESSION* newest(const std::string& origin);
};

struct TlsChannel::Impl {
  std::unique_ptr<SSL, SslFree> ssl;
  TlsContext::Impl* context = nullptr;
  std::string origin;
  BIO* in = nullptr;  // both are ssl's
  BIO* out = nullptr;
  bool established = false;
  bool ended = false;
};

namespace {

int session_came(SSL* ssl, SSL_SESSION* session) {
  auto* const channel = static_cast<TlsChannel::Impl*>(SSL_get_app_data(ssl));
  channel->context->keep(channel->origin, session);
  return 1;  // the reference is ours now
}

}  // namespace

void TlsContext::Impl::keep(const std::string& origin, SSL_SESSION* session) {
  std::unique_ptr<SSL_SESSION, SslFree> kept(session);
  if (!sessions.contains(origin) && sessions.size() == kOriginsKept) sessions.erase(sessions.begin());
  auto& of_origin = sessions[origin];
  if (of_origin.size() == kSessionsKept) of_origin.erase(of_origin.begin());
  SSL_SESSION_set_timeout(session, std::min(SSL_SESSION_get_timeout(session), kSessionSeconds));
  of_origin.push_back(std::move(kept));
}

SSL_SESSION* TlsContext::Impl::newest(const std::string& origin) {
  const auto at = sessions.find(origin);
  return at == sessions.end() || at->second.empty() ? nullptr : at->second.back().get();
}

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsContext>> TlsContext::create(const std::filesystem::path& ca_file,
                                                       bool offer_http2) {
  return create_offering(ca_file, offer_http2 ? "\x02h2\x08http/1.1" : "\x08http/1.1");
}

Result<std::unique_ptr<TlsContext>> TlsContext::create_unnamed(const std::filesystem::path& ca_file) {
  return create_offering(ca_file, {});
}

Result<std::unique_ptr<TlsContext>> TlsContext::create_offering(const std::filesystem::path& ca_file,
                                                                std::string_view protocols) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>();
  impl->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = impl->context.get();
  if (context == nullptr)
    return authcache::shm::fail(ErrorCode::kSystem,
                                "OpenSSL gives no TLS context (" + openssl_reason() + ")");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Not with released buffers: together the two overwrite 16 KiB for each record.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_verify_depth(context, kChainDepthMax);
  const int trusted = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context)
                                      : SSL_CTX_load_verify_file(context, ca_file.c_str());
  if (trusted != 1) {
    return authcache::shm::fail(ErrorCode::kRefused,
                                "the CA certificates in " +
                                    (ca_file.empty() ? "the system's store" : ca_file.string()) +
                                    " cannot be loaded (" + openssl_reason() + "); name a readable PEM file");
  }
  const int refused = protocols.empty() ? 0
                                        : SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                                                                  static_cast<unsigned int>(protocols.size()));
  if (refused != 0)
    return authcache::shm::fail(ErrorCode::kSystem,
                                "OpenSSL takes no list of protocols (" + openssl_reason() + ")");
  // Ours, by origin: OpenSSL's own store would offer a session of one host to another.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, session_came);
  return std::unique_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

TlsChannel::TlsChannel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsChannel::~TlsChannel() = default;

Result<std::unique_ptr<TlsChannel>> TlsChannel::create(TlsContext& context, const HttpUrl& url) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>();
  impl->context = &context.impl();
  impl->origin = url.origin();
  impl->ssl.reset(SSL_new(context.impl().context.get()));
  SSL* const ssl = impl->ssl.get();
  if (ssl == nullptr)
    return authcache::shm::fail(ErrorCode::kSystem,
                                "OpenSSL gives no TLS channel (" + openssl_reason() + ")");
  impl->in = BIO_new(BIO_s_mem());
  impl->out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, impl->in, impl->out);
  if (impl->in == nullptr || impl->out == nullptr)
    return authcache::shm::fail(ErrorCode::kSystem, "OpenSSL gives no TLS buffers");
  BIO_set_mem_eof_return(impl->in, -1);
  SSL_set_app_data(ssl, impl.get());
  X509_VERIFY_PARAM* const check = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(check,
                                  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const int named = url.literal ? X509_VERIFY_PARAM_set1_ip_asc(check, url.host.c_str())
                                : X509_VERIFY_PARAM_set1_host(check, url.host.c_str(), url.host.size());
  // A server name is never an address (RFC 6066).
  const bool told = url.literal || SSL_set_tlsext_host_name(ssl, url.host.c_str()) == 1;
  if (named != 1 || !told)
    return authcache::shm::fail(ErrorCode::kUsage, "the host's name cannot be checked by TLS");
  if (SSL_SESSION* const session = context.impl().newest(impl->origin); session != nullptr)
    SSL_set_session(ssl, session);
  SSL_set_connect_state(ssl);
  return std::unique_ptr<TlsChannel>(new TlsChannel(std::move(impl)));
}

namespace {

Failure handshake_failure(SSL* ssl) {
  const long verified = SSL_get_verify_result(ssl);
  const std::string reason = openssl_reason();
  if (verified != X509_V_OK) {
    return {FailureKind::kCertificate,
            std::string("its certificate is refused (") + X509_verify_cert_error_string(verified) + ")"};
  }
  return {FailureKind::kTls, "the TLS handshake failed (" + reason + ")"};
}

}  // namespace

std::optional<Failure> TlsChannel::receive(std::string_view ciphertext, std::string& plaintext) {
  SSL* const ssl = impl_->ssl.get();
  ERR_clear_error();
  if (!ciphertext.empty() && BIO_write(impl_->in, ciphertext.data(), static_cast<int>(ciphertext.size())) !=
                                 static_cast<int>(ciphertext.size())) {
    return Failure{FailureKind::kLost, "no memory for what the server sent"};
  }
  if (!impl_->established) {
    const int shaken = SSL_do_handshake(ssl);
    if (shaken != 1) {
      const int error = SSL_get_error(ssl, shaken);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return std::nullopt;
      return handshake_failure(ssl);
    }
    impl_->established = true;
  }
  std::array<char, kReadBytes> piece;
  std::size_t used = 0;  // of it, by any record
  for (;;) {
    const int got = SSL_read(ssl, piece.data(), static_cast<int>(piece.size()));
    if (got > 0) {
      used = std::max(used, static_cast<std::size_t>(got));
      append_secret(plaintext, {piece.data(), static_cast<std::size_t>(got)});
      continue;
    }
    OPENSSL_cleanse(piece.data(), used);
    const int error = SSL_get_error(ssl, got);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return std::nullopt;
    if (error == SSL_ERROR_ZERO_RETURN) {
      impl_->ended = true;
      return std::nullopt;
    }
    return Failure{FailureKind::kLost, "the TLS stream is broken (" + openssl_reason() + ")"};
  }
}

std::optional<Failure> TlsChannel::send(std::string_view plaintext) {
  ERR_clear_error();
  while (!plaintext.empty()) {
    const std::size_t piece = std::min(plaintext.size(), kReadBytes);
    const int wrote = SSL_write(impl_->ssl.get(), plaintext.data(), static_cast<int>(piece));
    if (wrote <= 0)
      return Failure{FailureKind::kLost, "the TLS stream takes nothing more (" + openssl_reason() + ")"};
    plaintext.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return std::nullopt;
}

void TlsChannel::say_goodbye() {
  ERR_clear_error();
  if (impl_->established) SSL_shutdown(impl_->ssl.get());
  ERR_clear_error();
}

void TlsChannel::take_output(std::string& out) {
  const std::size_t waiting = BIO_ctrl_pending(impl_->out);
  if (waiting == 0) return;
  const std::size_t before = out.size();
  out.resize(before + waiting);
  const int got = BIO_read(impl_->out, out.data() + before, static_cast<int>(waiting));
  out.resize(before + static_cast<std::size_t>(std::max(got, 0)));
}

bool TlsChannel::established() const { return impl_->established; }
bool TlsChannel::ended() const { return impl_->ended; }
bool TlsChannel::resumed() const { return SSL_session_reused(impl_->ssl.get()) == 1; }

bool TlsChannel::http2() const {
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(impl_->ssl.get(), &protocol, &size);
  return std::string_view(reinterpret_cast<const char*>(protocol), size) == "h2";
}

}  // namespace authcached
