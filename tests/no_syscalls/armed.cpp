#include "tests/no_syscalls/armed.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>

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
}  // namespace authcache_test

// glibc's own allocator under another name: what stands here takes its place in this program, the library's
// calls included, and operator new comes through it.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size) {
  authcache_test::judge();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  authcache_test::judge();
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) {
  authcache_test::judge();
  return __libc_realloc(block, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  authcache_test::judge();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  authcache_test::judge();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  authcache_test::judge();
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? 12 : 0;  // ENOMEM
}
void free(void* block) {
  authcache_test::judge();
  __libc_free(block);
}
}
