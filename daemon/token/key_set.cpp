#include "daemon/token/key_set.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "daemon/token/json.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
using shm::ErrorCode;
using shm::Reason;

namespace {

std::string sound_kid_of(const json::value& jwk) {
  std::optional<std::string_view> kid;
  const json::object* object = jwk.if_object();
  if (object == nullptr || !read_string(*object, "kid", kid) || !kid || !is_sound_kid(*kid)) return {};
  return std::string(*kid);
}

struct Candidate {
  std::size_t index;  // in the set's "keys" array
  VerificationKey key;
};

// Two usable keys under one kid and type: which of them the issuer meant cannot be told, so neither counts.
// Keys of different types under one kid are told apart by the algorithm (RFC 7517 section 4.5).
std::vector<bool> mark_ambiguous(std::span<const Candidate> candidates) {
  std::vector<bool> ambiguous(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const VerificationKey& a = candidates[i].key;
      const VerificationKey& b = candidates[j].key;
      if (!a.kid.empty() && a.kid == b.kid && a.type == b.type) ambiguous[i] = ambiguous[j] = true;
    }
  }
  return ambiguous;
}

VerificationKey share(const VerificationKey& key) {
  EVP_PKEY_up_ref(key.pkey.get());
  return {key.kid, key.type, key.thumbprint, key.algorithms, PkeyPointer(key.pkey.get())};
}

std::string no_usable_key(std::span<const SkippedKey> skipped) {
  if (skipped.empty()) return "The key set is empty.";
  return "The key set holds no usable key; of number " + std::to_string(skipped.front().index) + ": " +
         skipped.front().sentence;
}

}  // namespace

shm::Result<KeySet> KeySet::parse(std::string_view text) {
  const auto document = parse_json(text, kKeySetJson);
  if (!document) return std::unexpected(document.error());
  const json::object* object = document->if_object();
  const json::value* member = object == nullptr ? nullptr : object->if_contains("keys");
  const json::array* list = member == nullptr ? nullptr : member->if_array();
  if (list == nullptr) {
    return shm::fail(ErrorCode::kRefused,
                     "The key set is not a JSON object with an array \"keys\" (RFC 7517).");
  }
  if (list->size() > kKeysPerSetMax) {
    return shm::fail(ErrorCode::kRefused, "The key set holds " + std::to_string(list->size()) +
                                              " keys; at most " + std::to_string(kKeysPerSetMax) +
                                              " are taken.");
  }
  KeySet set;
  std::vector<Candidate> candidates;
  for (std::size_t index = 0; index < list->size(); ++index) {
    const json::value& entry = (*list)[index];
    auto key = entry.is_object() ? import_jwk(entry.get_object())
                                 : std::unexpected(KeyRefusal{KeyFault::kMalformed, "It is not an object."});
    if (key) {
      candidates.push_back({index, std::move(*key)});
    } else {
      set.skipped_.push_back({index, sound_kid_of(entry), key.error().fault, key.error().sentence});
    }
  }
  const std::vector<bool> ambiguous = mark_ambiguous(candidates);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!ambiguous[i]) {
      set.keys_.push_back(std::move(candidates[i].key));
      continue;
    }
    set.skipped_.push_back(
        {candidates[i].index, candidates[i].key.kid, KeyFault::kAmbiguous,
         "Another key of the set has the same kid and kty; which one is meant cannot be told."});
  }
  std::ranges::sort(set.skipped_, {}, &SkippedKey::index);
  if (set.keys_.empty()) return shm::fail(ErrorCode::kRefused, no_usable_key(set.skipped_));
  return set;
}

void KeySet::keep_missing(const KeySet& before) {
  const auto has_kid = [&](const VerificationKey& old) {
    return std::ranges::any_of(keys_, [&](const VerificationKey& key) { return key.kid == old.kid; }) ||
           std::ranges::any_of(skipped_, [&](const SkippedKey& key) { return key.kid == old.kid; });
  };
  for (const VerificationKey& old : before.keys_) {
    if (old.kid.empty() || proves_by(old.thumbprint) || has_kid(old)) continue;
    kept_.push_back(share(old));
  }
}

KeySet KeySet::without_kept() const {
  KeySet set;
  for (const VerificationKey& key : keys_) set.keys_.push_back(share(key));
  set.skipped_ = skipped_;
  return set;
}

bool KeySet::proves_by(const Sha256& thumbprint) const {
  const auto is_it = [&](const VerificationKey& key) { return key.thumbprint == thumbprint; };
  return std::ranges::any_of(keys_, is_it) || std::ranges::any_of(kept_, is_it);
}

std::expected<const VerificationKey*, Reason> KeySet::find(std::optional<std::string_view> kid,
                                                           Algorithm algorithm) const {
  const VerificationKey* found = nullptr;
  bool kid_known = false;
  for (const VerificationKey& key : keys_) {
    if (kid) {
      if (key.kid != *kid || kid->empty()) continue;
      kid_known = true;
    }
    if (!key.serves(algorithm)) continue;
    if (found != nullptr) return std::unexpected(Reason::kUnknownKey);
    found = &key;
  }
  if (found != nullptr) return found;
  if (kid && !kid_known) {
    for (const VerificationKey& key : kept_) {
      if (key.kid == *kid && key.serves(algorithm)) return &key;
    }
  }
  return std::unexpected(kid_known ? Reason::kAlgorithm : Reason::kUnknownKey);
}

}  // namespace authcached
