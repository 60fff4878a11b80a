#include "daemon/upstream/discovery.hpp"

#include <optional>

#include "daemon/base/https_url.hpp"
#include "daemon/token/json.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

// Lists of what a server supports: some hundred entries together.
constexpr JsonLimits kMetadataJson{kMetadataBytesMax, 4'096};

}  // namespace

std::array<std::string, 2> metadata_urls(std::string_view issuer) {
  const std::string_view bare = issuer.ends_with('/') ? issuer.substr(0, issuer.size() - 1) : issuer;
  const std::size_t authority = bare.find("://") + 3;
  const std::size_t path = std::min(bare.find('/', authority), bare.size());
  std::string openid(bare);
  openid += "/.well-known/openid-configuration";
  std::string oauth(bare.substr(0, path));
  oauth += "/.well-known/oauth-authorization-server";
  oauth += bare.substr(path);
  return {std::move(openid), std::move(oauth)};
}

shm::Result<std::string> jwks_uri_of(std::string_view metadata, std::string_view issuer) {
  const auto refuse = [](std::string what) { return shm::fail(shm::ErrorCode::kRefused, std::move(what)); };
  const auto document = parse_json(metadata, kMetadataJson);
  const json::object* members = document ? document->if_object() : nullptr;
  if (members == nullptr) return refuse("The issuer's metadata is not a JSON object.");
  std::optional<std::string_view> named;
  if (!read_string(*members, "issuer", named) || !named) return refuse("The issuer's metadata names no issuer.");
  if (*named != issuer) return refuse("The metadata is that of another issuer than the one configured; a final slash matters.");
  std::optional<std::string_view> uri;
  if (!read_string(*members, "jwks_uri", uri) || !uri) return refuse("The issuer's metadata names no jwks_uri; name the key set by jwks_url.");
  if (const auto fault = https_url_fault(*uri)) return refuse("The jwks_uri of the issuer's metadata " + *fault + ".");
  return std::string(*uri);
}

}  // namespace authcached
