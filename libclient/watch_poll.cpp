#include "libclient/watch_poll.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>

#include "shm/coarse_clock.hpp"
#include "shm/unique_fd.hpp"

namespace authcache::client {

shm::Result<std::unique_ptr<WatchPoll>> WatchPoll::create() {
  OwnSocket mark(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!mark.is_ours()) return shm::system_error("cannot make a socket for the descriptor to poll", errno);
  shm::UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return shm::system_error("cannot make a timer for the descriptor to poll", errno);
  shm::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return shm::system_error("cannot make the descriptor to poll", errno);
  std::unique_ptr<WatchPoll> made(new WatchPoll(epoll.get(), timer.get(), std::move(mark)));
  if (!made->control(EPOLL_CTL_ADD, made->mark_.get(), 0) ||
      !made->control(EPOLL_CTL_ADD, made->timer_, EPOLLIN)) {
    const int error = errno;  // and `made` finds that nothing in it is its own
    return shm::system_error("cannot fill the descriptor to poll", error);
  }
  (void)timer.release();
  (void)epoll.release();
  return made;
}

void WatchPoll::close_numbers() {
  if (is_ours()) {
    ::close(timer_);
    ::close(epoll_);
  }
  mark_ = OwnSocket();
}

bool WatchPoll::control(int operation, int fd, std::uint32_t events) const {
  epoll_event event{};
  event.events = events;
  return ::epoll_ctl(epoll_, operation, fd, &event) == 0;
}

bool WatchPoll::holds(int fd) const {
  if (!control(EPOLL_CTL_ADD, fd, 0)) return errno == EEXIST;
  (void)control(EPOLL_CTL_DEL, fd, 0);  // another epoll, or another file: as it was
  return false;
}

bool WatchPoll::is_ours() const { return mark_.is_ours() && holds(mark_.get()) && holds(timer_); }

void WatchPoll::show_events(bool waiting) {
  if (waiting == shows_events_) return;
  if (control(EPOLL_CTL_MOD, mark_.get(), waiting ? static_cast<std::uint32_t>(EPOLLOUT) : 0))
    shows_events_ = waiting;
}

void WatchPoll::tick_every(std::uint64_t period_ns) {
  if (period_ns == period_ns_) return;
  const timespec period{static_cast<time_t>(period_ns / shm::kNsPerSecond),
                        static_cast<long>(period_ns % shm::kNsPerSecond)};
  const itimerspec setting{period, period};
  if (::timerfd_settime(timer_, 0, &setting, nullptr) == 0) period_ns_ = period_ns;
}

void WatchPoll::wake_at(std::uint64_t at_ns) {
  const timespec once{static_cast<time_t>(at_ns / shm::kNsPerSecond),
                      static_cast<long>(at_ns % shm::kNsPerSecond)};
  const itimerspec setting{{}, once};
  (void)::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &setting, nullptr);
}

bool WatchPoll::take_tick() {
  std::uint64_t ticks = 0;
  return ::read(timer_, &ticks, sizeof ticks) == static_cast<ssize_t>(sizeof ticks);
}

bool WatchPoll::add(const OwnSocket& socket) {
  awaits_room_ = false;
  return control(EPOLL_CTL_ADD, socket.get(), EPOLLIN);
}

void WatchPoll::await_room(const OwnSocket& socket, bool wanted) {
  if (wanted == awaits_room_) return;
  constexpr std::uint32_t kInput = EPOLLIN;
  if (control(EPOLL_CTL_MOD, socket.get(), wanted ? kInput | EPOLLOUT : kInput)) awaits_room_ = wanted;
}

void WatchPoll::remove(const OwnSocket& socket) { (void)control(EPOLL_CTL_DEL, socket.get(), 0); }

}  // namespace authcache::client
