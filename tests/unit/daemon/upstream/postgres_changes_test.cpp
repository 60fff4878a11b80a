#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/base/config.hpp"
#include "daemon/upstream/postgres_changes_ddl.hpp"
#include "daemon/upstream/session_key.hpp"

namespace {

using authcached::changes_ddl;
using authcached::ChangesDdl;
using authcached::hash_of_session_key;
using authcached::KeyEncoding;
using authcached::ProfileConfig;
using authcached::session_key;
using authcached::UpstreamKind;

ProfileConfig shop(KeyEncoding encoding = KeyEncoding::kSha256) {
  ProfileConfig profile;
  profile.name = "shop";
  profile.upstream = UpstreamKind::kPostgresql;
  profile.connection = "host=/run/postgresql dbname=app user=reader";
  profile.key_encoding = encoding;
  return profile;
}

ChangesDdl plain() {
  ChangesDdl asked;
  asked.sessions = "sessions";
  asked.key = "token_hash";
  return asked;
}

TEST(PostgresChangesDdl, GrantsTheUserOfTheConnectionToReadAndNothingElse) {
  const std::string text = changes_ddl(shop(), plain()).value();
  EXPECT_TRUE(
      text.contains("GRANT SELECT ON \"public\".\"authcache_changes\", "
                    "\"public\".\"authcache_changes_pruned\" TO \"reader\";"));
  EXPECT_FALSE(text.contains("GRANT INSERT"));
  EXPECT_TRUE(text.contains("LISTEN") || text.contains("pg_notify(E'authcache_changes', '')"));
}

TEST(PostgresChangesDdl, ARawKeyIsATokenAndIsHashedBeforeItIsWritten) {
  const std::string text = changes_ddl(shop(KeyEncoding::kRaw), plain()).value();
  EXPECT_TRUE(text.contains("('token', sha256(convert_to(OLD.\"token_hash\"::text, 'UTF8')))"));
  EXPECT_FALSE(text.contains("'key'"));
}

TEST(PostgresChangesDdl, AKeyThatDoesNotTellItsTokenNeedsASid) {
  EXPECT_TRUE(changes_ddl(shop(KeyEncoding::kIdHexSha256), plain()).error().message.contains("sid"));
  ChangesDdl asked = plain();
  asked.sid = "id";
  EXPECT_TRUE(changes_ddl(shop(KeyEncoding::kIdHexSha256), asked)
                  .value()
                  .contains("('sid', convert_to(OLD.\"id\"::text, 'UTF8'))"));
}

TEST(PostgresChangesDdl, B24_NamesAreQuotedWhateverTheyHold) {
  ChangesDdl asked;
  asked.sessions = "a\"; DROP TABLE users; --.b\"; DROP TABLE users; --";
  asked.key = "k\" IS NULL; DROP TABLE users; --";
  asked.sid = "s$authcache$; DROP TABLE users; --";
  asked.ignored = {"i\\'] IS NULL); DROP TABLE users; --"};
  asked.subjects = {{"u\"; DROP TABLE users; --", "c\"); DROP TABLE users; --"}};
  asked.reader = "r\"; DROP TABLE users; --";
  const std::string text = changes_ddl(shop(), asked).value();
  for (std::size_t at = text.find("DROP TABLE users"); at != std::string::npos;
       at = text.find("DROP TABLE users", at + 1)) {
    // Everything between a name's quotes, with its own doubled.
    const std::string before = text.substr(text.rfind('\n', at) + 1, at - text.rfind('\n', at) - 1);
    const bool quoted = std::ranges::count(before, '"') % 2 == 1 || before.contains("E'");
    EXPECT_TRUE(quoted) << before;
  }
  EXPECT_TRUE(text.contains("$authcache1$")) << "the body's tag stands in a name";
  EXPECT_TRUE(text.contains("E'i\\\\'']"));
}

TEST(PostgresChangesDdl, B24_ANameThatEndsAReadersLineIsRefused) {
  for (const std::string& bad :
       {std::string("a\nb"), std::string(64, 'a'), std::string(), std::string("a\0b", 3)}) {
    ChangesDdl asked = plain();
    asked.sessions = bad;
    EXPECT_FALSE(changes_ddl(shop(), asked)) << bad;
    asked = plain();
    asked.ignored = {bad};
    EXPECT_FALSE(changes_ddl(shop(), asked)) << bad;
    asked = plain();
    asked.subjects = {{"users", bad}};
    EXPECT_FALSE(changes_ddl(shop(), asked)) << bad;
  }
}

TEST(SessionKey, AKeyGivesTheHashOfItsTokenBack) {
  const std::string token = "a-token";
  const std::string hash = *session_key(token, KeyEncoding::kSha256);
  for (const KeyEncoding encoding : {KeyEncoding::kHexSha256, KeyEncoding::kBase64urlSha256}) {
    EXPECT_EQ(hash_of_session_key(*session_key(token, encoding), encoding), hash);
    EXPECT_FALSE(hash_of_session_key("", encoding));
    EXPECT_FALSE(hash_of_session_key(*session_key(token, encoding) + "0", encoding));
  }
  EXPECT_FALSE(hash_of_session_key(std::string(64, 'A'), KeyEncoding::kHexSha256))
      << "no token has such a key";
  EXPECT_FALSE(hash_of_session_key(token, KeyEncoding::kRaw));
}

}  // namespace
