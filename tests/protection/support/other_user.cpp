#include "tests/protection/support/other_user.hpp"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace authcache_test {

namespace {

bool become(const User& user) {
  const bool done = ::setgroups(user.groups.size(), user.groups.data()) == 0 &&
                    ::setresgid(user.gid, user.gid, user.gid) == 0 &&
                    ::setresuid(user.uid, user.uid, user.uid) == 0;
  // Changing users hides a process from itself in /proc, which would let attempts fail for the wrong reason.
  return done && ::prctl(PR_SET_DUMPABLE, 1) == 0 && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

std::string outcome(const std::function<std::string()>& act) {
  try {
    return act();
  } catch (const std::exception& thrown) {
    return std::string("threw: ") + thrown.what();
  }
}

}  // namespace

std::string in_child(const std::function<std::string()>& act) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    ::close(ends[0]);
    const std::string text = outcome(act);
    const bool told = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char bytes[4'096];
  for (ssize_t got; (got = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? "ended by signal " + std::to_string(WTERMSIG(status)) : text;
}

std::string as_user(const User& user, const std::function<std::string()>& act) {
  return in_child([&]() -> std::string { return become(user) ? act() : "cannot become another user"; });
}

void Forbidden::expect(std::string_view what, long result, std::initializer_list<int> among) {
  const int error = errno;
  if (result == -1 && std::ranges::find(among, error) != among.end()) return;
  text_.append(what)
      .append(result == -1 ? std::string(" failed with ") + std::strerror(error) : " worked")
      .append("; ");
}

}  // namespace authcache_test
