// The key set file: keys come and go while tokens signed by them are cached.
#include <gtest/gtest.h>

#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kSeen{4'000};  // the file is looked at once a second

struct Rotation {
  Scene scene;
  SigningKey next = SigningKey::generate(KeyKind::kP256);
  std::string new_token = mint_access_token(next, "ES256", "ec-2", scene.issuer.claims().json());
  std::string old_token = scene.issuer.es256();

  void publish(const std::vector<std::string>& keys) const { replace_file(scene.jwks_file(), jwks(keys)); }
  [[nodiscard]] std::string old_key() const { return scene.issuer.ec().public_jwk("ec-1", "ES256"); }
  [[nodiscard]] std::string next_key() const { return next.public_jwk("ec-2", "ES256"); }
};

TEST(KeySet, TokensOfANewKeyBecomeValid) {
  Rotation rotation;
  rotation.scene.start();
  ReaderProcess reader(rotation.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(api(rotation.new_token)), "invalid/unknown_key");
  rotation.publish({rotation.old_key(), rotation.next_key()});
  EXPECT_TRUE(eventually([&] { return reader.validate(api(rotation.new_token)) == "valid"; }, kSeen));
  EXPECT_EQ(reader.validate(api(rotation.old_token)), "valid");
}

TEST(KeySet, TokensOfARemovedKeyAreRefusedAlthoughCached) {
  Rotation rotation;
  rotation.scene.start();
  ReaderProcess reader(rotation.scene.daemon.runtime_dir()), other(rotation.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(api(rotation.old_token)), "valid");
  ASSERT_EQ(other.lookup(api(rotation.old_token)), "valid");
  rotation.publish({rotation.next_key()});
  EXPECT_TRUE(eventually([&] { return other.lookup(api(rotation.old_token)) != "valid"; }, kSeen));
  EXPECT_EQ(reader.validate(api(rotation.old_token)), "invalid/unknown_key");
  EXPECT_EQ(reader.validate(api(rotation.new_token)), "valid");
}

TEST(KeySet, TokensOfAKeyRemovedWhileTheDaemonIsDownAreRefusedAfterItsStart) {
  Rotation rotation;
  rotation.scene.start();
  ReaderProcess reader(rotation.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(api(rotation.old_token)), "valid");
  ASSERT_EQ(rotation.scene.daemon.stop(), 0);
  rotation.publish({rotation.next_key()});
  rotation.scene.start(DaemonProcess::First::kNo);
  EXPECT_NE(reader.lookup(api(rotation.old_token)), "valid");
  EXPECT_EQ(reader.validate(api(rotation.old_token)), "invalid/unknown_key");
}

TEST(KeySet, AKeyThatComesBackIsGoodAgain) {
  Rotation rotation;
  rotation.scene.start();
  ReaderProcess reader(rotation.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(api(rotation.old_token)), "valid");
  rotation.publish({rotation.next_key()});
  ASSERT_TRUE(
      eventually([&] { return reader.validate(api(rotation.old_token)) == "invalid/unknown_key"; }, kSeen));
  rotation.publish({rotation.next_key(), rotation.old_key()});
  EXPECT_TRUE(eventually([&] { return reader.validate(api(rotation.old_token)) == "valid"; }, kSeen));
}

void expect_the_old_keys_stay(const std::function<void(const Rotation&)>& harm) {
  Rotation rotation;
  rotation.scene.start();
  ReaderProcess reader(rotation.scene.daemon.runtime_dir());
  ASSERT_EQ(reader.validate(api(rotation.old_token)), "valid");
  harm(rotation);
  const auto error = [&] {
    const auto document = rotation.scene.daemon.authctl({"keys", "--json"}).json();
    for (const auto& profile : document.at("profiles").as_array()) {
      if (profile.at("name").as_string() == "api") return std::string(profile.at("error").as_string());
    }
    return std::string();
  };
  EXPECT_TRUE(eventually([&] { return error().contains(rotation.scene.jwks_file().string()); }, kSeen))
      << error();
  EXPECT_TRUE(rotation.scene.daemon.authctl({"upstreams"}).out.contains(rotation.scene.jwks_file().string()));
  EXPECT_EQ(reader.lookup(api(rotation.old_token)), "valid");
  EXPECT_EQ(reader.validate(api(rotation.scene.issuer.rs256())), "valid");
  rotation.publish({rotation.old_key(), rotation.next_key()});
  EXPECT_TRUE(eventually([&] { return error().empty(); }, kSeen)) << error();
  EXPECT_EQ(reader.validate(api(rotation.new_token)), "valid");
}

TEST(KeySet, GarbageInItsPlaceLeavesTheOldKeysAndIsTold) {
  expect_the_old_keys_stay(
      [](const Rotation& rotation) { replace_file(rotation.scene.jwks_file(), "not a key set"); });
}

TEST(KeySet, ASetWithoutAUsableKeyLeavesTheOldKeysAndIsTold) {
  expect_the_old_keys_stay([](const Rotation& rotation) { rotation.publish({}); });
}

TEST(KeySet, ARemovedFileLeavesTheOldKeysAndIsTold) {
  expect_the_old_keys_stay(
      [](const Rotation& rotation) { std::filesystem::remove(rotation.scene.jwks_file()); });
}

}  // namespace
}  // namespace authcache_test
