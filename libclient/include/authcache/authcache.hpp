// authcache for C++17 and later: RAII and string_view over authcache.h, which says what each call means.
// Header-only; nothing here throws but std::bad_alloc where a std::string is returned. Lookups allocate
// nothing.
//
// Threads: Client and Requirement may be used by many threads at once; moving, adding and destroying may not.
// A Requirement must not outlive its Client. A default-made or moved-from object answers
// Verdict::kUsageError.
#ifndef AUTHCACHE_AUTHCACHE_HPP
#define AUTHCACHE_AUTHCACHE_HPP

#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "authcache/authcache.h"

namespace authcache {

enum class Verdict : int {
  kValid = AUTHCACHE_VALID,
  kMiss = AUTHCACHE_MISS,
  kInvalid = AUTHCACHE_INVALID,
  kForbidden = AUTHCACHE_FORBIDDEN,
  kUnavailable = AUTHCACHE_UNAVAILABLE,
  kUsageError = AUTHCACHE_ERROR_USAGE,
  kOutOfMemory = AUTHCACHE_ERROR_MEMORY,
  kSystemError = AUTHCACHE_ERROR_SYSTEM,
  kNoRoom = AUTHCACHE_ERROR_UNAVAILABLE,  // submit only: as many questions in flight as there may be
};

inline const char* verdict_name(Verdict verdict) noexcept {
  return authcache_verdict_name(static_cast<int>(verdict));
}

// A key that this request proved possession of, 32 bytes.
class Thumbprint {
 public:
  static Thumbprint jkt(const std::uint8_t (&bytes)[32]) noexcept {
    return {AUTHCACHE_THUMBPRINT_JKT, bytes};
  }
  static Thumbprint x5t_s256(const std::uint8_t (&bytes)[32]) noexcept {
    return {AUTHCACHE_THUMBPRINT_X5T_S256, bytes};
  }
  // Of a TLS client certificate, DER or PEM; empty if it is neither. See authcache_thumbprint_of_certificate.
  static std::optional<Thumbprint> of_certificate(std::string_view certificate) noexcept {
    Thumbprint made;
    const void* const bytes = certificate.data() == nullptr ? "" : certificate.data();
    const int result = authcache_thumbprint_of_certificate(bytes, certificate.size(), &made.thumbprint_);
    if (result != AUTHCACHE_OK) return std::nullopt;
    return made;
  }
  const authcache_thumbprint* get() const noexcept { return &thumbprint_; }

 private:
  friend class Client;
  Thumbprint() noexcept { thumbprint_.size = static_cast<std::uint32_t>(sizeof thumbprint_); }
  Thumbprint(std::uint32_t kind, const std::uint8_t (&bytes)[32]) noexcept {
    thumbprint_.size = static_cast<std::uint32_t>(sizeof thumbprint_);
    thumbprint_.kind = kind;
    std::memcpy(thumbprint_.bytes, bytes, sizeof thumbprint_.bytes);
  }
  authcache_thumbprint thumbprint_{};
};

// What a token must be good for. An add that fails (too many, too long, already in use) leaves one that
// answers kUsageError only: a requirement is never weaker than it was meant to be.
class Requirement {
 public:
  Requirement() = default;

  Requirement& audience(const char* text) {
    return note(authcache_requirement_add_audience(handle_.get(), text));
  }
  Requirement& scope(const char* text) { return note(authcache_requirement_add_scope(handle_.get(), text)); }
  Requirement& permission(const char* text) {
    return note(authcache_requirement_add_permission(handle_.get(), text));
  }

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  const authcache_requirement* get() const noexcept { return handle_.get(); }

 private:
  friend class Client;
  struct Free {
    void operator()(authcache_requirement* requirement) const noexcept {
      authcache_requirement_free(requirement);
    }
  };
  explicit Requirement(authcache_requirement* handle) noexcept : handle_(handle) {}
  Requirement& note(int result) noexcept {
    if (result != AUTHCACHE_OK) handle_.reset();
    return *this;
  }
  std::unique_ptr<authcache_requirement, Free> handle_;
};

// A requirement for one request: base plus the key that the request proved. Lives on the stack; base must
// outlive it.
class BoundRequirement {
 public:
  BoundRequirement(const Requirement& base, const Thumbprint& thumbprint) noexcept {
    bound_ = authcache_requirement_bind(base.get(), thumbprint.get(), &storage_) == AUTHCACHE_OK;
  }
  BoundRequirement(const BoundRequirement&) = delete;
  BoundRequirement& operator=(const BoundRequirement&) = delete;
  const authcache_requirement* get() const noexcept { return bound_ ? &storage_.requirement : nullptr; }

 private:
  authcache_bound_requirement storage_{};
  bool bound_ = false;
};

// A DPoP proof and the request that it came with: see authcache_dpop_proof.
struct DpopProof {
  std::string_view proof{};
  std::string_view method{};
  std::string_view url{};
  std::string_view token{};
  std::optional<std::string_view> nonce{};  // that the server asked for
};

// What was decided and which record it rests on.
class Identity {
 public:
  Verdict verdict() const noexcept { return static_cast<Verdict>(raw_.verdict); }
  authcache_reason reason() const noexcept { return static_cast<authcache_reason>(raw_.reason); }
  const char* reason_name() const noexcept { return authcache_reason_name(raw_.reason); }
  bool has_confirmation() const noexcept { return raw_.has_confirmation != 0; }
  bool has_record() const noexcept { return raw_.sequence != 0; }
  std::uint64_t deadline_ns() const noexcept { return raw_.deadline_ns; }
  const authcache_identity& raw() const noexcept { return raw_; }
  authcache_identity* get() noexcept { return &raw_; }

 private:
  authcache_identity raw_ = AUTHCACHE_IDENTITY_INIT;
};

// Which of a requirement's permissions an identity holds, in the order in which they were added.
struct PermissionsHeld {
  Verdict verdict = Verdict::kUsageError;
  std::uint64_t bits = 0;  // 0 unless the verdict is kValid
  bool has(std::size_t i) const noexcept { return i < 64 && (bits >> i & 1) != 0; }
};

// A record held for a connection that outlives its first request; copied freely, no longer used once its client is gone.
class Pin {
 public:
  // What a lookup would say now: see authcache_pin_check.
  Verdict check(authcache_reason* reason = nullptr) const noexcept {
    int number = 0;
    const int verdict = authcache_pin_check(&raw_, &number);
    if (reason != nullptr) *reason = static_cast<authcache_reason>(number);
    return static_cast<Verdict>(verdict);
  }

 private:
  friend class Client;
  authcache_pinned raw_ = AUTHCACHE_PINNED_INIT;
};

// The end of one watch: see authcache_watch_next.
struct WatchEvent {
  Verdict verdict = Verdict::kUnavailable;
  authcache_reason reason = AUTHCACHE_REASON_NONE;
  std::uint64_t data = 0;
  std::uint64_t watch = 0;
};

// What came of a submit(). kMiss: the question was asked, and its answer comes by collect(). Anything else was decided
// at once, or is an error: no answer comes.
struct Submitted {
  Verdict verdict = Verdict::kUsageError;
  std::uint64_t question = 0;  // for cancel()
  bool pending() const noexcept { return question != 0; }
};

// The answer to a submitted question, in an array that collect() fills.
class Collected {
 public:
  Verdict verdict() const noexcept { return static_cast<Verdict>(raw_.verdict); }
  std::uint64_t question() const noexcept { return raw_.question; }
  std::uint64_t data() const noexcept { return raw_.data; }
  authcache_reason reason() const noexcept { return static_cast<authcache_reason>(raw_.identity.reason); }
  Identity identity() const noexcept {
    Identity made;
    *made.get() = raw_.identity;
    return made;
  }

 private:
  friend class Client;
  authcache_answer raw_ = AUTHCACHE_ANSWER_INIT;
};
static_assert(sizeof(Collected) == sizeof(authcache_answer), "an array of one is an array of the other");

struct Options {
  std::string runtime_dir{};  // empty: $AUTHCACHE_RUNTIME_DIR, else /run/authcache
  std::int64_t daemon_uid = -1;
  bool no_reattach = false;
  bool no_memo = false;
};

class Client {
 public:
  Client() = default;

  // Empty on failure, with a sentence in *error.
  static std::optional<Client> open(const Options& options = {}, std::string* error = nullptr) {
    authcache_options raw = AUTHCACHE_OPTIONS_INIT;
    raw.flags = (options.no_reattach ? AUTHCACHE_NO_REATTACH : 0) | (options.no_memo ? AUTHCACHE_NO_MEMO : 0);
    raw.runtime_dir = options.runtime_dir.empty() ? nullptr : options.runtime_dir.c_str();
    raw.daemon_uid = options.daemon_uid;
    authcache_client* handle = nullptr;
    if (authcache_open(&raw, &handle) == AUTHCACHE_OK) return Client(handle);
    if (error != nullptr) *error = authcache_last_error(nullptr);
    return std::nullopt;
  }

  // False in a boolean context if it failed; last_error() says why.
  Requirement requirement(const char* profile) noexcept {
    authcache_requirement* handle = nullptr;
    (void)authcache_requirement_create(handle_.get(), profile, &handle);
    return Requirement(handle);
  }

  // `requirement` is a Requirement or a BoundRequirement.
  template <class R>
  Verdict lookup(std::string_view token, const R& requirement, Identity* identity = nullptr) noexcept {
    return settle(
        authcache_lookup(handle_.get(), data_of(token), token.size(), requirement.get(), raw_of(identity)),
        identity);
  }
  template <class R>
  Verdict validate(std::string_view token, const R& requirement, std::chrono::milliseconds timeout,
                   Identity* identity = nullptr) noexcept {
    const auto timeout_ms = timeout.count() > INT32_MAX ? INT32_MAX : static_cast<int>(timeout.count());
    return settle(authcache_validate(handle_.get(), data_of(token), token.size(), requirement.get(),
                                     timeout_ms, raw_of(identity)),
                  identity);
  }

  // For event loops: validate() that never waits. See authcache_submit.
  template <class R>
  Submitted submit(std::string_view token, const R& requirement, std::chrono::milliseconds timeout,
                   std::uint64_t data = 0, Identity* identity = nullptr) noexcept {
    const auto timeout_ms = timeout.count() > INT32_MAX ? INT32_MAX : static_cast<int>(timeout.count());
    Submitted made;
    made.verdict = settle(authcache_submit(handle_.get(), data_of(token), token.size(), requirement.get(),
                                           timeout_ms, data, &made.question, raw_of(identity)),
                          identity);
    return made;
  }
  // To be polled for reading, then collect(). Below zero: an authcache_error.
  int fd() noexcept { return authcache_fd(handle_.get()); }
  // How many of the n answers were filled. Below zero: an authcache_error.
  int collect(Collected* answers, std::size_t n) noexcept {
    return authcache_collect(handle_.get(), n == 0 ? nullptr : &answers->raw_, n);
  }
  // False if its answer was collected, or there is no such question.
  bool cancel(std::uint64_t question) noexcept {
    return authcache_cancel(handle_.get(), question) == AUTHCACHE_OK;
  }

  // The key that the proof shows, for a BoundRequirement; empty unless the proof is good and used for the first time, and
  // then *verdict and *reason say why. See authcache_dpop_verify.
  std::optional<Thumbprint> verify_dpop(const DpopProof& proof, std::chrono::milliseconds timeout, Verdict* verdict = nullptr,
                                        authcache_reason* reason = nullptr) noexcept {
    authcache_dpop_proof raw = AUTHCACHE_DPOP_PROOF_INIT;
    raw.proof = data_of(proof.proof);
    raw.proof_len = proof.proof.size();
    raw.method = data_of(proof.method);
    raw.method_len = proof.method.size();
    raw.url = data_of(proof.url);
    raw.url_len = proof.url.size();
    raw.token = data_of(proof.token);
    raw.token_len = proof.token.size();
    if (proof.nonce) {
      raw.nonce = data_of(*proof.nonce);
      raw.nonce_len = proof.nonce->size();
    }
    const auto timeout_ms = timeout.count() > INT32_MAX ? INT32_MAX : static_cast<int>(timeout.count());
    Thumbprint made;
    int number = 0;
    const int result = authcache_dpop_verify(handle_.get(), &raw, timeout_ms, &made.thumbprint_, &number);
    if (verdict != nullptr) *verdict = static_cast<Verdict>(result);
    if (reason != nullptr) *reason = static_cast<authcache_reason>(number);
    if (result != AUTHCACHE_VALID) return std::nullopt;
    return made;
  }

  // Many permissions of one identity that a lookup gave: see authcache_identity_permissions.
  template <class R>
  PermissionsHeld permissions(const Identity& identity, const R& requirement) noexcept {
    PermissionsHeld held;
    held.verdict = static_cast<Verdict>(
        authcache_identity_permissions(handle_.get(), &identity.raw(), requirement.get(), &held.bits));
    return held;
  }

  // Empty if it can't be pinned: *verdict says what a lookup would say now.
  template <class R>
  std::optional<Pin> pin(const Identity& identity, const R& requirement, Verdict* verdict = nullptr) noexcept {
    Pin made;
    const int result = authcache_pin(handle_.get(), &identity.raw(), requirement.get(), &made.raw_);
    if (verdict != nullptr) *verdict = static_cast<Verdict>(result);
    if (result != AUTHCACHE_VALID) return std::nullopt;
    return made;
  }

  // The watch's number; empty if it can't be watched: last_error() says why.
  std::optional<std::uint64_t> watch(const Identity& identity, std::uint64_t data) noexcept {
    std::uint64_t number = 0;
    if (authcache_watch(handle_.get(), &identity.raw(), data, &number) != AUTHCACHE_OK) return std::nullopt;
    return number;
  }
  bool unwatch(std::uint64_t watch) noexcept { return authcache_unwatch(handle_.get(), watch) == AUTHCACHE_OK; }
  // To be polled for reading, then next_event() until it is empty. Below zero: an authcache_error.
  int watch_fd() noexcept { return authcache_watch_fd(handle_.get()); }
  std::optional<WatchEvent> next_event() noexcept {
    authcache_watch_event raw = AUTHCACHE_WATCH_EVENT_INIT;
    if (authcache_watch_next(handle_.get(), &raw) != AUTHCACHE_OK) return std::nullopt;
    return WatchEvent{static_cast<Verdict>(raw.verdict), static_cast<authcache_reason>(raw.reason), raw.data, raw.watch};
  }

  // Empty if the record is gone meanwhile: validate the token again.
  std::optional<std::string> text(const Identity& identity, authcache_field field) {
    std::string out(127, '\0');
    for (int tries = 0; tries < 2; ++tries) {
      // The NUL goes where a std::string keeps its own.
      const int length =
          authcache_identity_text(handle_.get(), &identity.raw(), field, out.data(), out.size() + 1);
      if (length < 0) return std::nullopt;
      const bool whole = static_cast<std::size_t>(length) <= out.size();
      out.resize(static_cast<std::size_t>(length));
      if (whole) return out;
    }
    return std::nullopt;
  }

  authcache_status_info status() noexcept {
    authcache_status_info info = AUTHCACHE_STATUS_INIT;
    (void)authcache_status(handle_.get(), &info);
    return info;
  }
  int refresh() noexcept { return authcache_refresh(handle_.get()); }
  std::string last_error() const {
    return handle_ ? authcache_last_error(handle_.get()) : "no client is open";
  }
  authcache_client* get() noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(authcache_client* client) const noexcept { authcache_close(client); }
  };
  explicit Client(authcache_client* handle) noexcept : handle_(handle) {}
  static const char* data_of(std::string_view token) noexcept {
    return token.data() == nullptr ? "" : token.data();
  }
  static authcache_identity* raw_of(Identity* identity) noexcept {
    return identity == nullptr ? nullptr : identity->get();
  }
  // A failed call writes no identity: an older verdict must not stand in it.
  static Verdict settle(int result, Identity* identity) noexcept {
    if (result < 0 && identity != nullptr) {
      *identity = Identity();
      identity->get()->verdict = result;
    }
    return static_cast<Verdict>(result);
  }
  std::unique_ptr<authcache_client, Close> handle_;
};

// The token of an Authorization header's value.
struct Bearer {
  int result = AUTHCACHE_ERROR_NOT_BEARER;  // AUTHCACHE_OK, or AUTHCACHE_ERROR_NOT_BEARER, _MALFORMED
  std::string_view token{};
};
inline Bearer bearer(std::string_view header) noexcept {
  const char* token = nullptr;
  std::size_t length = 0;
  const int result =
      authcache_bearer(header.data() == nullptr ? "" : header.data(), header.size(), &token, &length);
  return {result, result == AUTHCACHE_OK ? std::string_view(token, length) : std::string_view()};
}
// The same of a header of the scheme DPoP; another scheme, Bearer too, is AUTHCACHE_ERROR_NOT_BEARER.
inline Bearer dpop_token(std::string_view header) noexcept {
  const char* token = nullptr;
  std::size_t length = 0;
  const int result =
      authcache_dpop_token(header.data() == nullptr ? "" : header.data(), header.size(), &token, &length);
  return {result, result == AUTHCACHE_OK ? std::string_view(token, length) : std::string_view()};
}

}  // namespace authcache

#endif
