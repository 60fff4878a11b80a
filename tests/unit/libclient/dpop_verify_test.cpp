// A8.3: what the library makes of the daemon's word on a DPoP proof. The daemon here is a fake one.
#include <gtest/gtest.h>
#include <authcache/authcache.hpp>

#include "tests/unit/libclient/fake_daemon.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::shm::Digest;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache::shm::wire::Head;
using authcache::shm::wire::ProveReply;
namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;

constexpr int kTimeoutMs = 5'000;  // far above what any of these takes
constexpr int kShortMs = 50;

ProveReply reply_to(const std::string& payload, Verdict verdict, Reason reason = Reason::kNone,
                    std::uint8_t fill = 0) {
  ProveReply reply{
      .question = shm::plain_digest(payload), .verdict = verdict, .reason = reason, .thumbprint = {}};
  reply.thumbprint.fill(fill);
  return reply;
}

void send(FakeConnection& connection, std::uint64_t request_id, const ProveReply& reply) {
  std::string bytes;
  wire::append_prove_reply(bytes, request_id, reply);
  connection.send(bytes);
}

FakeDaemon::Script says(Verdict verdict, Reason reason = Reason::kNone, std::uint8_t fill = 0) {
  return [=](FakeConnection& connection, const Head& head, const std::string& payload) {
    send(connection, head.request_id, reply_to(payload, verdict, reason, fill));
  };
}

class DpopVerify : public ::testing::Test {
 protected:
  static authcache_dpop_proof given() {
    authcache_dpop_proof proof = AUTHCACHE_DPOP_PROOF_INIT;
    proof.proof = "a.b.c";
    proof.proof_len = 5;
    proof.method = "GET";
    proof.method_len = 3;
    proof.url = "https://api.example/";
    proof.url_len = 20;
    proof.token = "token";
    proof.token_len = 5;
    return proof;
  }
  std::string verified(const authcache_dpop_proof& proof, int timeout_ms = kTimeoutMs) {
    int reason = -1;
    std::memset(&thumbprint_, 0xee, sizeof thumbprint_);
    const int verdict = authcache_dpop_verify(client_.get(), &proof, timeout_ms, &thumbprint_, &reason);
    EXPECT_EQ(thumbprint_.kind, verdict == AUTHCACHE_VALID ? AUTHCACHE_THUMBPRINT_JKT : 0u)
        << "a refusal cannot be bound";
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    identity.reason = reason;
    return outcome(verdict, identity);
  }

  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  OpenClient client_{dir_.path()};
  authcache_thumbprint thumbprint_{};
};

TEST_F(DpopVerify, A8_3_AGoodProofGivesTheThumbprintThatBindsTheToken) {
  FakeDaemon daemon(dir_.path(), says(Verdict::kValid, Reason::kNone, 'k'));
  ASSERT_EQ(verified(given()), "valid");
  EXPECT_EQ(thumbprint_.size, sizeof thumbprint_);
  admit(writer_, kMainId, "bound", {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_JKT, 'k')});
  admit(writer_, kMainId, "another's", {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_JKT, 'j')});
  admit(writer_, kMainId, "certificate's",
        {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_X5T_S256, 'k')});
  admit(writer_, kMainId, "bearer");
  auto* base = client_.requirement();
  authcache_bound_requirement bound;
  ASSERT_EQ(authcache_requirement_bind(base, &thumbprint_, &bound), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client_, "bound", &bound.requirement), "valid");
  EXPECT_EQ(looked_up(client_, "another's", &bound.requirement), "forbidden/confirmation_required");
  EXPECT_EQ(looked_up(client_, "certificate's", &bound.requirement), "forbidden/confirmation_required");
  EXPECT_EQ(looked_up(client_, "bearer", &bound.requirement), "forbidden/confirmation_required")
      << "names no key";
  EXPECT_EQ(looked_up(client_, "bound", base), "forbidden/confirmation_required")
      << "A8.2: as a bearer token";
}

TEST_F(DpopVerify, TheDaemonIsToldEverythingButTheToken) {
  std::string told;
  FakeDaemon daemon(dir_.path(),
                    [&](FakeConnection& connection, const Head& head, const std::string& payload) {
                      EXPECT_EQ(head.type, wire::Type::kProve);
                      told = payload;
                      send(connection, head.request_id, reply_to(payload, Verdict::kValid));
                    });
  authcache_dpop_proof proof = given();
  proof.nonce = "n-1";
  proof.nonce_len = 3;
  ASSERT_EQ(verified(proof), "valid");
  const auto prove = wire::decode_prove(told);
  ASSERT_TRUE(prove);
  EXPECT_EQ(prove->proof, "a.b.c");
  EXPECT_EQ(prove->method, "GET");
  EXPECT_EQ(prove->url, "https://api.example/");
  EXPECT_EQ(prove->token, shm::plain_digest("token"));
  EXPECT_TRUE(prove->nonce_asked);
  EXPECT_EQ(prove->nonce, "n-1");
  EXPECT_EQ(prove->timeout_ms, static_cast<std::uint32_t>(kTimeoutMs));
  EXPECT_EQ(told.find("token"), std::string::npos);
}

TEST_F(DpopVerify, RefusalsAndDoubtsAreReturnedWithTheirReasons) {
  {
    FakeDaemon daemon(dir_.path(), says(Verdict::kInvalid, Reason::kProofReplayed, 'k'));
    EXPECT_EQ(verified(given()), "invalid/proof_replayed");
  }
  FakeDaemon daemon(dir_.path(), says(Verdict::kUnavailable, Reason::kCatchingUp, 'k'));
  EXPECT_EQ(verified(given()), "unavailable/catching_up");
}

TEST_F(DpopVerify, AReplyToAnotherQuestionIsNotBelieved) {
  FakeDaemon daemon(
      dir_.path(), [](FakeConnection& connection, const Head& head, const std::string& payload) {
        send(connection, head.request_id, reply_to(payload + "x", Verdict::kValid, Reason::kNone, 'k'));
      });
  EXPECT_EQ(verified(given()), "unavailable/protocol");
  EXPECT_EQ(verified(given()), "unavailable/protocol");
  EXPECT_EQ(daemon.connects.load(), 2) << "nor is its connection used again";
}

TEST_F(DpopVerify, WhatNoDaemonSendsIsNotBelieved) {
  const auto broken =
      [&](const std::function<void(FakeConnection&, const Head&, const std::string&)>& script) {
        FakeDaemon daemon(dir_.path(), script);
        return verified(given());
      };
  EXPECT_EQ(broken([](FakeConnection& connection, const Head& head, const std::string& payload) {
              send(connection, head.request_id + 1, reply_to(payload, Verdict::kValid));
            }),
            "unavailable/protocol");
  for (const Verdict verdict : {Verdict::kMiss, Verdict::kForbidden, static_cast<Verdict>(9)}) {
    EXPECT_EQ(broken(says(verdict)), "unavailable/protocol");
  }
  EXPECT_EQ(broken([](FakeConnection& connection, const Head& head, const std::string&) {
              std::string bytes;
              wire::append_frame(bytes, wire::Type::kProveReply, head.request_id, std::string(71, '\0'));
              connection.send(bytes);
            }),
            "unavailable/protocol");
  EXPECT_EQ(broken([](FakeConnection& connection, const Head& head, const std::string&) {
              std::string bytes;
              wire::append_frame(bytes, wire::Type::kError, head.request_id,
                                 "a frame type that this socket does not take");
              connection.send(bytes);
            }),
            "unavailable/protocol")
      << "an older daemon";
}

TEST_F(DpopVerify, WithoutADaemonNothingIsGood) {
  EXPECT_EQ(verified(given()), "unavailable/daemon_unreachable");
  FakeDaemon daemon(dir_.path(), [](FakeConnection&, const Head&, const std::string&) {});
  EXPECT_EQ(verified(given(), kShortMs), "unavailable/timeout");
  EXPECT_EQ(verified(given(), 0), "unavailable/timeout");
  EXPECT_EQ(verified(given(), -1), "usage_error");
}

TEST_F(DpopVerify, WhatIsTooLongIsRefusedWithoutAsking) {
  FakeDaemon daemon(dir_.path(), says(Verdict::kValid));
  const std::string text(64 * 1024, 'x');
  const auto with = [&](auto member, auto length, std::size_t size) {
    authcache_dpop_proof proof = given();
    proof.*member = text.data();
    proof.*length = size;
    return verified(proof);
  };
  using P = authcache_dpop_proof;
  EXPECT_EQ(with(&P::proof, &P::proof_len, 8 * 1024 + 1), "invalid/too_long");
  EXPECT_EQ(with(&P::proof, &P::proof_len, 0), "invalid/malformed");
  EXPECT_EQ(with(&P::method, &P::method_len, 33), "invalid/proof_method");
  EXPECT_EQ(with(&P::url, &P::url_len, 8 * 1024 + 1), "invalid/proof_url");
  EXPECT_EQ(with(&P::nonce, &P::nonce_len, 257), "usage_error");
  EXPECT_EQ(daemon.questions.load(), 0);
  authcache_dpop_proof largest = given();
  largest.proof = largest.url = largest.method = largest.nonce = largest.token = text.data();
  largest.proof_len = largest.url_len = 8 * 1024;
  largest.method_len = 32;
  largest.nonce_len = 256;
  largest.token_len = text.size();
  EXPECT_EQ(verified(largest), "valid");
}

TEST_F(DpopVerify, AMissingArgumentIsAUsageError) {
  FakeDaemon daemon(dir_.path(), says(Verdict::kValid));
  for (const auto member : {&authcache_dpop_proof::proof, &authcache_dpop_proof::method,
                            &authcache_dpop_proof::url, &authcache_dpop_proof::token}) {
    authcache_dpop_proof proof = given();
    proof.*member = nullptr;
    EXPECT_EQ(verified(proof), "usage_error");
  }
  authcache_dpop_proof unsized_one = given();
  unsized_one.size = 0;
  EXPECT_EQ(verified(unsized_one), "usage_error");
  const authcache_dpop_proof proof = given();
  EXPECT_EQ(authcache_dpop_verify(client_.get(), nullptr, kTimeoutMs, &thumbprint_, nullptr),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_dpop_verify(client_.get(), &proof, kTimeoutMs, nullptr, nullptr),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_dpop_verify(nullptr, &proof, kTimeoutMs, &thumbprint_, nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_dpop_verify(client_.get(), &proof, kTimeoutMs, &thumbprint_, nullptr), AUTHCACHE_VALID)
      << "no reason wanted";
  EXPECT_EQ(daemon.questions.load(), 1);
}

TEST_F(DpopVerify, TheCppFormIsEmptyUnlessTheProofIsGood) {
  std::string error;
  authcache::Options options;
  options.runtime_dir = dir_.path().string();
  auto client = authcache::Client::open(options, &error);
  ASSERT_TRUE(client) << error;
  const authcache::DpopProof proof{"a.b.c", "GET", "https://api.example/", "token", "n-1"};
  authcache::Verdict verdict{};
  authcache_reason reason{};
  {
    FakeDaemon daemon(dir_.path(), says(Verdict::kValid, Reason::kNone, 'k'));
    const auto key = client->verify_dpop(proof, std::chrono::seconds(5), &verdict, &reason);
    ASSERT_TRUE(key);
    EXPECT_EQ(key->get()->kind, AUTHCACHE_THUMBPRINT_JKT);
    EXPECT_EQ(key->get()->bytes[31], 'k');
    EXPECT_EQ(verdict, authcache::Verdict::kValid);
  }
  FakeDaemon daemon(dir_.path(), says(Verdict::kInvalid, Reason::kProofToken, 'k'));
  EXPECT_FALSE(client->verify_dpop(proof, std::chrono::seconds(5), &verdict, &reason));
  EXPECT_EQ(verdict, authcache::Verdict::kInvalid);
  EXPECT_EQ(reason, AUTHCACHE_REASON_PROOF_TOKEN);
  EXPECT_FALSE(client->verify_dpop({}, std::chrono::seconds(5)));
}

}  // namespace
