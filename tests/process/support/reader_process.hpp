// Other processes that use the SDK. ReaderProcess does as it is told, one question after the other;
// SpinningReaders look the same tokens up without a pause and count what they see. The children are forked
// without exec, so make them before a test has threads; they die with the test. One thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "shm/unique_fd.hpp"
#include "tests/process/support/client.hpp"

namespace authcache_test {

class ReaderProcess {
 public:
  static constexpr uid_t kSameUser = static_cast<uid_t>(-1);

  // Under another uid (needs root) it keeps our group, as a service in the daemon's group has it.
  explicit ReaderProcess(const std::filesystem::path& runtime_dir, uid_t uid = kSameUser);
  ReaderProcess(const ReaderProcess&) = delete;
  ReaderProcess& operator=(const ReaderProcess&) = delete;
  ~ReaderProcess();

  [[nodiscard]] std::string lookup(const Question& question) { return ask('L', question); }
  [[nodiscard]] std::string validate(const Question& question) { return ask('V', question); }
  [[nodiscard]] std::string prove(const Shown& shown) { return send(encode_shown(shown)); }
  [[nodiscard]] std::string validate_shown(const Question& question) { return ask('B', question); }
  // Forks in the reader, which has sockets open by then, and lets that child ask: "its answer|the reader's
  // own".
  [[nodiscard]] std::string fork_and_validate(const Question& question) { return ask('F', question); }
  [[nodiscard]] std::string subject() { return ask('S', {}); }
  [[nodiscard]] std::string refused() { return ask('R', {}); }
  [[nodiscard]] std::uint64_t generation() { return std::stoull(ask('G', {})); }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  static std::string encode_shown(const Shown& shown);
  std::string ask(char what, const Question& question);
  std::string send(const std::string& message);

  pid_t pid_ = -1;
  authcache::shm::UniqueFd channel_;
};

// Shared between the test and its spinning children.
struct Tally {
  std::atomic<std::uint64_t> valid, miss, invalid, forbidden, unavailable, failed;
  std::atomic<std::uint64_t> repaired;  // misses that validate answered "valid"
  std::atomic<std::uint64_t> not_repaired;
  std::atomic<std::uint64_t> newest_generation;  // of a valid answer
  std::atomic<std::uint32_t> running;            // children that have seen all tokens valid once
  std::atomic<bool> stop;
  std::atomic<int> first_bad_reason;

  [[nodiscard]] std::uint64_t bad() const {
    return invalid + forbidden + unavailable + failed + not_repaired;
  }
  [[nodiscard]] std::string text() const;
};

class SpinningReaders {
 public:
  // A miss is followed by a validate.
  SpinningReaders(const std::filesystem::path& runtime_dir, const std::vector<Question>& questions,
                  unsigned processes);
  SpinningReaders(const SpinningReaders&) = delete;
  SpinningReaders& operator=(const SpinningReaders&) = delete;
  ~SpinningReaders();

  [[nodiscard]] const Tally& tally() const { return *tally_; }
  // Waits until each child has seen every token valid.
  [[nodiscard]] bool warm() const;
  // Waits until `more` further valid answers have come in.
  [[nodiscard]] bool sees_valid(std::uint64_t more) const;
  // Ends them; false if one did not end well.
  [[nodiscard]] bool finish();
  void kill();

 private:
  Tally* tally_;
  std::vector<pid_t> pids_;
};

}  // namespace authcache_test
