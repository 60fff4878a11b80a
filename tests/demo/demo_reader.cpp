// A service as it would use the SDK, in a process of its own. Lines on standard input: label, profile, expected verdict,
// token, split by tabs.
//   demo_reader RUNTIME_DIR validate       validates each line and prints verdict, reason, subject; exit 1 on a surprise
//   demo_reader RUNTIME_DIR measure        1e6 hits on the good ones: p50, p99, and the system calls that they made
//   demo_reader RUNTIME_DIR watch PROFILE  looks one token up until it is refused; prints when (CLOCK_REALTIME ns)
#include <authcache/authcache.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr int kValidateTimeoutMs = 2'000;
constexpr std::size_t kHits = 1'000'000;
// Marks the measured stretch for the tracer: a call that nothing between the marks makes.
constexpr long kMark = SYS_getppid;

struct Line {
  std::string label, profile, expected, token;
};

std::vector<Line> read_lines() {
  std::vector<Line> lines;
  for (std::string text; std::getline(std::cin, text);) {
    std::string fields[4];
    std::size_t at = 0;
    for (std::string& field : fields) {
      const std::size_t tab = std::min(text.find('\t', at), text.size());
      field = text.substr(at, tab - at);
      at = std::min(tab + 1, text.size());
    }
    lines.push_back({fields[0], fields[1], fields[2], fields[3]});
  }
  return lines;
}

class Service {
 public:
  explicit Service(const char* runtime_dir) {
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    options.runtime_dir = runtime_dir;
    if (authcache_open(&options, &client_) != AUTHCACHE_OK) {
      std::fprintf(stderr, "demo_reader: %s\n", authcache_last_error(nullptr));
      std::exit(3);
    }
  }
  ~Service() {
    for (auto& [name, requirement] : requirements_) authcache_requirement_free(requirement);
    authcache_close(client_);
  }

  authcache_client* client() { return client_; }
  authcache_requirement* requirement(const std::string& profile) {
    authcache_requirement*& found = requirements_[profile];
    if (found == nullptr && authcache_requirement_create(client_, profile.c_str(), &found) != AUTHCACHE_OK) std::exit(3);
    return found;
  }

 private:
  authcache_client* client_ = nullptr;
  std::map<std::string, authcache_requirement*> requirements_;
};

int validate(Service& service) {
  int surprises = 0;
  for (const Line& line : read_lines()) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    const int verdict = authcache_validate(service.client(), line.token.data(), line.token.size(), service.requirement(line.profile),
                                           kValidateTimeoutMs, &identity);
    char subject[256] = "";
    if (verdict == AUTHCACHE_VALID) {
      authcache_identity_text(service.client(), &identity, AUTHCACHE_FIELD_SUBJECT, subject, sizeof subject);
    }
    const bool expected = line.expected == authcache_verdict_name(verdict);
    surprises += expected ? 0 : 1;
    std::printf("  %-18s %-8s %-14s %s%s\n", line.label.c_str(), authcache_verdict_name(verdict), authcache_reason_name(identity.reason), subject,
                expected ? "" : "   <-- expected otherwise");
  }
  return surprises == 0 ? 0 : 1;
}

// Asks for every good token until it is a hit, so that what follows touches shared memory only.
std::vector<Line> warm(Service& service) {
  std::vector<Line> good;
  for (Line& line : read_lines()) {
    if (line.expected != "valid") continue;
    if (authcache_validate(service.client(), line.token.data(), line.token.size(), service.requirement(line.profile), kValidateTimeoutMs, nullptr) ==
        AUTHCACHE_VALID) {
      good.push_back(std::move(line));
    }
  }
  return good;
}

std::uint64_t now_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

bool all_hits(Service& service, const std::vector<Line>& good, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Line& line = good[i % good.size()];
    if (authcache_lookup(service.client(), line.token.data(), line.token.size(), service.requirement(line.profile), nullptr) != AUTHCACHE_VALID) {
      return false;
    }
  }
  return true;
}

// Runs the hits in a child under ptrace and counts its system calls between two marks. -1: tracing is not permitted here.
long count_system_calls(Service& service, const std::vector<Line>& good) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(2);
    std::raise(SIGSTOP);
    ::syscall(kMark);
    const bool hits = all_hits(service, good, kHits);
    ::syscall(kMark);
    ::_exit(hits ? 0 : 1);
  }
  long calls = 0;
  int marks = 0, status = 0;
  bool entering = true;
  for (;;) {
    if (::waitpid(child, &status, 0) < 0) return -1;
    if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 && marks == 2 ? calls : -1;
    if (WIFSIGNALED(status)) return -1;
    if (WSTOPSIG(status) == SIGSTOP) {
      ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD);
    } else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      if (entering) {
        __ptrace_syscall_info info{};
        ::ptrace(static_cast<__ptrace_request>(PTRACE_GET_SYSCALL_INFO), child, sizeof info, &info);
        if (static_cast<long>(info.entry.nr) == kMark) {
          ++marks;
        } else if (marks == 1) {
          ++calls;
        }
      }
      entering = !entering;
    }
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  }
}

int measure(Service& service) {
  const std::vector<Line> good = warm(service);
  if (good.empty() || !all_hits(service, good, kHits / 10)) return 1;
  std::vector<std::uint32_t> times(kHits);
  std::size_t hits = 0;
  for (std::size_t i = 0; i < kHits; ++i) {
    const Line& line = good[i % good.size()];
    authcache_requirement* requirement = service.requirement(line.profile);
    const std::uint64_t begun = now_ns(CLOCK_MONOTONIC);
    hits += authcache_lookup(service.client(), line.token.data(), line.token.size(), requirement, nullptr) == AUTHCACHE_VALID ? 1 : 0;
    times[i] = static_cast<std::uint32_t>(now_ns(CLOCK_MONOTONIC) - begun);
  }
  std::ranges::sort(times);
  std::printf("  %zu lookups, %zu hits: p50 %u ns, p99 %u ns (two clock reads each included)\n", kHits, hits, times[kHits / 2],
              times[kHits / 100 * 99]);
  const long calls = count_system_calls(service, good);
  if (calls < 0) {
    std::printf("  system calls during 1000000 hits: not counted, ptrace is not permitted here\n");
  } else {
    std::printf("  system calls during 1000000 hits: %ld\n", calls);
  }
  return hits == kHits && calls <= 0 ? 0 : 1;
}

int watch(Service& service, const char* profile) {
  std::string token;
  std::getline(std::cin, token);
  authcache_requirement* requirement = service.requirement(profile);
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  if (authcache_validate(service.client(), token.data(), token.size(), requirement, kValidateTimeoutMs, &identity) != AUTHCACHE_VALID) return 1;
  std::printf("valid\n");
  std::fflush(stdout);
  std::uint64_t looks = 0;
  while (authcache_lookup(service.client(), token.data(), token.size(), requirement, &identity) == AUTHCACHE_VALID) ++looks;
  const std::uint64_t refused = now_ns(CLOCK_REALTIME);
  std::printf("no longer valid after %llu good looks %llu\n", static_cast<unsigned long long>(looks), static_cast<unsigned long long>(refused));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: demo_reader RUNTIME_DIR validate|measure|watch [PROFILE]\n");
    return 2;
  }
  Service service(argv[1]);
  const std::string what = argv[2];
  if (what == "validate") return validate(service);
  if (what == "measure") return measure(service);
  if (what == "watch" && argc == 4) return watch(service, argv[3]);
  return 2;
}
