// D7: every kind of revocation. What it names is refused in every process once it is acknowledged, after a kill and a
// restart too; what was issued after its not-before is not; and what is lifted is good again.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/json/array.hpp>
#include <cstdlib>
#include <thread>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

// Well before the not-before of these cases, and well after it, whatever the leeway is.
constexpr std::int64_t kOldAgeSeconds = 3'000;
constexpr const char* kBefore = "1500s";

struct Kind {
  const char* name;
  std::vector<std::string> options;  // of authctl revoke
  bool by_age;
};

class RevocationKinds : public ::testing::Test {
 protected:
  RevocationKinds() {
    scene.start();
    reader = std::make_unique<ReaderProcess>(scene.daemon.runtime_dir());
  }

  // A token of alice's session s-1 by the client web, issued long ago or now.
  Claims claims(bool old) {
    Claims claims = scene.issuer.claims();
    const std::int64_t now = now_seconds();
    return claims.text("sid", "s-1").text("jti", "j-1").number("iat", old ? now - kOldAgeSeconds : now);
  }
  Question of_alice(bool old) { return api(scene.issuer.es256(claims(old))); }
  // Shares none of the names that are revoked.
  Question of_bob() {
    Claims other = scene.issuer.claims();
    other.text("sub", "bob").text("sid", "s-2").text("jti", "j-2").text("client_id", "app").number("iat", now_seconds() - kOldAgeSeconds);
    return api(scene.issuer.es256(other));
  }
  std::string ec_thumbprint() const {
    const auto keys = scene.daemon.authctl({"keys", "--json"}).json();
    for (const auto& profile : keys.at("profiles").as_array()) {
      for (const auto& key : profile.at("keys").as_array()) {
        if (key.at("kid").as_string() == "ec-1") return std::string(key.at("thumbprint").as_string());
      }
    }
    return {};
  }
  boost::json::object revoke(std::vector<std::string> options) const {
    options.insert(options.begin(), "revoke");
    options.emplace_back("--json");
    const Ran ran = scene.daemon.authctl(std::move(options));
    EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
    return ran.json();
  }
  void lift(const boost::json::object& revocation) const {
    const Ran ran = scene.daemon.authctl({"revocations", "lift", std::to_string(revocation.at("change").as_int64())});
    EXPECT_EQ(ran.exit, 0) << ran.err;
  }
  void restart_after_kill() {
    scene.daemon.kill();
    scene.start(DaemonProcess::First::kNo);
  }

  Scene scene;
  std::unique_ptr<ReaderProcess> reader;
};

TEST_F(RevocationKinds, B5_EachIsRefusedInEveryProcessAcrossAKillAndGoodAgainWhenLifted) {
  const std::vector<Kind> kinds = {{"jti", {"--jti", "j-1", "--issuer", kIssuer}, false},
                                   {"sid", {"--sid", "s-1"}, true},
                                   {"sid of an issuer", {"--sid", "s-1", "--issuer", kIssuer}, true},
                                   {"subject", {"--subject", "alice"}, true},
                                   {"client", {"--client", "web"}, true},
                                   {"issuer", {"--issuer", kIssuer}, true},
                                   {"key", {"--key=" + ec_thumbprint()}, false},
                                   {"everything", {"--everything"}, true}};
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(kind.name);
    const bool hits_all = kind.name == std::string("issuer") || kind.name == std::string("key") || kind.name == std::string("everything");
    const Question seen = of_alice(true), unseen = of_alice(true), other = of_bob();
    ASSERT_EQ(reader->validate(seen), "valid");
    ASSERT_EQ(reader->lookup(seen), "valid");
    ASSERT_EQ(reader->validate(other), "valid");
    std::vector<std::string> options = kind.options;
    if (kind.by_age) options.insert(options.end(), {"--before", kBefore});
    const auto made = revoke(options);
    EXPECT_NE(reader->lookup(seen), "valid");
    EXPECT_EQ(reader->validate(seen), "invalid/revoked");
    EXPECT_EQ(reader->validate(unseen), "invalid/revoked");
    EXPECT_EQ(reader->validate(other), hits_all ? "invalid/revoked" : "valid");
    EXPECT_EQ(reader->validate(of_alice(false)), kind.by_age ? "valid" : "invalid/revoked") << "issued after the not-before";
    restart_after_kill();
    EXPECT_NE(reader->lookup(seen), "valid");
    EXPECT_EQ(reader->validate(seen), "invalid/revoked");
    lift(made);
    EXPECT_EQ(reader->validate(seen), "valid");
    EXPECT_EQ(reader->validate(unseen), "valid");
    restart_after_kill();
    EXPECT_EQ(reader->validate(unseen), "valid") << "the lift is durable";
  }
}

TEST_F(RevocationKinds, AnOtherIssuersNamesAreNotMeant) {
  const Question question = of_alice(true);
  ASSERT_EQ(reader->validate(question), "valid");
  revoke({"--subject", "alice", "--issuer", "https://elsewhere.example"});
  revoke({"--jti", "j-1", "--issuer", "https://elsewhere.example"});
  revoke({"--issuer", "https://elsewhere.example"});
  EXPECT_EQ(reader->lookup(question), "valid");
  EXPECT_EQ(reader->validate(of_alice(true)), "valid");
}

TEST_F(RevocationKinds, ALoginAfterTheRevocationOfASubjectIsGoodAtOnce) {
  const Question before = session(scene.create_session());
  ASSERT_EQ(reader->validate(before), "valid");
  revoke({"--subject", "alice"});
  const Question after = session(scene.create_session());
  EXPECT_EQ(reader->validate(before), "invalid/revoked");
  EXPECT_EQ(reader->validate(after), "valid");
}

TEST_F(RevocationKinds, ATokensBothRulesAreLiftedAsOne) {
  const Question question = of_alice(false);
  ASSERT_EQ(reader->validate(question), "valid");
  const Ran ran = scene.daemon.authctl({"revoke", "--token", "--json"}, question.token);
  ASSERT_EQ(ran.exit, 0) << ran.err;
  ASSERT_EQ(reader->validate(question), "invalid/revoked");
  lift(ran.json());
  EXPECT_EQ(reader->validate(question), "valid");
  EXPECT_EQ(scene.daemon.authctl({"revocations", "lift", "999999"}).exit, 1);
}

TEST_F(RevocationKinds, AKeyStaysRefusedWhateverItsTokensSayOfTheirAge) {
  const std::string thumbprint = ec_thumbprint();
  ASSERT_EQ(thumbprint.size(), 43u);
  const Ran ran = scene.daemon.authctl({"keys", "revoke", "--", thumbprint});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(reader->validate(of_alice(false)), "invalid/revoked");
  EXPECT_EQ(reader->validate(api(scene.issuer.rs256())), "valid") << "the issuer's other keys are not meant";
}

TEST_F(RevocationKinds, AFlushWithoutARuleAsksAgain) {
  const Question question = of_alice(false);
  const std::vector<std::vector<std::string>> flushes = {
      {"--issuer", kIssuer}, {"--key=" + ec_thumbprint()}, {"--profile", "api"}, {"--subject", "alice"}};
  for (const auto& flush : flushes) {
    SCOPED_TRACE(flush.front());
    ASSERT_EQ(reader->validate(question), "valid");
    ASSERT_EQ(reader->lookup(question), "valid");
    std::vector<std::string> line{"flush"};
    line.insert(line.end(), flush.begin(), flush.end());
    const Ran ran = scene.daemon.authctl(line);
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(reader->lookup(question), "miss");
    EXPECT_EQ(reader->validate(question), "valid");
  }
  EXPECT_EQ(scene.daemon.authctl({"flush", "--profile", "nobody"}).exit, 1);
}

TEST_F(RevocationKinds, WhatCannotBeMeantIsRefusedAndRevokesNothing) {
  RawConnection control(scene.daemon.runtime_dir() / authcache::shm::wire::kControlSocket);
  for (const char* request :
       {R"({"verb":"revoke"})", R"({"verb":"revoke","jti":"j"})", R"({"verb":"revoke","sid":"a","subject":"b"})",
        R"({"verb":"revoke","everything":false})", R"({"verb":"revoke","everything":true,"issuer":"i"})",
        R"({"verb":"revoke","key":"short"})", R"({"verb":"revoke","jti":"j","issuer":"i","not_before_wall_ns":1})",
        R"({"verb":"revoke","subject":"s","not_before_wall_ns":-1})", R"({"verb":"revoke","token":"t","issuer":"i"})",
        R"({"verb":"lift"})", R"({"verb":"flush","issuer":"i","key":"k"})"}) {
    std::string frame;
    authcache::shm::wire::append_frame(frame, authcache::shm::wire::Type::kControl, 7, request);
    ASSERT_TRUE(control.send(frame));
    const auto answer = control.receive();
    ASSERT_TRUE(answer);
    EXPECT_NE(answer->payload.find(R"("code":"usage")"), std::string::npos) << request << answer->payload;
  }
  EXPECT_EQ(scene.daemon.authctl({"revocations", "list", "--json"}).json().at("total").as_int64(), 0);
}

std::uint64_t records_asked_for() {
  const char* text = std::getenv("AUTHCACHE_REVOKE_RECORDS");
  return text == nullptr ? 100'000 : std::stoull(text);
}

struct Meanwhile {
  std::uint64_t misses_answered = 0;
  std::uint64_t oldest_beat_ns = 0;
  std::string reply;
};

// Asks about tokens that nobody knows, one after the other, until the revocation that was sent before is acknowledged.
Meanwhile revoke_while_others_ask(const Scene& scene, Client& client, std::string_view request) {
  RawConnection control(scene.daemon.runtime_dir() / authcache::shm::wire::kControlSocket);
  RawConnection other(scene.daemon.runtime_dir() / authcache::shm::wire::kMissSocket);
  std::string frame;
  authcache::shm::wire::append_frame(frame, authcache::shm::wire::Type::kControl, 7, request);
  Meanwhile seen;
  std::atomic<bool> acknowledged = false;
  if (!control.send(frame)) return seen;
  std::thread listener([&] {
    if (const auto answer = control.receive()) seen.reply = answer->payload;
    acknowledged = true;
  });
  for (std::uint64_t id = 1; !acknowledged; ++id) {
    const bool answered = other.send(validate_frame(id, "sessions", random_token())) && other.receive().has_value();
    if (answered && !acknowledged) ++seen.misses_answered;
    authcache_status_info status = AUTHCACHE_STATUS_INIT;
    if (authcache_status(client.handle(), &status) == 0) seen.oldest_beat_ns = std::max(seen.oldest_beat_ns, status.heartbeat_age_ns);
  }
  listener.join();
  std::printf("misses answered meanwhile: %llu, oldest heartbeat: %llu ns, %s\n", static_cast<unsigned long long>(seen.misses_answered),
              static_cast<unsigned long long>(seen.oldest_beat_ns), seen.reply.c_str());
  return seen;
}

TEST(RevocationOfMany, OneSubjectAmongManyStallsNeitherTheHeartbeatNorOtherMisses) {
  constexpr unsigned kOfSubject = 10'000, kBatch = 1'000;
  constexpr std::uint64_t kQuarterOfTimeoutNs = 10'000'000'000 / 4;
  const std::uint64_t records = records_asked_for();
  std::printf("records: %llu (AUTHCACHE_REVOKE_RECORDS)\n", static_cast<unsigned long long>(records));
  Scene scene({.capacity = records + 1'000});
  scene.start();
  std::vector<std::string> doomed, others;
  for (std::uint64_t made = 0; made < records; made += kBatch) {
    // Spread among the others, as they would be.
    const bool theirs = made % (records / (kOfSubject / kBatch)) == 0 && doomed.size() < kOfSubject;
    const std::string subject = theirs ? "mallory" : "user-" + std::to_string(made);
    const Ran created = scene.daemon.authctl(
        {"session", "create", "--subject", subject, "--client-id", "app", "--count", std::to_string(kBatch), "--json"});
    ASSERT_EQ(created.exit, 0) << created.err;
    const auto document = created.json();
    for (const auto& each : document.at("sessions").as_array()) {
      (theirs ? doomed : others).emplace_back(each.at("token").as_string());
    }
  }
  ASSERT_EQ(doomed.size(), kOfSubject);
  Client client(scene.daemon.runtime_dir());
  ASSERT_EQ(client.lookup(session(doomed.front())), "valid");
  const std::string spared = others.back();
  ASSERT_EQ(client.lookup(session(spared)), "valid");

  const Meanwhile one = revoke_while_others_ask(scene, client, R"({"verb":"revoke","subject":"mallory"})");
  EXPECT_NE(one.reply.find(R"("killed":10000)"), std::string::npos) << one.reply;
  EXPECT_LT(one.oldest_beat_ns, kQuarterOfTimeoutNs);
  for (const std::string& token : doomed) ASSERT_NE(client.lookup(session(token)), "valid");
  EXPECT_EQ(client.validate(session(doomed.back())), "invalid/revoked");
  EXPECT_EQ(client.lookup(session(spared)), "valid");

  // All that are left share one client: ten times the work and more, in which others must get their answers.
  const Meanwhile all = revoke_while_others_ask(scene, client, R"({"verb":"revoke","client":"app"})");
  EXPECT_NE(all.reply.find(R"("ok":true)"), std::string::npos) << all.reply;
  EXPECT_GE(all.misses_answered, 5u);
  EXPECT_LT(all.oldest_beat_ns, kQuarterOfTimeoutNs);
  for (const std::string& token : others) ASSERT_NE(client.lookup(session(token)), "valid");
}

}  // namespace
}  // namespace authcache_test
