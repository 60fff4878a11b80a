// A DPoP proof (RFC 9449): a JWT by which a client shows, for one request, that it has the key that its token
// is bound to. Every check of section 4.3 that one proof can answer by itself is made here; that a proof is
// used once is cache/proof_replays.hpp's, and that its key is the token's is judged on the hit, against the
// record's confirmation.
//
// Pure: no I/O, no clock of its own; any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "daemon/base/proof.hpp"
#include "shm/verdict.hpp"

namespace authcached {

// How long after its iat a proof is taken: long enough for a slow request, and short, because that is how
// long it must be remembered and how long one that was stolen before its use is worth something.
inline constexpr std::int64_t kProofAgeMaxNs = std::int64_t{60} * 1'000'000'000;
// How far ahead of ours the client's clock may be. As long does a daemon that starts refuse all proofs,
// because its predecessor may have taken one that was issued up to then.
inline constexpr std::int64_t kProofAheadMaxNs = std::int64_t{5} * 1'000'000'000;
// An identifier of 96 bits and more (section 4.2) has 16 to 40 characters; some clients append a time.
inline constexpr std::size_t kProofIdBytesMax = 256;

// The request that a proof must be for.
struct DpopRequest {
  std::string_view method;  // compared as it is: methods are case-sensitive (RFC 9110 section 9.1)
  std::string_view url;     // absolute; query and fragment are not compared
  Sha256 token;             // of the access token's bytes
  std::optional<std::string_view>
      nonce;  // that the server asked for (section 9); without one, a proof's own is not looked at
};

// What a proof that holds is known by.
struct DpopProof {
  Sha256 thumbprint;  // RFC 7638, of the key that signed it
  Sha256 id;          // of thumbprint and jti: what may be taken once. Two signatures of one proof share it
  std::int64_t issued_wall_ns;  // iat
};

// The cheap test before any work: length and the shape of a JWS. O(n), no copy, no allocation. kNone, or why
// not.
[[nodiscard]] authcache::shm::Reason judge_dpop_shape(std::string_view proof);

// The algorithms taken are ES256, ES384, ES512 and EdDSA. RSA is not, because whoever sends a request chooses
// the key, and checking that an RSA key is sound costs 4 ms and more where a curve's costs what a signature
// does.
//
// kOverloaded: no memory, or OpenSSL could not answer, so that nothing is known. Everything else says that
// the proof is bad.
[[nodiscard]] std::expected<DpopProof, authcache::shm::Reason> verify_dpop(std::string_view proof,
                                                                           const DpopRequest& request,
                                                                           std::int64_t wall_now_ns);

}  // namespace authcached
