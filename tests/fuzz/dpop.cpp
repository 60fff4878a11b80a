// DPoP proofs against a fixed request: nothing holds but what was signed for it, however it is spelled; and
// what was signed holds only if its claims, read a second time here, name the request.
//
// First byte: 0 the proof as it stands; 1 a good proof with pieces replaced; 2 any header and claims, signed;
// 3 two URIs.
#include "daemon/token/dpop.hpp"

#include <set>
#include <vector>

#include "daemon/base/sha256.hpp"
#include "daemon/token/http_uri.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "shm/wire.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/jwt_mint.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache_fuzz::Bytes;
using authcache_test::KeyKind;
using authcache_test::SigningKey;

constexpr std::int64_t kNowSeconds = 1'700'000'000;
constexpr std::int64_t kNow = kNowSeconds * 1'000'000'000;
constexpr std::string_view kUrl = "https://api.example/orders";
constexpr std::string_view kToken = "an-access-token";
constexpr std::string_view kAnySeed =
    "a seed of 32 bytes, as good as 1";  // makes the replayed proofs repeatable

std::string hash_text() {
  const Sha256 digest = sha256(kToken);
  return authcache_test::base64url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string header_of(const SigningKey& key, std::string_view alg) {
  return R"({"typ":"dpop+jwt","alg":")" + std::string(alg) + R"(","jwk":)" + key.public_jwk() + "}";
}

struct World {
  SigningKey ed = SigningKey::from_ed25519_seed(kAnySeed);
  SigningKey es = SigningKey::generate(KeyKind::kP256);
  std::string ath = hash_text();
  std::vector<std::string> good;
  std::set<std::string> signed_inputs;

  World() {
    const std::string claims =
        R"({"jti":"proof-1","htm":"POST","htu":"https://api.example/orders","iat":1700000000,"ath":")" + ath +
        "\"}";
    good = {mint(ed, "EdDSA", header_of(ed, "EdDSA"), claims),
            mint(es, "ES256", header_of(es, "ES256"), claims)};
    for (const std::string& proof : good) signed_inputs.insert(proof.substr(0, proof.rfind('.')));
  }
};

const World& world() {
  static const World made;
  return made;
}

DpopRequest request(std::uint8_t flags) {
  DpopRequest asked{"POST", kUrl, sha256(kToken), {}};
  if ((flags & 1) != 0) asked.nonce = "n-1";
  return asked;
}

bool require_any(std::string_view proof, const DpopRequest& asked) {
  const auto judged = verify_dpop(proof, asked, kNow);
  if (judge_dpop_shape(proof) != Reason::kNone) FUZZ_REQUIRE(!judged);
  if (!judged) {
    FUZZ_REQUIRE(judged.error() != Reason::kNone);
    return false;
  }
  FUZZ_REQUIRE(proof.size() <= authcache::shm::wire::kProofBytesMax);
  FUZZ_REQUIRE(judged->issued_wall_ns >= kNow - kProofAgeMaxNs &&
               judged->issued_wall_ns <= kNow + kProofAheadMaxNs);
  // For any other request, and outside its window, it is none.
  DpopRequest other = asked;
  other.method = "GET";
  FUZZ_REQUIRE(!verify_dpop(proof, other, kNow));
  other = asked;
  other.url = "https://api.example/order";
  FUZZ_REQUIRE(!verify_dpop(proof, other, kNow));
  other = asked;
  other.token[0] ^= 1;
  FUZZ_REQUIRE(!verify_dpop(proof, other, kNow));
  FUZZ_REQUIRE(!verify_dpop(proof, asked, judged->issued_wall_ns + kProofAgeMaxNs + 1));
  FUZZ_REQUIRE(!verify_dpop(proof, asked, judged->issued_wall_ns - kProofAheadMaxNs - 1));
  const auto again = verify_dpop(proof, asked, kNow);
  FUZZ_REQUIRE(again && again->id == judged->id && again->thumbprint == judged->thumbprint);
  return true;
}

// Whoever does not have one of the two keys has only their proofs; an own key in the header gives an own
// thumbprint.
void require_unforged(std::string_view proof, const DpopRequest& asked) {
  if (!require_any(proof, asked)) return;
  const auto judged = verify_dpop(proof, asked, kNow);
  for (const std::string& good : world().good) {
    if (verify_dpop(good, asked, kNow)->thumbprint != judged->thumbprint) continue;
    FUZZ_REQUIRE(world().signed_inputs.contains(std::string(proof.substr(0, proof.rfind('.')))));
  }
}

std::string edited(std::string proof, Bytes& bytes) {
  while (!bytes.empty()) {
    const std::size_t at = bytes.take<std::uint16_t>() % (proof.size() + 1);
    const std::size_t cut = bytes.byte() % 8;
    proof.replace(at, cut, bytes.take_bytes(bytes.byte() % 8));
  }
  return proof;
}

void require_signed(Bytes& bytes, const DpopRequest& asked) {
  const std::string_view own_header = bytes.take_counted();
  const std::string header = own_header.empty() ? header_of(world().ed, "EdDSA") : std::string(own_header);
  std::string payload(bytes.rest());
  if (const std::size_t at = payload.find("$ATH"); at != std::string::npos)
    payload.replace(at, 4, world().ath);
  if (!require_any(mint(world().ed, "EdDSA", header, payload), asked)) return;
  const auto document = parse_json(payload, kTokenJson);
  FUZZ_REQUIRE(document && document->is_object());
  const auto& claims = document->get_object();
  FUZZ_REQUIRE(claims.at("htm").as_string() == "POST" && claims.at("ath").as_string() == world().ath);
  FUZZ_REQUIRE(!claims.at("jti").as_string().empty() &&
               claims.at("jti").as_string().size() <= kProofIdBytesMax);
  if (asked.nonce) FUZZ_REQUIRE(claims.at("nonce").as_string() == "n-1");
}

void require_normal(std::string_view uri) {
  const auto normal = normal_http_uri(uri);
  if (!normal) return;
  FUZZ_REQUIRE(normal_http_uri(*normal) == normal);
  FUZZ_REQUIRE(normal->starts_with("https://") || normal->starts_with("http://"));
  FUZZ_REQUIRE(normal->find_first_of("?#\\") == std::string::npos);
  const std::size_t slash = normal->find('/', 8);
  FUZZ_REQUIRE(slash != std::string::npos && normal->find('@') > slash);
  const std::string path = normal->substr(slash) + "/";
  FUZZ_REQUIRE(path.find("/../") == std::string::npos && path.find("/./") == std::string::npos);
  for (const char c : *normal) FUZZ_REQUIRE(c > ' ' && c < 0x7f);
  FUZZ_REQUIRE(normal_http_uri(std::string(uri.substr(0, uri.find_first_of("?#"))) + "?x#y") == normal);
}

}  // namespace

FUZZ_TARGET(dpop) {
  Bytes bytes(input);
  const std::uint8_t mode = bytes.byte();
  const DpopRequest asked = request(static_cast<std::uint8_t>(mode >> 4));
  switch (mode % 4) {
    case 0: return require_unforged(bytes.rest(), request(0));
    case 1: {
      const auto& good = world().good;
      const std::string& base = good[bytes.byte() % good.size()];
      return require_unforged(edited(base, bytes), request(0));
    }
    case 2: return require_signed(bytes, asked);
    default: return require_normal(bytes.rest());
  }
}
