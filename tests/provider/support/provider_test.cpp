#include "tests/provider/support/provider_test.hpp"

#include <boost/json/array.hpp>

namespace authcache_test {

namespace {

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

}  // namespace

void ProviderTest::SetUp() {
  if (const std::string why = Provider::missing(); !why.empty()) GTEST_SKIP() << why;
  daemon_.emplace();
  provider_.emplace(daemon_->scratch(""));
  provider_->start();
}

std::string ProviderTest::introspection(const std::string& client, const std::string& more) const {
  const bool by_key = client == "rs-key";
  return "upstream = \"introspection\"\naudience = [" + quoted(std::string(kOpaqueApi)) +
         "]\nintrospection_url = " + quoted(provider_->issuer() + "/token/introspection") +
         "\nca_file = " + quoted(provider_->ca_file()) + "\nclient_id = " + quoted(client) + "\nissuer = " + quoted(provider_->issuer()) +
         (by_key ? "\nclient_auth = \"private_key_jwt\"\nclient_key_id = \"client-1\"\nclient_key_file = " + quoted(provider_->client_key_file())
                 : "\nclient_secret_file = " + quoted(provider_->secret_file())) +
         (client == "rs-post" ? "\nclient_auth = \"client_secret_post\"" : "") + "\n" + more;
}

void ProviderTest::configure(const Lines& lines) {
  const std::string jwt = "upstream = \"jwks\"\nissuer = " + quoted(provider_->issuer()) + "\nca_file = " + quoted(provider_->ca_file()) +
                          "\naudience = [" + quoted(std::string(kEs256Api)) + ", " + quoted(std::string(kRs256Api)) +
                          "]\nalgorithms = [\"ES256\", \"RS256\"]\n";
  daemon_->configure("log_level = \"debug\"\n[table]\ncapacity = 10000\n[profile.jwt]\n" + jwt + lines.jwt + "\n[profile.opaque]\n" +
                     introspection("rs-basic", lines.introspecting) + "\n[profile.post]\n" + introspection("rs-post", lines.introspecting) +
                     "\n[profile.key]\n" + introspection("rs-key", lines.introspecting) + "\n[profile.signed]\n" +
                     introspection("rs-signed", lines.introspecting + "introspection_answer = \"jwt\"\nalgorithms = [\"ES256\"]\n") + lines.more);
}

void ProviderTest::start(const Lines& lines) {
  configure(lines);
  daemon_->start();
  reader_.emplace(daemon_->runtime_dir());
}

boost::json::object ProviderTest::state(std::string_view profile) const {
  const auto document = daemon_->authctl({"upstreams", "--json"}).json();
  for (const auto& each : document.at("upstreams").as_array()) {
    if (each.at("profile").as_string() == profile) return each.at("state").as_object();
  }
  return {};
}

}  // namespace authcache_test
