// Published key sets: every entry is used or accounted for, and what is used is strong, unambiguous and found
// by nothing but its own name and algorithm.
#include <openssl/evp.h>

#include <algorithm>

#include "daemon/token/json.hpp"
#include "daemon/token/key_set.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;

constexpr Algorithm kAll[] = {Algorithm::kRS256, Algorithm::kRS384, Algorithm::kRS512, Algorithm::kPS256,
                              Algorithm::kPS384, Algorithm::kPS512, Algorithm::kES256, Algorithm::kES384,
                              Algorithm::kES512, Algorithm::kEdDSA};

KeyType type_of(Algorithm algorithm) {
  if (algorithm == Algorithm::kEdDSA) return KeyType::kOkp;
  return algorithm >= Algorithm::kES256 && algorithm <= Algorithm::kES512 ? KeyType::kEc : KeyType::kRsa;
}

void require_key(const VerificationKey& key) {
  FUZZ_REQUIRE(key.kid.empty() || is_sound_kid(key.kid));
  FUZZ_REQUIRE(key.pkey != nullptr && !key.algorithms.empty());
  for (const Algorithm algorithm : kAll) {
    FUZZ_REQUIRE(!key.serves(algorithm) || type_of(algorithm) == key.type);
  }
  const int bits = EVP_PKEY_get_bits(key.pkey.get());
  if (key.type == KeyType::kRsa) {
    FUZZ_REQUIRE(bits >= 2048 && bits <= 8192);
  } else {
    FUZZ_REQUIRE(key.algorithms.size() == 1);
  }
}

// What the lookup answers, computed by hand.
void require_find(const KeySet& set, std::optional<std::string_view> kid, Algorithm algorithm) {
  std::size_t fitting = 0;
  for (const auto& key : set.keys()) {
    if ((!kid || (!kid->empty() && key.kid == *kid)) && key.serves(algorithm)) ++fitting;
  }
  const auto found = set.find(kid, algorithm);
  FUZZ_REQUIRE(found.has_value() == (fitting == 1));
  if (!found) return;
  FUZZ_REQUIRE((*found)->serves(algorithm) && (!kid || (*found)->kid == *kid));
}

}  // namespace

FUZZ_TARGET(jwks) {
  const auto set = KeySet::parse(input);
  if (!set) {
    FUZZ_REQUIRE(!set.error().message.empty());
    return;
  }
  const auto document = parse_json(input, kKeySetJson);
  FUZZ_REQUIRE(document.has_value());
  const std::size_t listed = document->as_object().at("keys").as_array().size();
  FUZZ_REQUIRE(listed <= kKeysPerSetMax && set->keys().size() + set->skipped().size() == listed);
  FUZZ_REQUIRE(!set->keys().empty());
  for (const auto& skipped : set->skipped()) {
    FUZZ_REQUIRE(skipped.index < listed && !skipped.sentence.empty());
    FUZZ_REQUIRE(skipped.kid.empty() || is_sound_kid(skipped.kid));
  }
  for (const auto& key : set->keys()) {
    require_key(key);
    for (const auto& other : set->keys()) {
      FUZZ_REQUIRE(&other == &key || key.kid.empty() || other.kid != key.kid || other.type != key.type);
    }
    for (const Algorithm algorithm : kAll) require_find(*set, key.kid, algorithm);
  }
  for (const Algorithm algorithm : kAll) {
    require_find(*set, std::nullopt, algorithm);
    require_find(*set, "", algorithm);
  }
}
