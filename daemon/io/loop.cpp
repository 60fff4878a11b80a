#include "daemon/io/loop.hpp"

#include <sys/timerfd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <exception>
#include <limits>
#include <vector>

namespace authcached {

namespace asio = boost::asio;

struct Loop::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  std::vector<std::unique_ptr<asio::signal_set>> signals;
  std::unique_ptr<asio::posix::stream_descriptor> clock_watch;
  std::function<void(std::string_view)> failed = [](std::string_view) {};
};

namespace {

// Arms again at the end of the scope, also when the work in it throws.
template <class Fn>
class Again {
 public:
  explicit Again(Fn fn) : fn_(std::move(fn)) {}
  Again(const Again&) = delete;
  Again& operator=(const Again&) = delete;
  ~Again() { fn_(); }

 private:
  Fn fn_;
};

void repeat(std::shared_ptr<asio::steady_timer> timer, std::chrono::nanoseconds interval,
            std::shared_ptr<std::function<void()>> fn) {
  timer->expires_after(interval);
  timer->async_wait([timer, interval, fn](const boost::system::error_code& error) {
    if (error) return;
    const Again again([&] { repeat(timer, interval, fn); });
    (*fn)();
  });
}

void await_signal(asio::signal_set& set, std::shared_ptr<std::function<void()>> fn) {
  set.async_wait([&set, fn](const boost::system::error_code& error, int) {
    if (error) return;
    const Again again([&set, &fn] { await_signal(set, fn); });
    (*fn)();
  });
}

// A timer far in the future on CLOCK_REALTIME whose read is cancelled by a step of that clock.
bool arm_clock_watch(int fd) {
  itimerspec never{};
  never.it_value.tv_sec = std::numeric_limits<std::int32_t>::max() * std::int64_t{4};
  return ::timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) == 0;
}

void await_clock_step(asio::posix::stream_descriptor& watch, std::shared_ptr<std::function<void()>> fn) {
  watch.async_wait(asio::posix::stream_descriptor::wait_read, [&watch, fn](const boost::system::error_code& error) {
    if (error) return;
    std::uint64_t expirations = 0;
    const bool stepped = ::read(watch.native_handle(), &expirations, sizeof expirations) < 0 && errno == ECANCELED;
    const Again again([&watch, &fn] {
      arm_clock_watch(watch.native_handle());
      await_clock_step(watch, fn);
    });
    if (stepped) (*fn)();
  });
}

}  // namespace

Loop::Loop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Loop::~Loop() = default;

authcache::shm::Result<std::unique_ptr<Loop>> Loop::create() {
  try {
    return std::unique_ptr<Loop>(new Loop(std::make_unique<Impl>()));
  } catch (const boost::system::system_error& refused) {
    return authcache::shm::fail(
        authcache::shm::ErrorCode::kSystem,
        "the kernel refused an io_uring ring (" + std::string(refused.what()) +
            "); allow it (sysctl kernel.io_uring_disabled=0, a seccomp profile that permits io_uring_setup, enough "
            "locked memory) or use a build with -Dio=epoll");
  }
}

void Loop::post(Task task) {
  // Asio's handlers must be copyable in places; a shared holder makes a move-only task fit.
  asio::post(impl_->context, [holder = std::make_shared<Task>(std::move(task))] { (*holder)(); });
}

void Loop::run() {
  while (!impl_->context.stopped()) {
    try {
      impl_->context.run();
    } catch (const std::exception& thrown) {
      impl_->failed(thrown.what());
    }
  }
}
void Loop::on_failure(std::function<void(std::string_view)> failed) { impl_->failed = std::move(failed); }
void Loop::stop() { impl_->context.stop(); }

void Loop::every(std::chrono::nanoseconds interval, std::function<void()> fn) {
  repeat(std::make_shared<asio::steady_timer>(impl_->context), interval,
         std::make_shared<std::function<void()>>(std::move(fn)));
}

void Loop::after(std::chrono::nanoseconds delay, Task task) {
  auto timer = std::make_shared<asio::steady_timer>(impl_->context, delay);
  timer->async_wait([timer, holder = std::make_shared<Task>(std::move(task))](const boost::system::error_code& error) {
    if (!error) (*holder)();
  });
}

void Loop::on_signal(int signal_number, std::function<void()> fn) {
  impl_->signals.push_back(std::make_unique<asio::signal_set>(impl_->context, signal_number));
  await_signal(*impl_->signals.back(), std::make_shared<std::function<void()>>(std::move(fn)));
}

void Loop::on_wall_clock_step(std::function<void()> fn) {
  const int fd = ::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) return;  // the offsets compared at each heartbeat still find the step
  if (!arm_clock_watch(fd)) {
    ::close(fd);
    return;
  }
  impl_->clock_watch = std::make_unique<asio::posix::stream_descriptor>(impl_->context, fd);
  await_clock_step(*impl_->clock_watch, std::make_shared<std::function<void()>>(std::move(fn)));
}

boost::asio::io_context& Loop::context() { return impl_->context; }

std::string_view Loop::backend() {
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
  return "io_uring";
#else
  return "epoll";
#endif
}

}  // namespace authcached
