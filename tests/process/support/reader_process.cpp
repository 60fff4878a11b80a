#include "tests/process/support/reader_process.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <new>
#include <sstream>
#include <stdexcept>

#include "tests/process/support/programs.hpp"

namespace authcache_test {

namespace {

constexpr std::size_t kMessageMax = 64 * 1024;

std::string encode(char what, const Question& question) {
  return std::string(1, what) + question.profile + '\n' + question.token + '\n' + question.audience + '\n' +
         question.scope + '\n' + question.permission + '\n' + std::to_string(question.timeout_ms) + '\n';
}

Question decode(const std::string& message) {
  std::istringstream lines(message.substr(1));
  Question question;
  std::string timeout;
  for (std::string* each : {&question.profile, &question.token, &question.audience, &question.scope,
                            &question.permission, &timeout}) {
    std::getline(lines, *each);
  }
  question.timeout_ms = std::stoi(timeout);
  return question;
}

Shown decode_shown(const std::string& message) {
  std::istringstream lines(message.substr(1));
  Shown shown;
  std::string timeout;
  for (std::string* each : {&shown.proof, &shown.method, &shown.url, &shown.token, &shown.nonce, &timeout}) {
    std::getline(lines, *each);
  }
  shown.timeout_ms = std::stoi(timeout);
  return shown;
}

std::string fork_and_validate(Client& client, const Question& question) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string answer = client.validate(question);
    const bool told = ::write(ends[1], answer.data(), answer.size()) > 0;
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  const std::string own = client.validate(question);
  char text[256];
  const ssize_t got = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return std::string(text, got < 0 ? 0 : static_cast<std::size_t>(got)) + "|" + own;
}

std::string answer_to(Client& client, const std::string& message) {
  switch (message[0]) {
    case 'L': return client.lookup(decode(message));
    case 'V': return client.validate(decode(message));
    case 'P': return client.prove(decode_shown(message));
    case 'B': return client.validate_shown(decode(message));
    case 'F': return fork_and_validate(client, decode(message));
    case 'S': return client.subject();
    case 'R': return client.refused();
    case 'G': return std::to_string(client.generation());
    default: return "?";
  }
}

[[noreturn]] void serve(const std::filesystem::path& runtime_dir, uid_t uid, int channel) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (uid != ReaderProcess::kSameUser && ::setresuid(uid, uid, uid) != 0) ::_exit(3);
  {
    Client client(runtime_dir);
    std::string message(kMessageMax, '\0');
    for (;;) {
      const ssize_t got = ::recv(channel, message.data(), message.size(), 0);
      if (got <= 0) break;
      const std::string answer = answer_to(client, message.substr(0, static_cast<std::size_t>(got)));
      if (::send(channel, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
    }
  }
  ::_exit(0);
}

[[noreturn]] void spin(const std::filesystem::path& runtime_dir, const std::vector<Question>& questions,
                       Tally& tally) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Client client(runtime_dir);
  if (!client.refused().empty()) ::_exit(3);
  for (const Question& question : questions) {
    if (client.validate(question) != "valid") ::_exit(4);
  }
  ++tally.running;
  for (std::size_t i = 0; !tally.stop.load(std::memory_order_relaxed); i = (i + 1) % questions.size()) {
    const Question& question = questions[i];
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    const int verdict = authcache_lookup(client.handle(), question.token.data(), question.token.size(),
                                         client.requirement(question), &identity);
    if (verdict == AUTHCACHE_MISS) {
      ++tally.miss;
      ++(client.validate(question) == "valid" ? tally.repaired : tally.not_repaired);
      continue;
    }
    std::atomic<std::uint64_t>& count = verdict == AUTHCACHE_VALID         ? tally.valid
                                        : verdict == AUTHCACHE_INVALID     ? tally.invalid
                                        : verdict == AUTHCACHE_FORBIDDEN   ? tally.forbidden
                                        : verdict == AUTHCACHE_UNAVAILABLE ? tally.unavailable
                                                                           : tally.failed;
    if (verdict == AUTHCACHE_VALID) {
      tally.newest_generation.store(identity.generation, std::memory_order_relaxed);
    } else {
      int none = 0;
      tally.first_bad_reason.compare_exchange_strong(none, identity.reason);
    }
    count.fetch_add(1, std::memory_order_relaxed);
  }
  ::_exit(0);
}

}  // namespace

ReaderProcess::ReaderProcess(const std::filesystem::path& runtime_dir, uid_t uid) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::runtime_error("cannot make a socket pair");
  authcache::shm::UniqueFd theirs(ends[1]);
  channel_ = authcache::shm::UniqueFd(ends[0]);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {
    ::close(ends[0]);  // else the child never sees the test's end close
    serve(runtime_dir, uid, ends[1]);
  }
}

ReaderProcess::~ReaderProcess() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string ReaderProcess::encode_shown(const Shown& shown) {
  return "P" + shown.proof + '\n' + shown.method + '\n' + shown.url + '\n' + shown.token + '\n' + shown.nonce + '\n' +
         std::to_string(shown.timeout_ms) + '\n';
}

std::string ReaderProcess::ask(char what, const Question& question) { return send(encode(what, question)); }

std::string ReaderProcess::send(const std::string& message) {
  if (::send(channel_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) return "the reader is gone";
  std::string answer(kMessageMax, '\0');
  pollfd ready{channel_.get(), POLLIN, 0};
  if (::poll(&ready, 1, 60'000) != 1) return "the reader hangs";
  const ssize_t got = ::recv(channel_.get(), answer.data(), answer.size(), 0);
  if (got <= 0 && message[0] != 'R') return "the reader is gone";
  answer.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return answer;
}

std::string Tally::text() const {
  std::ostringstream out;
  out << "valid " << valid << ", miss " << miss << " (repaired " << repaired << ", not " << not_repaired
      << "), invalid " << invalid << ", forbidden " << forbidden << ", unavailable " << unavailable
      << ", failed " << failed << ", first reason " << authcache_reason_name(first_bad_reason);
  return out.str();
}

SpinningReaders::SpinningReaders(const std::filesystem::path& runtime_dir,
                                 const std::vector<Question>& questions, unsigned processes) {
  void* const shared =
      ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::runtime_error("cannot map");
  tally_ = new (shared) Tally{};
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid == 0) spin(runtime_dir, questions, *tally_);
    pids_.push_back(pid);
  }
}

SpinningReaders::~SpinningReaders() {
  kill();
  ::munmap(tally_, sizeof(Tally));
}

bool SpinningReaders::warm() const {
  return eventually([&] { return tally_->running == pids_.size(); });
}

bool SpinningReaders::sees_valid(std::uint64_t more) const {
  const std::uint64_t from = tally_->valid;
  return eventually([&] { return tally_->valid >= from + more; });
}

bool SpinningReaders::finish() {
  tally_->stop = true;
  bool well = true;
  for (const pid_t pid : pids_) {
    int status = 0;
    const bool ended = eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; });
    well = well && ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ended) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
  pids_.clear();
  return well;
}

void SpinningReaders::kill() {
  for (const pid_t pid : pids_) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pids_.clear();
}

}  // namespace authcache_test
