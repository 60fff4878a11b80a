// The HTTP face between a made-up backend and an exchange that keeps its answer, for tests of everything
// HTTP. One thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/control/face/face.hpp"
#include "shm/text.hpp"

namespace authcached::testing {

// Knows tokens by their bytes; what is not known is a miss and then unknown. Answers later only when told to.
class FakeBackend final : public FaceBackend {
 public:
  struct Known {
    Decision decision;
    std::string text;
    bool is_hit = true;
  };

  Known& add(const std::string& token, authcache::shm::Verdict verdict,
             authcache::shm::Reason reason = authcache::shm::Reason::kNone) {
    Known& known = tokens[token];
    known.decision.verdict = verdict;
    known.decision.reason = reason;
    return known;
  }
  // A valid one of alice, with scopes.
  Known& add_valid(const std::string& token) {
    Known& known = add(token, authcache::shm::Verdict::kValid);
    authcache::shm::TextBuilder text;
    (void)text.add(authcache::shm::TextField::kSubject, "alice");
    (void)text.add(authcache::shm::TextField::kScopes, "read");
    (void)text.add(authcache::shm::TextField::kScopes, "write");
    known.text = text.bytes();
    return known;
  }

  bool decide_now(const FaceQuestion& question, Decision& decision) override {
    asked.push_back(question);
    const auto found = tokens.find(std::string(question.token));
    if (found == tokens.end() || !found->second.is_hit) return false;
    decision = found->second.decision;
    decision.text = found->second.text;
    return true;
  }
  void decide_later(const FaceQuestion& question,
                    std::move_only_function<void(const Decision&)> done) override {
    Decision decision{
        .verdict = authcache::shm::Verdict::kInvalid, .reason = authcache::shm::Reason::kUnknown, .text = {}};
    if (const auto found = tokens.find(std::string(question.token)); found != tokens.end()) {
      decision = found->second.decision;
      decision.text = found->second.text;
    }
    later.push_back([decision, done = std::move(done)]() mutable { done(decision); });
  }
  void revoke_token(std::string_view token, const FaceActor& actor,
                    std::move_only_function<void(bool)> done) override {
    revoked.emplace_back(token);
    actors.push_back(actor.client);
    done(durable);
  }
  void log_out(const HttpLogoutConfig&, std::string_view token, const FaceActor&,
               std::move_only_function<void(LogoutOutcome)> done) override {
    logged_out.emplace_back(token);
    done(logout);
  }
  std::vector<ProfileReadiness> readiness() const override { return profiles; }

  void answer_all() {
    for (auto& each : std::exchange(later, {})) each();
  }

  std::map<std::string, Known> tokens;
  std::vector<FaceQuestion> asked;
  std::vector<std::move_only_function<void()>> later;
  std::vector<std::string> revoked, logged_out, actors;
  bool durable = true;
  LogoutOutcome logout{LogoutEnd::kDone, {}};
  std::vector<ProfileReadiness> profiles{{"api", true}};
};

class KeptExchange final : public HttpExchange {
 public:
  explicit KeptExchange(HttpPeer from = {}) : from_(std::move(from)) {}
  void answer(const HttpAnswer& given) override {
    ++answers;
    last = given;
  }
  [[nodiscard]] const HttpPeer& peer() const override { return from_; }

  int answers = 0;
  HttpAnswer last;

 private:
  HttpPeer from_;
};

}  // namespace authcached::testing
