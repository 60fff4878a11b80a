#include "daemon/io/http/timers.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <limits>

namespace authcached {

using std::chrono::steady_clock;

std::uint64_t exact_monotonic_ns() {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(steady_clock::now().time_since_epoch()).count());
}

struct Timers::Impl : std::enable_shared_from_this<Impl> {
  explicit Impl(Loop& loop) : timer(loop.context()) {}

  // Waits for the earliest. A wait that is replaced ends with an error and does nothing.
  void arm() {
    if (tasks.empty() || ended) return;
    const std::uint64_t earliest = tasks.begin()->first.first;
    if (armed && armed_for <= earliest) return;  // it wakes early enough, and looks again
    armed = true;
    armed_for = earliest;
    timer.expires_at(steady_clock::time_point(std::chrono::nanoseconds(earliest)));
    timer.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
      if (error) return;
      if (const auto impl = self.lock()) impl->run();
    });
  }

  void run() {
    armed = false;
    const std::uint64_t now = exact_monotonic_ns();
    const std::uint64_t last = number;  // those that begin meanwhile wait for the next turn
    while (!ended && !tasks.empty()) {
      const auto first = tasks.begin();
      if (first->first.first > now || first->first.second > last) break;
      Task task = std::move(first->second);
      tasks.erase(first);
      // Armed again first, if the task throws: those behind it must not wait for another to come.
      if (!tasks.empty()) arm();
      task();
    }
    arm();
  }

  boost::asio::steady_timer timer;
  std::map<Id, Task> tasks;
  std::uint64_t number = 0;
  std::uint64_t armed_for = 0;
  bool armed = false;
  bool ended = false;
};

Timers::Timers(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}

Timers::~Timers() {
  impl_->ended = true;
  impl_->tasks.clear();
  impl_->timer.cancel();
}

Timers::Id Timers::at(std::uint64_t monotonic_ns, Task task) {
  // A deadline that means never is as far as the clock's type reaches.
  const Id id{std::min<std::uint64_t>(monotonic_ns, std::numeric_limits<std::int64_t>::max()),
              ++impl_->number};
  impl_->tasks.emplace(id, std::move(task));
  impl_->arm();
  return id;
}

void Timers::cancel(const Id& id) { impl_->tasks.erase(id); }

}  // namespace authcached
