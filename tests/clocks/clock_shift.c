/* Preloaded into the real daemon: adds to its clocks what a file says, so that a test can step the wall clock
 * and suspend the machine for one process. The file (AUTHCACHE_TEST_CLOCK_FILE) holds two 64-bit numbers of
 * nanoseconds, for CLOCK_REALTIME and CLOCK_BOOTTIME; CLOCK_MONOTONIC stays, as it does in a suspend. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* shifts;

__attribute__((constructor)) static void find_shifts(void) {
  const char* const name = getenv("AUTHCACHE_TEST_CLOCK_FILE");
  const int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* const mapped = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) shifts = mapped;
}

int clock_gettime(clockid_t id, struct timespec* now) {
  const long result = syscall(SYS_clock_gettime, id, now);
  const int index = id == CLOCK_REALTIME ? 0 : id == CLOCK_BOOTTIME ? 1 : -1;
  if (result != 0 || shifts == NULL || index < 0) return (int)result;
  const int64_t second = 1000000000;
  const int64_t at = now->tv_sec * second + now->tv_nsec + shifts[index];
  now->tv_sec = at / second;
  now->tv_nsec = at % second;
  return 0;
}
