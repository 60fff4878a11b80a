// JWS in its compact form only (RFC 7515 section 7.1): split, read the header, check the signature. Knows
// nothing of claims: the payload may be any bytes, none included. No JSON serialization, no JWE, no HMAC, no
// extension (crit, b64). Pure; any thread. May throw std::bad_alloc, nothing else.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/token/jwk.hpp"
#include "daemon/token/key_set.hpp"
#include "shm/verdict.hpp"

namespace authcached {

// Servers accept 8 to 16 KiB of headers in all; what is longer never arrived in one.
inline constexpr std::size_t kTokenBytesMax = 16 * 1024;

// Views into the token. Every segment holds base64url characters only, and header and signature are not
// empty.
struct CompactJws {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
  std::string_view signing_input;  // header.payload
};

// kTooLong (O(1)) or kMalformed. O(n), no copy, no allocation.
[[nodiscard]] std::expected<CompactJws, authcache::shm::Reason> split_compact_jws(std::string_view token);

[[nodiscard]] Sha256 signing_input_digest(const CompactJws& jws);

struct JwsHeader {
  Algorithm algorithm;
  std::optional<std::string> kid;
  std::optional<std::string> typ;
  std::optional<std::string> cty;
};

// json: the decoded header. kAlgorithm: alg is missing or not one verified here. kCritical: crit or b64 is
// there, whatever it says, as no extension is understood. kMalformed: not a JSON object, or a kid that no key
// can have. kType: typ or cty is not a string. Keys and URLs that a header carries (jwk, jku, x5c, x5u) are
// never looked at.
[[nodiscard]] std::expected<JwsHeader, authcache::shm::Reason> parse_jws_header(std::string_view json);

enum class SignatureCheck : std::uint8_t {
  kGood,
  kBad,
  kCannotTell /* OpenSSL is out of memory or misbuilt */
};

// signature: the decoded bytes, which must have the exact length that the algorithm and the key prescribe.
// kBad also for a key that does not serve the algorithm.
[[nodiscard]] SignatureCheck check_signature(Algorithm algorithm, const VerificationKey& key,
                                             std::string_view signing_input, std::string_view signature);

// Picks the key and checks the signature. kAlgorithm: not among `allowed`, or not the key's. kUpstream:
// OpenSSL could not answer, so nothing is known about the token.
[[nodiscard]] std::expected<const VerificationKey*, authcache::shm::Reason> verify_jws(
    const CompactJws& jws, const JwsHeader& header, std::span<const Algorithm> allowed, const KeySet& keys);

}  // namespace authcached
