// Many questions at once to the daemon, as an event loop asks them: nobody waits for another's answer. One
// thread.
#pragma once

#include <authcache/authcache.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/process/support/client.hpp"
#include "tests/process/support/programs.hpp"

namespace authcache_test {

struct Answered {
  std::uint64_t data;
  std::string said;  // "valid", "unavailable/upstream"
};

class Asking {
 public:
  explicit Asking(const std::filesystem::path& runtime_dir) : client_(runtime_dir) {}

  // Without the daemon.
  [[nodiscard]] std::string lookup(const Question& question) { return client_.lookup(question); }
  [[nodiscard]] authcache_client* handle() { return client_.handle(); }

  // Each answer comes once, from collect.
  void submit(const Question& question, std::uint64_t data) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    std::uint64_t number = 0;
    const int verdict =
        authcache_submit(client_.handle(), question.token.data(), question.token.size(),
                         client_.requirement(question), question.timeout_ms, data, &number, &identity);
    if (verdict != AUTHCACHE_MISS) at_once_.push_back({data, words(verdict, identity)});
  }
  // What has come, after waiting for the first.
  [[nodiscard]] std::vector<Answered> collect(std::chrono::milliseconds within) {
    if (!at_once_.empty()) return std::exchange(at_once_, {});
    pollfd entry{authcache_fd(client_.handle()), POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(within.count())) != 1) return {};
    std::array<authcache_answer, 64> answers{};
    answers[0] = AUTHCACHE_ANSWER_INIT;
    const int count = authcache_collect(client_.handle(), answers.data(), answers.size());
    if (count < 0) throw std::runtime_error(authcache_last_error(client_.handle()));
    std::vector<Answered> came;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      came.push_back({answers[i].data, words(answers[i].verdict, answers[i].identity)});
    }
    return came;
  }
  // The answers in the order of the questions; "nothing" where none came.
  [[nodiscard]] std::vector<std::string> ask(const std::vector<Question>& questions) {
    std::vector<std::string> said(questions.size(), "nothing");
    for (std::size_t i = 0; i < questions.size(); ++i) submit(questions[i], i);
    const auto end = std::chrono::steady_clock::now() + kPatience;
    for (std::size_t count = 0; count < said.size() && std::chrono::steady_clock::now() < end;) {
      for (Answered& each : collect(std::chrono::milliseconds(100))) {
        said.at(each.data) = std::move(each.said);
        ++count;
      }
    }
    return said;
  }

 private:
  static std::string words(int verdict, const authcache_identity& identity) {
    const std::string reason = verdict < 0 ? "" : authcache_reason_name(identity.reason);
    return authcache_verdict_name(verdict) + (reason.empty() ? "" : "/" + reason);
  }

  Client client_;
  std::vector<Answered> at_once_;
};

}  // namespace authcache_test
