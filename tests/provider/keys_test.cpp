// The provider changes its keys: new ones come, old ones go, while tokens are in use and while the daemon is down.
#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <thread>

#include "tests/provider/support/provider_test.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ProviderKeys : public ProviderTest {};

TEST_F(ProviderKeys, RotationUnderLoadRefusesNoGoodToken) {
  start({.jwt = "ttl_max = \"1s\"\n"});  // so that the old tokens are verified again and again, too
  std::vector<std::string> tokens = provider_->issue(kEs256Api, 40);
  for (const std::string& token : provider_->issue(kRs256Api, 40)) tokens.push_back(token);
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> asked = 0, refused = 0;
  std::string first_refusal;
  std::thread load([&] {
    Client client(daemon_->runtime_dir());
    for (std::size_t i = 0; !stop; ++i) {
      const std::string said = client.validate({.profile = "jwt", .token = tokens[i % tokens.size()]});
      ++asked;
      if (said != "valid" && refused++ == 0) first_refusal = said;
    }
  });
  std::this_thread::sleep_for(milliseconds(500));
  const std::int64_t fetched = provider_->asked("/jwks");
  provider_->tell("rotate");
  for (const std::string& token : provider_->issue(kEs256Api, 40)) EXPECT_EQ(validate("jwt", token), "valid");
  for (const std::string& token : provider_->issue(kRs256Api, 40)) EXPECT_EQ(validate("jwt", token), "valid");
  std::this_thread::sleep_for(milliseconds(1'500));
  stop = true;
  load.join();
  EXPECT_EQ(refused, 0u) << first_refusal;
  EXPECT_GT(asked, 1'000u);
  EXPECT_EQ(provider_->asked("/jwks"), fetched + 1);  // one fetch brought all of the new keys
  EXPECT_EQ(state("jwt").at("keys").to_number<int>(), 6);
  EXPECT_TRUE(daemon_->authctl({"revocations", "list", "--json"}).json().at("rules").as_array().empty());  // none was withdrawn
}

TEST_F(ProviderKeys, InventedKidsCostOneConditionalFetch_A2_11_A4_13) {
  provider_->tell("jwks_headers", {{"headers", {{"cache-control", "max-age=3600"}}}});
  start();
  const std::string good = provider_->issue(kEs256Api);
  ASSERT_EQ(validate("jwt", good), "valid");
  const std::int64_t fetched = provider_->asked("/jwks");
  const SigningKey mallory = SigningKey::generate(KeyKind::kP256);
  const auto now = std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  for (int i = 0; i < 50; ++i) {
    const std::string invented = mint_access_token(mallory, "ES256", "invented-" + std::to_string(i), Claims(provider_->issuer(), kEs256Api, now).json());
    EXPECT_EQ(validate("jwt", invented), "invalid/unknown_key");
  }
  EXPECT_EQ(provider_->asked("/jwks"), fetched + 1);
  EXPECT_EQ(provider_->asked("not_modified"), 1);
  EXPECT_EQ(lookup("jwt", good), "valid");
  EXPECT_EQ(validate("jwt", provider_->issue(kEs256Api)), "valid");
}

TEST_F(ProviderKeys, AWithdrawnKeyTakesItsTokensWithItAlsoAfterARestart_A4_14_D12) {
  // Another profile trusts one of the keys by a file, where it stays.
  const boost::json::object withdrawn = provider_->tell("keys", {{"alg", "RS256"}});
  const auto copy = daemon_->scratch("copy.json");
  write_file(copy, boost::json::serialize(provider_->tell("keys", {{"alg", "ES256"}})));
  start({.more = "\n[profile.copy]\nupstream = \"jwks\"\nissuer = \"" + provider_->issuer() + "\"\naudience = [\"" + std::string(kEs256Api) +
                 "\"]\nalgorithms = [\"ES256\"]\njwks_file = \"" + copy.string() + "\"\n"});
  const std::string old = provider_->issue(kEs256Api), old_rsa = provider_->issue(kRs256Api);
  ASSERT_EQ(validate("jwt", old), "valid");
  ASSERT_EQ(validate("jwt", old_rsa), "valid");
  ASSERT_EQ(validate("copy", old), "valid");
  provider_->tell("rotate", {{"drop", true}});
  const std::string fresh = provider_->issue(kEs256Api);
  ASSERT_EQ(validate("jwt", fresh), "valid");  // whose key was looked for: the first set without the old ones
  EXPECT_EQ(lookup("jwt", old), "valid");      // one set may come from a server that is late
  // The second look follows within the cooldown.
  EXPECT_TRUE(eventually([&] { return lookup("jwt", old) != "valid"; }, seconds(35)));
  EXPECT_EQ(validate("jwt", old), "invalid/unknown_key");
  EXPECT_NE(lookup("jwt", old_rsa), "valid");
  EXPECT_EQ(lookup("jwt", fresh), "valid");
  // A rule for the keys of RS256 and EdDSA; none for the one that another profile's key set still proves by.
  const auto rules = [&] { return daemon_->authctl({"revocations", "list", "--json"}).json().at("rules").as_array(); };
  EXPECT_TRUE(eventually([&] { return rules().size() == 2; })) << daemon_->authctl({"revocations", "list"}).out;
  for (const auto& rule : rules()) EXPECT_EQ(rule.at("kind").as_string(), "key");
  EXPECT_EQ(validate("copy", old), "valid");
  EXPECT_TRUE(daemon_->logs("withdrawn by the issuer"));
  ASSERT_EQ(daemon_->stop(), 0);
  daemon_->start(DaemonProcess::First::kNo);
  reader_.emplace(daemon_->runtime_dir());
  EXPECT_TRUE(becomes_valid("jwt", fresh));
  EXPECT_EQ(validate("jwt", old), "invalid/unknown_key");
  // A late server that publishes it once more does not bring it back: the rule stands.
  boost::json::object stale = provider_->tell("keys", {{"alg", "RS256"}});
  stale.at("keys").as_array().push_back(withdrawn.at("keys").as_array().at(0));
  provider_->tell("lie", {{"path", "/jwks"}, {"body", boost::json::serialize(stale)}});
  EXPECT_EQ(validate("jwt", old_rsa), "invalid/revoked");
}

TEST_F(ProviderKeys, RecordsOutliveARestartOnceTheKeysAreKnownAgainAndThoseOfALostKeyDoNot_D8) {
  start();
  const std::string kept = provider_->issue(kRs256Api);
  ASSERT_EQ(validate("jwt", kept), "valid");
  ASSERT_EQ(daemon_->stop(), 0);
  // While the provider does not answer, nothing of it is served, and everything else is.
  provider_->suspend();
  daemon_->start(DaemonProcess::First::kNo);
  reader_.emplace(daemon_->runtime_dir());
  EXPECT_EQ(lookup("jwt", kept), "unavailable/catching_up");
  provider_->resume();
  EXPECT_TRUE(eventually([&] { return lookup("jwt", kept) == "valid"; }));
  // Again, and meanwhile the keys are others.
  ASSERT_EQ(daemon_->stop(), 0);
  provider_->tell("rotate", {{"drop", true}});
  daemon_->start(DaemonProcess::First::kNo);
  reader_.emplace(daemon_->runtime_dir());
  EXPECT_TRUE(eventually([&] {
    const std::string said = validate("jwt", kept);
    EXPECT_NE(said, "valid");
    return said == "invalid/unknown_key";
  }));
}

}  // namespace
}  // namespace authcache_test
