#include "daemon/token/confirmation.hpp"

#include <algorithm>
#include <string>

#include "daemon/token/base64url.hpp"

namespace authcached {

std::optional<Confirmation> parse_confirmation(const boost::json::value& cnf) {
  const boost::json::object* members = cnf.if_object();
  if (members == nullptr || members->size() != 1) return std::nullopt;
  const auto& member = *members->begin();
  Confirmation confirmation{};
  if (member.key() == "jkt") {
    confirmation.kind = Confirmation::Kind::kJwkThumbprint;
  } else if (member.key() == "x5t#S256") {
    confirmation.kind = Confirmation::Kind::kCertificate;
  } else {
    return std::nullopt;
  }
  const boost::json::string* text = member.value().if_string();
  if (text == nullptr) return std::nullopt;
  const std::optional<std::string> bytes = base64url_decode({text->data(), text->size()});
  if (!bytes || bytes->size() != confirmation.thumbprint.size()) return std::nullopt;
  std::ranges::transform(*bytes, confirmation.thumbprint.begin(),
                         [](char c) { return static_cast<std::uint8_t>(c); });
  return confirmation;
}

}  // namespace authcached
