#include "daemon/upstream/client_credentials.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/base/random.hpp"
#include "daemon/token/base64url.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::size_t kJtiBytes = 16;

void wipe_text(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

// Growing would leave the old copy behind.
void make_room(std::string& text, std::size_t more) {
  if (text.capacity() - text.size() >= more) return;
  std::string larger;
  larger.reserve(text.size() + more);
  larger.append(text);
  wipe_text(text);
  text.swap(larger);
}

void append_form_encoded(std::string& form, std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (plain) {
      form += c;
    } else if (c == ' ') {
      form += '+';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      form += '%';
      form += kHex[byte >> 4];
      form += kHex[byte & 15];
    }
  }
}

std::string basic_header(std::string_view client_id, std::string_view secret) {
  std::string pair;
  pair.reserve(3 * (client_id.size() + secret.size()) + 1);
  append_form_encoded(pair, client_id);
  pair += ':';
  append_form_encoded(pair, secret);
  constexpr std::string_view kScheme = "Basic ";
  std::string header(kScheme);
  header.resize(kScheme.size() + (pair.size() + 2) / 3 * 4 + 1);  // OpenSSL ends it with a NUL
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(header.data() + kScheme.size()),
                                     reinterpret_cast<const unsigned char*>(pair.data()), static_cast<int>(pair.size()));
  header.resize(kScheme.size() + static_cast<std::size_t>(length));
  wipe_text(pair);
  return header;
}

std::string assertion_header(const ClientKey& key, const std::string& key_id) {
  json::object header{{"alg", algorithm_name(key.algorithm())}, {"typ", "JWT"}};
  if (!key_id.empty()) header["kid"] = key_id;
  return json::serialize(header);
}

}  // namespace

void append_form_field(std::string& form, std::string_view name, std::string_view value) {
  make_room(form, 3 * (name.size() + value.size()) + 2);
  if (!form.empty()) form += '&';
  append_form_encoded(form, name);
  form += '=';
  append_form_encoded(form, value);
}

shm::Result<std::shared_ptr<const ClientCredentials>> ClientCredentials::read(const ProfileConfig& profile) {
  std::shared_ptr<ClientCredentials> made(new ClientCredentials());
  made->auth_ = profile.client_auth;
  made->client_id_ = profile.client_id;
  if (profile.client_auth == ClientAuth::kPrivateKeyJwt) {
    auto key = ClientKey::read(profile.client_key_file, profile.client_key_algorithm);
    if (!key) return shm::fail(key.error().code, "client_key_file: " + key.error().message);
    made->header_ = assertion_header(*key, profile.client_key_id);
    made->key_ = std::move(*key);
    made->audience_ = profile.client_assertion_audience.empty() ? profile.issuer : profile.client_assertion_audience;
    return made;
  }
  auto secret = read_client_secret(profile.client_secret_file);
  if (!secret) return shm::fail(secret.error().code, "client_secret_file: " + secret.error().message);
  if (profile.client_auth == ClientAuth::kSecretBasic) {
    made->basic_ = SecretText(basic_header(profile.client_id, secret->view()));
  } else {
    made->secret_ = std::move(*secret);
  }
  return made;
}

shm::Result<std::string> ClientCredentials::assertion(std::int64_t wall_now_ns) const {
  std::array<std::uint8_t, kJtiBytes> random{};
  if (auto filled = fill_random(random); !filled) return std::unexpected(filled.error());
  const std::int64_t now = wall_now_ns / kNsPerSecond;
  const json::object claims{{"iss", client_id_},
                            {"sub", client_id_},
                            {"aud", audience_},
                            {"jti", base64url_encode({reinterpret_cast<const char*>(random.data()), random.size()})},
                            {"iat", now},
                            {"exp", now + kAssertionSeconds}};
  std::string text = base64url_encode(header_) + "." + base64url_encode(json::serialize(claims));
  const auto signature = key_->sign(text);
  if (!signature) return std::unexpected(signature.error());
  return text + "." + base64url_encode(*signature);
}

shm::Result<void> ClientCredentials::authenticate(HttpRequest& request, std::int64_t wall_now_ns) const {
  switch (auth_) {
    case ClientAuth::kSecretBasic:
      request.headers.push_back({"Authorization", std::string(basic_.view())});
      return {};
    case ClientAuth::kSecretPost:
      append_form_field(request.body, "client_id", client_id_);
      append_form_field(request.body, "client_secret", secret_.view());
      return {};
    case ClientAuth::kPrivateKeyJwt: break;
  }
  auto signed_text = assertion(wall_now_ns);
  if (!signed_text) return std::unexpected(signed_text.error());
  append_form_field(request.body, "client_id", client_id_);
  append_form_field(request.body, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  append_form_field(request.body, "client_assertion", *signed_text);
  wipe_text(*signed_text);
  return {};
}

}  // namespace authcached
