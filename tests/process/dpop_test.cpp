// A8: sender-constrained tokens with the real programs, and DPoP proofs shown by several processes of one
// host.
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

namespace wire = authcache::shm::wire;
using authcache::shm::Verdict;
using std::chrono::milliseconds;
using wire::Type;

constexpr const char* kUrl = "https://api.example/orders";
constexpr std::int64_t kAheadSeconds = 5;  // a proof may be issued so far ahead of the daemon's clock

std::string sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// A client with a DPoP key of its own.
class Holder {
 public:
  // RFC 7638: of the members of the public key in their order.
  [[nodiscard]] std::string jkt() const {
    return base64url(sha256(R"({"crv":"P-256","kty":"EC","x":")" + base64url(key_.public_number("x")) +
                            R"(","y":")" + base64url(key_.public_number("y")) + "\"}"));
  }
  [[nodiscard]] std::string confirmation() const { return R"({"jkt":")" + jkt() + "\"}"; }
  [[nodiscard]] Claims claims(std::string_view token) {
    Claims claims("", "", now_seconds());
    claims.without("iss").without("aud").without("sub").without("client_id").without("exp");
    claims.text("jti", "proof-" + std::to_string(++proofs_)).text("htm", "GET").text("htu", kUrl);
    return claims.text("ath", base64url(sha256(token)));
  }
  [[nodiscard]] Shown show(const std::string& token, const Claims& claims) const {
    return {mint(key_, "ES256", R"({"typ":"dpop+jwt","alg":"ES256","jwk":)" + key_.public_jwk() + "}",
                 claims.json()),
            "GET", kUrl, token};
  }
  [[nodiscard]] Shown show(const std::string& token) { return show(token, claims(token)); }
  // By a clock that is ahead, so that a daemon that has just started takes it.
  [[nodiscard]] Shown show_ahead(const std::string& token) {
    return show(token, claims(token).number("iat", now_seconds() + kAheadSeconds));
  }

 private:
  SigningKey key_ = SigningKey::generate(KeyKind::kP256);
  std::uint64_t proofs_ = 0;
};

class Dpop : public ::testing::Test {
 protected:
  void start(Settings settings = {}) {
    scene_.emplace(std::move(settings));
    scene_->start();
    // Readers are forked before this process has threads, and the first proofs are told "wait".
    Client client(scene_->daemon.runtime_dir());
    ASSERT_TRUE(eventually([&] { return client.prove(holder_.show_ahead("any")) == "valid"; }));
  }
  [[nodiscard]] std::string bound_token(const std::string& confirmation) {
    return scene_->issuer.es256(scene_->issuer.claims().set("cnf", confirmation));
  }

  Holder holder_;
  std::optional<Scene> scene_;
};

TEST_F(Dpop, A8_3_AProofIsTakenOnceOnTheHostAndBindsItsToken) {
  start();
  ReaderProcess first(scene_->daemon.runtime_dir()), second(scene_->daemon.runtime_dir());
  const std::string token = bound_token(holder_.confirmation());
  const Shown shown = holder_.show_ahead(token);
  EXPECT_EQ(first.validate(api(token)), "forbidden/confirmation_required") << "A8.2: as a bearer token";
  EXPECT_EQ(first.prove(shown), "valid");
  EXPECT_EQ(first.validate_shown(api(token)), "valid");
  EXPECT_EQ(second.prove(shown), "invalid/proof_replayed");
  EXPECT_EQ(second.validate_shown(api(token)), "usage_error") << "nothing was shown that could be bound";
  EXPECT_EQ(first.prove(shown), "invalid/proof_replayed");
  EXPECT_EQ(second.prove(holder_.show_ahead(token)), "valid");
  EXPECT_EQ(second.validate_shown(api(token)), "valid");
  EXPECT_EQ(second.lookup(api(token)), "forbidden/confirmation_required")
      << "and nothing of it is remembered as a yes";
}

TEST_F(Dpop, A8_3_OfManyProcessesAtOnceOneIsToldYes) {
  start();
  const Shown shown = holder_.show_ahead("token");
  wire::Prove prove{.timeout_ms = 60'000,
                    .nonce_asked = false,
                    .token = {},
                    .method = shown.method,
                    .url = shown.url,
                    .nonce = {},
                    .proof = shown.proof};
  const std::string hash = sha256("token");
  std::copy(hash.begin(), hash.end(), prove.token.begin());
  std::string frame;
  wire::append_prove(frame, 1, prove);
  std::vector<RawConnection> connections;
  for (int i = 0; i < 100; ++i) connections.emplace_back(scene_->daemon.runtime_dir() / "authcached.sock");
  scene_->daemon.suspend();  // so that it finds all of them at once
  for (const RawConnection& connection : connections) ASSERT_TRUE(connection.send(frame));
  scene_->daemon.resume();
  int taken = 0, replayed = 0;
  for (RawConnection& connection : connections) {
    const auto reply = connection.receive();
    ASSERT_TRUE(reply && reply->head.type == Type::kProveReply);
    const auto told = wire::decode_prove_reply(reply->payload);
    ASSERT_TRUE(told);
    taken += told->verdict == Verdict::kValid ? 1 : 0;
    replayed += told->reason == authcache::shm::Reason::kProofReplayed ? 1 : 0;
  }
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(replayed, 99);
  EXPECT_EQ(scene_->daemon.stat("daemon", "proofs_replayed"), 99);
}

TEST_F(Dpop, A8_3_AProofForAnotherRequestIsRefusedAndStaysGoodForItsOwn) {
  start();
  Client client(scene_->daemon.runtime_dir());
  const std::string token = bound_token(holder_.confirmation());
  const Shown shown = holder_.show_ahead(token);
  Shown wrong = shown;
  wrong.method = "POST";
  EXPECT_EQ(client.prove(wrong), "invalid/proof_method");
  wrong = shown;
  wrong.url = "https://api.example/orders/7";
  EXPECT_EQ(client.prove(wrong), "invalid/proof_url");
  wrong = shown;
  wrong.token = scene_->issuer.es256();
  EXPECT_EQ(client.prove(wrong), "invalid/proof_token");
  wrong = shown;
  wrong.nonce = "n-1";
  EXPECT_EQ(client.prove(wrong), "invalid/proof_nonce");
  wrong = shown;
  wrong.proof = token;
  EXPECT_EQ(client.prove(wrong), "invalid/type") << "a token is no proof";
  EXPECT_EQ(client.prove(holder_.show(token, holder_.claims(token).number("iat", now_seconds() - 70))),
            "invalid/expired");
  EXPECT_EQ(client.prove(holder_.show(token, holder_.claims(token).number("iat", now_seconds() + 20))),
            "invalid/not_yet_valid");
  EXPECT_EQ(client.prove(shown), "valid");
  EXPECT_EQ(client.validate_shown(api(token)), "valid");
}

TEST_F(Dpop, A8_3_AProofByAnotherKeyDoesNotBindTheToken) {
  start();
  Client client(scene_->daemon.runtime_dir());
  Holder thief;
  const std::string token = bound_token(holder_.confirmation());
  ASSERT_EQ(client.prove(thief.show_ahead(token)), "valid") << "good, and says nothing of the token";
  EXPECT_EQ(client.validate_shown(api(token)), "forbidden/confirmation_required");
  const std::string bearer = scene_->issuer.es256();
  ASSERT_EQ(client.prove(thief.show_ahead(bearer)), "valid");
  EXPECT_EQ(client.validate_shown(api(bearer)), "forbidden/confirmation_required")
      << "a token that is bound to no key";
}

TEST_F(Dpop, A8_3_ARevokedTokenIsRefusedWhateverIsShown) {
  start();
  Client client(scene_->daemon.runtime_dir());
  const std::string token = bound_token(holder_.confirmation());
  ASSERT_EQ(client.prove(holder_.show_ahead(token)), "valid");
  ASSERT_EQ(client.validate_shown(api(token)), "valid");
  ASSERT_EQ(scene_->daemon.revoke(token).exit, 0);
  ASSERT_EQ(client.prove(holder_.show_ahead(token)), "valid");
  EXPECT_EQ(client.validate_shown(api(token)), "invalid/revoked");
}

TEST_F(Dpop, A8_3_ARestartedDaemonTakesNothingThatItsPredecessorMayHaveTaken) {
  start();
  Client client(scene_->daemon.runtime_dir());
  const Shown plain = holder_.show_ahead("token"), ahead = holder_.show_ahead("token");
  ASSERT_EQ(client.prove(plain), "valid");
  ASSERT_EQ(client.prove(ahead), "valid");
  scene_->daemon.kill();
  EXPECT_EQ(client.prove(holder_.show("token")), "unavailable/daemon_unreachable");
  scene_->start(DaemonProcess::First::kNo);
  EXPECT_EQ(client.prove(plain), "unavailable/catching_up");
  EXPECT_EQ(client.prove(ahead), "unavailable/catching_up");
  // It comes to serve by itself, and for what was taken before it never does.
  ASSERT_TRUE(eventually([&] { return client.prove(holder_.show("token")) == "valid"; }));
  EXPECT_EQ(client.prove(plain), "unavailable/catching_up");
  EXPECT_EQ(client.prove(ahead), "unavailable/catching_up");
}

TEST_F(Dpop, A8_3_ProofsCostTheBudgetOfWhoAsksAndJunkCostsNone) {
  if (::geteuid() != 0) GTEST_SKIP() << "a second user needs root";
  start({.limits = "misses_per_second_per_uid = 1\nmiss_burst_per_uid = 100\n"});
  ReaderProcess greedy(scene_->daemon.runtime_dir(), 12'345), modest(scene_->daemon.runtime_dir(), 12'346);
  Shown junk = holder_.show_ahead("token");
  junk.proof = "no.proof";
  for (int i = 0; i < 300; ++i) ASSERT_EQ(greedy.prove(junk), "invalid/malformed");
  int refused = 0;
  for (int i = 0; i < 150; ++i) {
    const std::string answer = greedy.prove(holder_.show_ahead("token"));
    EXPECT_TRUE(answer == "valid" || answer == "unavailable/over_budget") << answer;
    refused += answer == "unavailable/over_budget" ? 1 : 0;
  }
  EXPECT_GT(refused, 30);
  EXPECT_EQ(modest.prove(holder_.show_ahead("token")), "valid");
}

TEST_F(Dpop, A8_4_ACertificateBindsATokenThatNamesItAndNoOther) {
  start();
  Client client(scene_->daemon.runtime_dir());
  const auto certificate = [](const char* name) {
    const SigningKey key = SigningKey::generate(KeyKind::kP256);
    X509* made = X509_new();
    X509_set_pubkey(made, key.pkey());
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3'600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_sign(made, key.pkey(), EVP_sha256());
    unsigned char* der = nullptr;
    const int size = i2d_X509(made, &der);
    std::string bytes(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    X509_free(made);
    return bytes;
  };
  const std::string own = certificate("own"), other = certificate("other");
  const std::string token = bound_token(R"({"x5t#S256":")" + base64url(sha256(own)) + "\"}");
  EXPECT_EQ(client.validate(api(token)), "forbidden/confirmation_required") << "no certificate";
  EXPECT_EQ(client.validate_with_certificate(api(token), own), "valid");
  EXPECT_EQ(client.validate_with_certificate(api(token), other), "forbidden/confirmation_required");
  EXPECT_EQ(client.validate_with_certificate(api(token), own.substr(1)), "usage_error");
  ASSERT_EQ(client.prove(holder_.show_ahead(token)), "valid");
  EXPECT_EQ(client.validate_shown(api(token)), "forbidden/confirmation_required")
      << "a proof is no certificate";
}

TEST_F(Dpop, BrokenFramesAreAnsweredByASentenceAndUseNothingUp) {
  start();
  const Shown shown = holder_.show_ahead("token");
  wire::Prove prove{.timeout_ms = 1'000,
                    .nonce_asked = false,
                    .token = {},
                    .method = "GET",
                    .url = kUrl,
                    .nonce = {},
                    .proof = shown.proof};
  std::string good;
  wire::append_prove(good, 7, prove);
  const auto edited = [&](std::size_t at, char value) {
    std::string frame = good;
    frame[wire::kHeadBytes + at] = value;
    return frame;
  };
  for (const std::string& broken :
       {edited(4, 2), edited(5, 33), edited(7, '\x7f'), edited(9, 1), raw_frame(0, 1, 11, 7, ""),
        raw_frame(43, 1, 11, 7, std::string(43, '\0')), raw_frame(72, 1, 12, 7, std::string(72, '\0'))}) {
    RawConnection connection(scene_->daemon.runtime_dir() / "authcached.sock");
    ASSERT_TRUE(connection.send(broken));
    const auto frame = connection.receive();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->head.type, Type::kError);
    EXPECT_TRUE(connection.is_closed());
  }
  Client client(scene_->daemon.runtime_dir());
  EXPECT_EQ(client.prove(shown), "valid");
}

}  // namespace
}  // namespace authcache_test
