#include "daemon/control/face/client_table.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "daemon/base/sha256.hpp"
#include "daemon/control/face/form.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr std::size_t kHexDigits = 2 * sizeof(Sha256);
constexpr std::streamsize kSecretFileBytesMax = 8 * 1'024;  // a hash and the longest file name behind it
constexpr std::size_t kBasicBytesMax = 4 * 1'024;           // a name and a secret that people still handle

shm::Result<Sha256> read_hash(const HttpClientConfig& client) {
  std::ifstream file(client.secret_file, std::ios::binary);
  std::string text(static_cast<std::size_t>(kSecretFileBytesMax), '\0');
  file.read(text.data(), kSecretFileBytesMax);
  text.resize(static_cast<std::size_t>(file.gcount()));
  const auto bytes = bytes_of_hex(std::string_view(text).substr(0, kHexDigits));
  const bool ends = text.size() == kHexDigits ||
                    (text.size() > kHexDigits &&
                     (text[kHexDigits] == ' ' || text[kHexDigits] == '\n' || text[kHexDigits] == '\r'));
  if (!bytes || bytes->size() != sizeof(Sha256) || !ends) {
    return shm::fail(shm::ErrorCode::kRefused,
                     "http.client." + client.name + ".secret_file: " + client.secret_file.string() +
                         " does not hold a SHA-256; write it there with: printf %s SECRET | sha256sum");
  }
  Sha256 hash;
  std::ranges::copy(*bytes, hash.begin());
  return hash;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

Credentials::~Credentials() { OPENSSL_cleanse(secret.data(), secret.size()); }

shm::Result<ClientTable> ClientTable::load(const std::vector<HttpClientConfig>& clients) {
  ClientTable table;
  for (const HttpClientConfig& client : clients) {
    const auto hash = read_hash(client);
    if (!hash) return std::unexpected(hash.error());
    table.clients_.push_back({client.name, *hash, client.may_introspect, client.may_revoke});
  }
  return table;
}

const ClientTable::Client* ClientTable::find(std::string_view name, std::string_view secret) const {
  const Sha256 presented = sha256(secret);
  const Client* found = nullptr;
  for (const Client& client : clients_) {
    const bool same_secret = CRYPTO_memcmp(client.secret.data(), presented.data(), presented.size()) == 0;
    const bool same_name = client.name == name;
    if (same_secret & same_name) found = &client;
  }
  return found;
}

std::optional<Credentials> basic_credentials(std::string_view header) {
  constexpr std::string_view kScheme = "basic ";
  const std::string_view scheme = header.substr(0, kScheme.size());
  if (!std::equal(scheme.begin(), scheme.end(), kScheme.begin(), kScheme.end(),
                  [](char a, char b) { return lower(a) == b; }))
    return std::nullopt;
  std::string_view encoded = header.substr(kScheme.size());
  encoded.remove_prefix(std::min(encoded.find_first_not_of(' '), encoded.size()));
  if (encoded.empty() || encoded.size() % 4 != 0 || encoded.size() > kBasicBytesMax) return std::nullopt;
  std::string text(encoded.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(encoded.data()),
                                     static_cast<int>(encoded.size()));
  if (length < 0) return std::nullopt;
  const std::size_t padding = encoded.ends_with("==") ? 2 : encoded.ends_with('=') ? 1 : 0;
  text.resize(static_cast<std::size_t>(length) - padding);
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  auto name = percent_decode(std::string_view(text).substr(0, colon), Plus::kIsBlank);
  auto secret = percent_decode(std::string_view(text).substr(colon + 1), Plus::kIsBlank);
  OPENSSL_cleanse(text.data(), text.size());
  if (!name || !secret) return std::nullopt;
  return Credentials(std::move(*name), std::move(*secret));
}

}  // namespace authcached
