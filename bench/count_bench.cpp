// What is counted and not timed: system calls and allocations of hits, and bytes of a full table for each
// live record.
//
// A child makes the hits while its parent traces it (ptrace) and sees every system call that enters the
// kernel; the child's allocator counts. A control of as many deliberate system calls and allocations is
// counted the same way right after: if it does not come out exactly, nothing is reported, since a counter
// that can't count proves no zero.
//
// usage: count_bench DIRECTORY RECORDS OUT.json
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <string>

#include "bench/counting_allocator.hpp"
#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/table_fixture.hpp"

namespace {

using namespace authcache_bench;

constexpr std::size_t kHits = 1'000'000;
constexpr std::size_t kControls = 1'000;
// Marks a place in the child's run for the parent. Nothing else here makes this call.
constexpr long kMark = SYS_getpgid;
constexpr int kMarks = 3;  // before the hits, between hits and control, after the control

struct Counts {
  std::uint64_t hit_allocations, control_allocations;
};

void be_traced(const std::filesystem::path& directory, const Tokens& tokens, Counts& counts) {
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(2);
  const Client client(directory);
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  ::raise(SIGSTOP);
  const std::uint64_t before = allocations();
  ::syscall(kMark, 0);
  for (std::size_t i = 0; i < kHits; ++i) {
    if (client.lookup(tokens[i % tokens.size()], &identity) != AUTHCACHE_VALID) ::_exit(3);
  }
  ::syscall(kMark, 0);
  counts.hit_allocations = allocations() - before;
  for (std::size_t i = 0; i < kControls; ++i) {
    void* volatile block = ::operator new(100);
    ::operator delete(block);
    ::syscall(SYS_getppid);
  }
  ::syscall(kMark, 0);
  counts.control_allocations = allocations() - before - counts.hit_allocations;
  ::_exit(0);
}

// System calls between the first mark and the second, and between the second and the third.
std::array<std::uint64_t, 2> count_calls(pid_t child) {
  std::array<std::uint64_t, 2> calls{};
  int marks = 0, status = 0;
  bool entering = true;
  for (;;) {
    if (::waitpid(child, &status, 0) != child) die("the traced process is lost");
    if (WIFEXITED(status) || WIFSIGNALED(status)) break;
    if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      user_regs_struct registers{};
      ::ptrace(PTRACE_GETREGS, child, nullptr, &registers);
      if (entering && static_cast<long>(registers.orig_rax) == kMark) {
        ++marks;
      } else if (entering && marks > 0 && marks < kMarks) {
        ++calls[static_cast<std::size_t>(marks - 1)];
      }
      entering = !entering;
    } else if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP) {
      ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    }
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || marks != kMarks)
    die("the traced process failed (is ptrace forbidden here?)");
  return calls;
}

void count_hits(const std::filesystem::path& directory, const Tokens& tokens, FlatReport& report) {
  void* memory = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("no memory to share with the traced process");
  Counts& counts = *new (memory) Counts();
  const pid_t child = ::fork();
  if (child < 0) die("cannot start a process");
  if (child == 0) be_traced(directory, tokens, counts);
  const auto calls = count_calls(child);
  if (calls[1] != kControls || counts.control_allocations != kControls)
    die("the control was counted wrong: the counters can't be believed");
  report.add("syscalls_per_hit", static_cast<double>(calls[0]) / static_cast<double>(kHits));
  report.add("allocs_per_hit", static_cast<double>(counts.hit_allocations) / static_cast<double>(kHits));
}

// As many records again as the table takes went through it, so this is how full it stays, not how full it
// starts.
void count_bytes(FilledTable& table, FlatReport& report) {
  const auto& geometry = table.writer().view().geometry;
  const Tokens more(geometry.capacity, kOpaqueTokenBytes, kAbsentSeed);
  for (std::size_t i = 0; i < more.size(); ++i) table.change(more[i]);
  struct stat file {};
  if (::fstat(table.writer().file().fd.get(), &file) != 0) die("the table file has no size");
  const double bytes = static_cast<double>(file.st_size) - static_cast<double>(geometry.text_bytes);
  report.add("bytes_per_record", bytes / static_cast<double>(table.writer().live()));
  report.add("full_table_live_over_capacity",
             static_cast<double>(table.writer().live()) / static_cast<double>(geometry.capacity));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) die("usage: count_bench DIRECTORY RECORDS OUT.json");
  const Tokens tokens(std::stoull(argv[2]), kOpaqueTokenBytes, kPresentSeed);
  FilledTable table(argv[1], tokens, subject_and_scopes());
  FlatReport report;
  count_hits(argv[1], tokens, report);
  count_bytes(table, report);
  report.write(argv[3]);
  return 0;
}
