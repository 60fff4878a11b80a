// The names of RFC 7518 and RFC 8037 for the signature algorithms we verify (declared in config.hpp).
#include <array>
#include <utility>

#include "daemon/base/config.hpp"

namespace authcached {
namespace {

constexpr std::array<std::pair<Algorithm, std::string_view>, 10> kNames{{{Algorithm::kRS256, "RS256"},
                                                                         {Algorithm::kRS384, "RS384"},
                                                                         {Algorithm::kRS512, "RS512"},
                                                                         {Algorithm::kPS256, "PS256"},
                                                                         {Algorithm::kPS384, "PS384"},
                                                                         {Algorithm::kPS512, "PS512"},
                                                                         {Algorithm::kES256, "ES256"},
                                                                         {Algorithm::kES384, "ES384"},
                                                                         {Algorithm::kES512, "ES512"},
                                                                         {Algorithm::kEdDSA, "EdDSA"}}};

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) {
  for (const auto& [known, name] : kNames) {
    if (known == algorithm) return name;
  }
  return "unknown";
}

std::optional<Algorithm> algorithm_from_name(std::string_view name) {
  for (const auto& [algorithm, known] : kNames) {
    if (known == name) return algorithm;
  }
  return std::nullopt;
}

}  // namespace authcached
