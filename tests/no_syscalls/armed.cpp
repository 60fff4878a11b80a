#include "tests/no_syscalls/armed.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

#include "tests/support/intercepted_malloc.hpp"

namespace authcache_test {
namespace {

std::atomic<bool> allocation_forbidden{false};

}  // namespace

bool forbid_system_calls() noexcept {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      // To end, and to come back from a signal handler: the kernel's half of what raise-less interruption
      // needs.
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog filter{static_cast<unsigned short>(sizeof program / sizeof program[0]),
                          const_cast<sock_filter*>(program)};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

void forbid_allocation(bool forbidden) noexcept { allocation_forbidden.store(forbidden); }

namespace {

void judge() noexcept {
  if (allocation_forbidden.load()) ::_exit(kAllocated);
}

}  // namespace

void before_allocation() noexcept { judge(); }
void before_release() noexcept { judge(); }

}  // namespace authcache_test
