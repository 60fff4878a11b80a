// An issuer's metadata: nothing of it is used unless it names the issuer byte for byte and an https URL.
//
// A counted issuer (empty: the usual one), then the metadata.
#include "daemon/upstream/discovery.hpp"

#include "daemon/base/https_url.hpp"
#include "daemon/token/json.hpp"
#include "tests/fuzz/fuzz_target.hpp"

FUZZ_TARGET(discovery) {
  using namespace authcached;
  authcache_fuzz::Bytes bytes(input);
  std::string issuer(bytes.take_counted());
  if (issuer.empty()) issuer = "https://issuer.example/tenant";
  const std::string_view metadata = bytes.rest();
  // The configuration lets only these through.
  if (issuer_url_fault(issuer)) return;
  for (const std::string& url : metadata_urls(issuer)) {
    FUZZ_REQUIRE(!https_url_fault(url) || url.size() > kUrlBytesMax);
    FUZZ_REQUIRE(url.contains("/.well-known/"));
    // The same server is asked, whatever stands in the path.
    const std::size_t authority = issuer.find('/', 8);
    FUZZ_REQUIRE(url.starts_with(issuer.substr(0, authority)));
  }
  const auto uri = jwks_uri_of(metadata, issuer);
  if (!uri) {
    FUZZ_REQUIRE(!uri.error().message.empty());
    return;
  }
  FUZZ_REQUIRE(uri->starts_with("https://") && !https_url_fault(*uri));
  const auto document = parse_json(metadata, {kMetadataBytesMax, 4'096});
  FUZZ_REQUIRE(document.has_value());
  const auto& members = document->as_object();
  FUZZ_REQUIRE(std::string_view(members.at("issuer").as_string()) == issuer);
  FUZZ_REQUIRE(std::string_view(members.at("jwks_uri").as_string()) == *uri);
}
