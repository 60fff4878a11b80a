#include "daemon/control/face/identity_fields.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cstring>

#include "daemon/base/sha256.hpp"
#include "daemon/control/face/form.hpp"
#include "daemon/token/base64url.hpp"
#include "shm/text.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

struct IdentityField {
  shm::TextField field;
  std::string_view header;
  bool is_list;
};

// By HttpIdentity.
constexpr IdentityField kFields[] = {
    {shm::TextField::kSubject, "X-Auth-Subject", false},
    {shm::TextField::kIssuer, "X-Auth-Issuer", false},
    {shm::TextField::kClientId, "X-Auth-Client", false},
    {shm::TextField::kScopes, "X-Auth-Scopes", true},
    {shm::TextField::kPermissions, "X-Auth-Permissions", true},
    {shm::TextField::kSid, "X-Auth-Session", false},
};

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

void append_percent(std::string& out, std::string_view value) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/@+";
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : value) {
    if (c != '\0' && kPlain.contains(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 0xf]);
    }
  }
}

// An entry of a list with a blank in it would be read as two.
bool append_value(std::string& out, std::string_view value, bool is_entry, HttpEncoding encoding) {
  if (encoding == HttpEncoding::kPercent) {
    append_percent(out, value);
    return true;
  }
  if (!is_field_value(value) || (is_entry && value.contains(' '))) return false;
  out.append(value);
  return true;
}

json::array strings(std::string_view text, shm::TextField field) {
  json::array array;
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field == field) array.emplace_back(item->value);
  }
  return array;
}

std::string joined(std::string_view text, shm::TextField field) {
  std::string all;
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field != field) continue;
    if (!all.empty()) all.push_back(' ');
    all.append(item->value);
  }
  return all;
}

std::string_view first(std::string_view text, shm::TextField field) {
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field == field) return item->value;
  }
  return {};
}

// Standard base64 with padding, as PEM and OpenSSL's tools write it.
std::optional<std::string> base64_decode(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(length) - padding);
  return bytes;
}

std::optional<std::string> der_of_pem(std::string_view escaped) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
  const auto pem = percent_decode(escaped, Plus::kIsItself);
  if (!pem || !pem->starts_with(kBegin)) return std::nullopt;
  const std::size_t end = pem->find(kEnd);
  if (end == std::string::npos) return std::nullopt;
  std::string body = pem->substr(kBegin.size(), end - kBegin.size());
  std::erase_if(body, [](char c) { return c == '\n' || c == '\r'; });
  return base64_decode(body);
}

shm::Thumbprint certificate(const char* bytes) {
  shm::Thumbprint made{.kind = shm::kThumbprintCertificate, .bytes = {}};
  std::memcpy(made.bytes.data(), bytes, made.bytes.size());
  return made;
}

}  // namespace

bool append_identity(HttpAnswer& answer, std::string_view text, const std::vector<HttpIdentity>& wanted,
                     HttpEncoding encoding) {
  for (const HttpIdentity each : wanted) {
    const IdentityField& field = kFields[static_cast<std::size_t>(each)];
    bool begun = false;
    shm::TextCursor cursor(text);
    while (const auto item = cursor.next()) {
      if (item->field != field.field || (begun && !field.is_list)) continue;
      if (begun) {
        answer.fields.push_back(' ');
      } else {
        answer.fields.append(field.header).append(": ");
      }
      begun = true;
      if (!append_value(answer.fields, item->value, field.is_list, encoding)) return false;
    }
    if (begun) answer.fields.append("\r\n");
  }
  return true;
}

json::object introspection_of(const Decision& decision) {
  if (decision.verdict != shm::Verdict::kValid) return {{"active", false}};
  const std::string_view text = decision.text;
  json::object answer{{"active", true}};
  constexpr std::pair<std::string_view, shm::TextField> kMembers[] = {
      {"sub", shm::TextField::kSubject},
      {"iss", shm::TextField::kIssuer},
      {"client_id", shm::TextField::kClientId},
      {"sid", shm::TextField::kSid},
      {"jti", shm::TextField::kJti}};
  for (const auto& [name, field] : kMembers) {
    if (const std::string_view value = first(text, field); !value.empty()) answer[name] = value;
  }
  if (std::string scope = joined(text, shm::TextField::kScopes); !scope.empty())
    answer["scope"] = std::move(scope);
  if (auto audience = strings(text, shm::TextField::kAudience); !audience.empty())
    answer["aud"] = std::move(audience);
  if (auto permissions = strings(text, shm::TextField::kPermissions); !permissions.empty())
    answer["permissions"] = std::move(permissions);
  if (decision.expires_wall_ns != 0)
    answer["exp"] = (decision.expires_wall_ns - decision.leeway_ns) / kNsPerSecond;
  if (decision.issued_wall_ns != INT64_MIN) answer["iat"] = decision.issued_wall_ns / kNsPerSecond;
  const auto bound = thumbprint_in(text);
  answer["token_type"] = bound && bound->kind == shm::kThumbprintJkt ? "DPoP" : "Bearer";
  if (bound) {
    const std::string_view bytes(reinterpret_cast<const char*>(bound->bytes.data()), bound->bytes.size());
    answer["cnf"] =
        json::object{{bound->kind == shm::kThumbprintJkt ? "jkt" : "x5t#S256", base64url_encode(bytes)}};
  }
  return answer;
}

std::optional<shm::Thumbprint> thumbprint_in(std::string_view text) {
  const std::string_view value = first(text, shm::TextField::kConfirmation);
  if (value.size() != 1 + shm::kThumbprintBytes) return std::nullopt;
  shm::Thumbprint found = certificate(value.data() + 1);
  found.kind = static_cast<std::uint8_t>(value[0]);
  return found;
}

std::optional<shm::Thumbprint> certificate_thumbprint(std::string_view header) {
  if (header.starts_with("-----BEGIN")) {
    const auto der = der_of_pem(header);
    if (!der) return std::nullopt;
    const Sha256 hash = sha256(*der);
    return certificate(reinterpret_cast<const char*>(hash.data()));
  }
  std::optional<std::string> bytes;
  if (header.size() == 2 * shm::kThumbprintBytes) bytes = bytes_of_hex(header);
  if (header.size() == 43) bytes = base64url_decode(header);
  if (header.size() == 44) bytes = base64_decode(header);
  if (!bytes || bytes->size() != shm::kThumbprintBytes) return std::nullopt;
  return certificate(bytes->data());
}

}  // namespace authcached
