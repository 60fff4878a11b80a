#include "daemon/token/logout_token.hpp"

#include <algorithm>
#include <optional>

#include "daemon/token/base64url.hpp"
#include "daemon/token/claims.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "daemon/token/numeric_date.hpp"

namespace authcached {
namespace {

namespace json = boost::json;
using Refusal = std::unexpected<std::string_view>;

constexpr std::string_view kEvent = "http://schemas.openid.net/event/backchannel-logout";

// Required, unlike in the specification, which leaves it to issuers that know their tokens apart: without it
// an ID token of a lax issuer could be made to pass.
bool is_logout_type(const std::optional<std::string>& typ) {
  if (!typ) return false;
  std::string lower = *typ;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower == "logout+jwt" || lower == "application/logout+jwt";
}

// Absent is "".
std::optional<std::string> identifier(const json::object& claims, std::string_view name) {
  std::optional<std::string_view> text;
  if (!read_string(claims, name, text)) return std::nullopt;
  if (!text) return std::string();
  if (text->empty() || text->size() > kIdentifierBytesMax || text->contains('\0')) return std::nullopt;
  return std::string(*text);
}

bool names_one_of(const json::value* audience, const std::vector<std::string>& ours) {
  if (audience == nullptr) return false;
  const auto is_ours = [&](std::string_view name) { return std::ranges::find(ours, name) != ours.end(); };
  if (const json::string* one = audience->if_string()) return is_ours({one->data(), one->size()});
  const auto many = strings_of(*audience);
  return many && std::ranges::any_of(*many, is_ours);
}

bool tells_of_a_logout(const json::value* events) {
  const json::object* members = events == nullptr ? nullptr : events->if_object();
  const json::value* event = members == nullptr ? nullptr : members->if_contains(kEvent);
  return event != nullptr && event->is_object();
}

std::optional<std::int64_t> date(const json::object& claims, std::string_view name, Rounding rounding) {
  const json::value* value = claims.if_contains(name);
  return value == nullptr ? std::nullopt : numeric_date_ns(*value, rounding);
}

std::expected<Logout, std::string_view> judge(const json::object& claims, const LogoutPolicy& policy,
                                              std::int64_t now) {
  const auto issuer = identifier(claims, "iss");
  if (!issuer || policy.issuer.empty() || *issuer != policy.issuer)
    return Refusal("iss is not the profile's issuer");
  if (!names_one_of(claims.if_contains("aud"), policy.audience))
    return Refusal("aud names none of the configured client ids");
  const std::int64_t leeway = std::clamp<std::int64_t>(policy.leeway_ns, 0, kLeewayMaxNs);
  const auto issued = date(claims, "iat", Rounding::kFloor);
  const auto expires = date(claims, "exp", Rounding::kFloor);
  if (!issued) return Refusal("iat is missing or no date");
  if (!expires) return Refusal("exp is missing or no date");
  if (*issued - leeway > now) return Refusal("iat is later than now");
  if (*expires + leeway <= now) return Refusal("the logout token has expired");
  if (*expires - *issued > kLogoutLifeMaxNs) return Refusal("the logout token lives longer than an hour");
  if (!tells_of_a_logout(claims.if_contains("events")))
    return Refusal("events holds no back-channel logout event");
  if (claims.contains("nonce")) return Refusal("nonce must not be there: this may be an ID token");
  const auto jti = identifier(claims, "jti");
  const auto sid = identifier(claims, "sid");
  const auto subject = identifier(claims, "sub");
  if (!jti || jti->empty()) return Refusal("jti is missing or no text");
  if (!sid || !subject) return Refusal("sid or sub is no text, or too long");
  if (sid->empty() && subject->empty()) return Refusal("neither sid nor sub is there");
  return Logout{*sid, *subject, *jti, *issued, *expires + leeway};
}

}  // namespace

std::expected<Logout, std::string_view> verify_logout_token(std::string_view token,
                                                            const LogoutPolicy& policy, const KeySet& keys,
                                                            std::int64_t wall_now_ns) {
  const auto jws = split_compact_jws(token);
  if (!jws) return Refusal("logout_token is no JWT");
  const auto header_text = base64url_decode(jws->header);
  const auto payload = base64url_decode(jws->payload);
  if (!header_text || !payload) return Refusal("logout_token is no JWT");
  const auto header = parse_jws_header(*header_text);
  if (!header)
    return Refusal("the header of logout_token names no algorithm that is taken, or something critical");
  if (!is_logout_type(header->typ)) return Refusal("typ is not logout+jwt");
  if (!verify_jws(*jws, *header, policy.algorithms, keys)) return Refusal(kSignedByNoKey);
  const auto document = parse_json(*payload, kTokenJson);
  const json::object* claims = document ? document->if_object() : nullptr;
  if (claims == nullptr) return Refusal("the claims are not a JSON object");
  return judge(*claims, policy, wall_now_ns);
}

}  // namespace authcached
