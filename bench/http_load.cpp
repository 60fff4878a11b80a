#include "bench/http_load.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "bench/die.hpp"
#include "bench/server_process.hpp"

namespace authcache_bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kEvents = 256;

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

}  // namespace

HttpLoad::HttpLoad(const std::filesystem::path& socket, std::size_t connections, std::string status_line)
    : status_line_(std::move(status_line)), connections_(connections), poll_(::epoll_create1(EPOLL_CLOEXEC)) {
  for (std::size_t i = 0; i < connections; ++i) {
    connections_[i].fd = connect_to(socket);
    if (!connections_[i].fd) die("cannot connect to " + socket.string());
    connections_[i].answer.reserve(kAnswerBytesMax);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, connections_[i].fd.get(), &event) != 0)
      die("cannot poll a connection");
  }
}

void HttpLoad::send(Connection& connection, std::string_view request) {
  connection.answer.clear();
  if (::send(connection.fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    die("a request could not be sent whole");
}

bool HttpLoad::receive(Connection& connection) {
  std::array<char, kAnswerBytesMax> bytes;
  const ssize_t got = ::recv(connection.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) die("a server closed a connection");
  std::string& answer = connection.answer;
  answer.append(bytes.data(), static_cast<std::size_t>(got));
  if (!answer.ends_with("\r\n\r\n")) {
    if (answer.size() > kAnswerBytesMax) die("an answer does not end");
    return false;
  }
  if (!answer.starts_with(status_line_)) die("an answer is not as it should be: " + answer);
  return true;
}

double HttpLoad::run(const std::vector<std::string>& requests, double seconds) {
  const auto next = [&]() -> const std::string& { return requests[next_++ % requests.size()]; };
  const auto begun = Clock::now();
  std::size_t answered = 0, under_way = connections_.size();
  for (Connection& connection : connections_) send(connection, next());
  std::array<epoll_event, kEvents> events;
  for (bool over = false; under_way > 0;) {
    const int ready = ::epoll_wait(poll_.get(), events.data(), kEvents, 10'000);
    if (ready <= 0) die("a server does not answer");
    over = over || seconds_since(begun) >= seconds;
    for (int i = 0; i < ready; ++i) {
      Connection& connection = connections_[events[static_cast<std::size_t>(i)].data.u64];
      if (!receive(connection)) continue;
      ++answered;
      if (over) {
        --under_way;
      } else {
        send(connection, next());
      }
    }
  }
  return static_cast<double>(answered) / seconds_since(begun);
}

}  // namespace authcache_bench
