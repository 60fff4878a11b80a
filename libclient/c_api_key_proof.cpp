// The C ABI's proofs of possession: what key a request has shown, for authcache_requirement_bind.
#include <cstring>

#include "libclient/c_boundary.hpp"
#include "libclient/certificate.hpp"

namespace {

using authcache::client::Deadline;
using authcache::client::Exchanged;
using authcache::client::usage;
using authcache::client::without_exceptions;
namespace client = authcache::client;
namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;
using shm::Reason;
using shm::Verdict;

// False: USAGE. Of a kind that no requirement binds, so that a caller that ignores a refusal has bound
// nothing.
bool clear(authcache_thumbprint* thumbprint) noexcept {
  if (thumbprint == nullptr) return false;
  std::memset(thumbprint, 0, sizeof *thumbprint);
  thumbprint->size = sizeof *thumbprint;
  return true;
}

void fill(authcache_thumbprint& thumbprint, std::uint32_t kind, const shm::Digest& digest) noexcept {
  thumbprint.kind = kind;
  std::memcpy(thumbprint.bytes, digest.data(), digest.size());
}

bool text_of(const char* text, std::size_t length, std::string_view& out) noexcept {
  if (text != nullptr) out = {text, length};
  return text != nullptr;
}

// What a daemon would refuse by its size alone, and could not say so: such a frame ends the connection.
Reason judge_sizes(const wire::Prove& prove) noexcept {
  if (prove.method.size() > wire::kMethodBytesMax) return Reason::kProofMethod;
  if (prove.url.size() > wire::kUrlBytesMax) return Reason::kProofUrl;
  if (prove.proof.size() > wire::kProofBytesMax) return Reason::kTooLong;
  return prove.proof.empty() ? Reason::kMalformed : Reason::kNone;
}

wire::ProveReply without_reply(Verdict verdict, Reason reason) noexcept {
  return {.question = {}, .verdict = verdict, .reason = reason, .thumbprint = {}};
}

wire::ProveReply ask(authcache_client& of, wire::Prove& prove, std::string_view token, int timeout_ms) {
  if (const Reason reason = judge_sizes(prove); reason != Reason::kNone)
    return without_reply(Verdict::kInvalid, reason);
  if (timeout_ms == 0) return without_reply(Verdict::kUnavailable, Reason::kTimeout);
  prove.token = shm::plain_digest(token);
  prove.timeout_ms = static_cast<std::uint32_t>(timeout_ms);
  wire::ProveReply reply;
  switch (of.miss_path.ask_proof(prove, Deadline::in_ms(timeout_ms), reply)) {
    case Exchanged::kReplied: return reply;
    case Exchanged::kTimeout: return without_reply(Verdict::kUnavailable, Reason::kTimeout);
    case Exchanged::kProtocol: return without_reply(Verdict::kUnavailable, Reason::kProtocol);
    case Exchanged::kClosed:
    case Exchanged::kUnreachable: break;
  }
  return without_reply(Verdict::kUnavailable, Reason::kDaemonUnreachable);
}

// AUTHCACHE_OK and a question but for its times, or AUTHCACHE_ERROR_USAGE.
int make_question(const authcache_client* of, const authcache_dpop_proof* given, wire::Prove& prove,
                  std::string_view& token) noexcept {
  if (given == nullptr || given->size < sizeof *given) {
    return usage(of, "the proof is NULL or its size is not set; begin with AUTHCACHE_DPOP_PROOF_INIT");
  }
  const bool told = text_of(given->proof, given->proof_len, prove.proof) &&
                    text_of(given->method, given->method_len, prove.method) &&
                    text_of(given->url, given->url_len, prove.url) &&
                    text_of(given->token, given->token_len, token);
  if (!told)
    return usage(
        of, "a proof needs the DPoP header, the method, the URL and the access token; one of them is NULL");
  prove.nonce_asked = text_of(given->nonce, given->nonce_len, prove.nonce);
  if (prove.nonce.size() > wire::kNonceBytesMax) return usage(of, "a nonce has at most 256 bytes");
  return AUTHCACHE_OK;
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_thumbprint_of_certificate(const void* certificate, size_t len,
                                                      authcache_thumbprint* thumbprint) {
  if (!clear(thumbprint) || certificate == nullptr) return AUTHCACHE_ERROR_USAGE;
  return without_exceptions(nullptr, [&] {
    const auto digest = client::certificate_thumbprint({static_cast<const char*>(certificate), len});
    if (!digest) return AUTHCACHE_ERROR_MALFORMED;
    fill(*thumbprint, AUTHCACHE_THUMBPRINT_X5T_S256, *digest);
    return AUTHCACHE_OK;
  });
}

AUTHCACHE_API int authcache_dpop_verify(authcache_client* of, const authcache_dpop_proof* proof,
                                        int timeout_ms, authcache_thumbprint* thumbprint, int* reason) {
  if (reason != nullptr) *reason = AUTHCACHE_REASON_NONE;
  if (!clear(thumbprint)) return usage(of, "there is no place for the thumbprint");
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (timeout_ms < 0) return usage(of, "timeout_ms is negative");
  wire::Prove prove;
  std::string_view token;
  if (const int error = make_question(of, proof, prove, token)) return error;
  return without_exceptions(of, [&] {
    const wire::ProveReply reply = ask(*of, prove, token, timeout_ms);
    if (reason != nullptr) *reason = static_cast<int>(reply.reason);
    if (reply.verdict == Verdict::kValid) fill(*thumbprint, AUTHCACHE_THUMBPRINT_JKT, reply.thumbprint);
    return static_cast<int>(reply.verdict);
  });
}

}  // extern "C"
