#include "daemon/base/process_shield.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace authcached {

namespace shm = authcache::shm;

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the system call filter does not know this architecture's audit number"
#endif

// What the daemon never calls, itself or through a library, and what a hijacked thread would want first. A
// list of refusals, not of permissions: it cannot break when a library begins to use another harmless call.
// clang-format off
constexpr long kRefusedCalls[] = {
    // become another program
    SYS_execve, SYS_execveat,
    // reach into other processes
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_kcmp,
    // reshape what file names mean
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsmount,
    SYS_open_by_handle_at, SYS_setns, SYS_unshare,
    // change who it is
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_capset,
    // drive the kernel
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_kexec_load, SYS_reboot, SYS_swapon,
    // turn the clock that tokens end by
    SYS_clock_settime, SYS_clock_adjtime, SYS_settimeofday, SYS_adjtimex,
    // take other secrets of this user
    SYS_add_key, SYS_request_key, SYS_keyctl,
};
// clang-format on

constexpr std::uint32_t kX32Bit =
    0x4000'0000;  // x86-64 calls by another numbering: none of the list would match

std::vector<sock_filter> make_filter() {
  const auto load = [](std::size_t offset) {
    return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
  };
  const auto answer = [](std::uint32_t action) { return sock_filter{BPF_RET | BPF_K, 0, 0, action}; };
  constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
  std::vector<sock_filter> filter;
  filter.push_back(load(offsetof(seccomp_data, arch)));
  filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture});
  filter.push_back(answer(kRefuse));
  filter.push_back(load(offsetof(seccomp_data, nr)));
  filter.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, 1, kX32Bit});
  filter.push_back(answer(kRefuse));
  for (const long call : kRefusedCalls) {
    filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(call)});
    filter.push_back(answer(kRefuse));
  }
  filter.push_back(answer(SECCOMP_RET_ALLOW));
  return filter;
}

// False where the kernel has no filters (built without, or a container's own filter forbids setting one).
bool filter_system_calls() {
  std::vector<sock_filter> filter = make_filter();
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

bool has_borrowed_rights() { return ::getauxval(AT_SECURE) != 0; }

shm::Result<void> shield_process() {
  const rlimit none{0, 0};
  ::umask(0077);
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return shm::system_error("cannot forbid core files", errno);
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return shm::system_error("cannot forbid tracing", errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return shm::system_error("cannot give up gaining privileges", errno);
  (void)filter_system_calls();  // /proc/PID/status tells (Seccomp: 2); without it everything else still holds
  return {};
}

}  // namespace authcached
