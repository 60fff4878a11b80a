#include "bench/bench_processes.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>

#include "bench/die.hpp"

namespace authcache_bench {

Board& shared_board() {
  void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("no memory to share with the readers");
  return *new (memory) Board();
}

pid_t fork_on_core(unsigned core, const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) die("cannot start a process");
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (::sched_setaffinity(0, sizeof cores, &cores) != 0)
    die("core " + std::to_string(core) + " is not ours: the readers need two cores");
  body();
  // Nothing that the parent owns is destroyed here.
  ::_exit(0);
}

void wait_for(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    die("a process of the bench failed");
}

}  // namespace authcache_bench
