#include "daemon/io/postgres/postgres_pipeline.hpp"

#include <fcntl.h>
#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <utility>

#include "daemon/io/http/timers.hpp"

namespace authcached {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;

struct PostgresPipeline::Impl : std::enable_shared_from_this<Impl> {
  struct Asked {
    std::uint64_t sent_ns;
    Answered answered;
    bool has_result = false;
  };

  Impl(Loop& on, PostgresHandle handle, Lost told)
      : loop(on),
        connection(std::move(handle)),
        // A descriptor of our own for the same socket: Asio closes what it waits for, and libpq closes what
        // it reads.
        socket(on.context(), ::fcntl(PQsocket(connection.get()), F_DUPFD_CLOEXEC, 0)),
        lost(std::move(told)),
        used_ns(exact_monotonic_ns()) {}

  [[nodiscard]] std::string words() const { return postgres_sentence(PQerrorMessage(connection.get())); }

  void await_input() {
    socket.async_wait(stream_descriptor::wait_read,
                      [weak = weak_from_this()](const boost::system::error_code& error) {
                        const auto self = weak.lock();
                        if (self && !error && !self->ended) self->readable();
                      });
  }

  void readable() {
    if (PQconsumeInput(connection.get()) == 0) return end(words());
    if (writing) flush();
    take_answers();
    if (!ended && notified) take_notifications();
    if (!ended) await_input();
  }

  void take_notifications() {
    bool any = false;
    while (PGnotify* const notification = PQnotifies(connection.get())) {
      PQfreemem(notification);
      any = true;
    }
    if (any) notified();
  }

  // libpq gives for each statement its result, an end, and the result of its sync.
  void take_answers() {
    bool just_ended = false;
    while (!ended && !asked.empty() && PQisBusy(connection.get()) == 0) {
      const PostgresResult result(PQgetResult(connection.get()));
      if (!result) {
        if (PQstatus(connection.get()) == CONNECTION_BAD || just_ended) return end(words());
        just_ended = true;
        continue;
      }
      just_ended = false;
      if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) {
        if (!asked.front().has_result) return end("the server's answers do not fit what was asked");
        asked.pop_front();
        continue;
      }
      used_ns = exact_monotonic_ns();
      // A second result of one statement cannot be; it must not be taken for the next one's.
      if (std::exchange(asked.front().has_result, true))
        return end("the server's answers do not fit what was asked");
      Answered answered = std::move(asked.front().answered);
      answered(result.get());
    }
  }

  void flush() {
    const int left = PQflush(connection.get());
    if (left < 0) return end_later(words());
    writing = left > 0;
    if (!writing || std::exchange(awaiting_output, true)) return;
    socket.async_wait(stream_descriptor::wait_write,
                      [weak = weak_from_this()](const boost::system::error_code& error) {
                        const auto self = weak.lock();
                        if (!self || error || self->ended) return;
                        self->awaiting_output = false;
                        self->flush();
                      });
  }

  void ask(const char* statement, const std::string_view* parameter, Answered answered) {
    if (ended || doomed) return loop.post([answered = std::move(answered)]() mutable { answered(nullptr); });
    constexpr int kBinary = 1;
    const char* const value = parameter == nullptr ? nullptr : parameter->data();
    const int size = parameter == nullptr ? 0 : static_cast<int>(parameter->size());
    asked.push_back({exact_monotonic_ns(), std::move(answered), false});
    const int sent = PQsendQueryPrepared(connection.get(), statement, parameter == nullptr ? 0 : 1, &value,
                                         &size, &kBinary, kBinary);
    if (sent == 0 || PQpipelineSync(connection.get()) == 0) return end_later(words());
    flush();
  }

  void end_later(std::string why) {
    if (std::exchange(doomed, true)) return;
    loop.post([weak = weak_from_this(), why = std::move(why)]() mutable {
      if (const auto self = weak.lock()) self->end(std::move(why));
    });
  }

  void end(std::string why) {
    if (std::exchange(ended, true)) return;
    const auto self = shared_from_this();  // whoever is told may let go of this
    boost::system::error_code ignored;
    socket.close(ignored);
    for (Asked& each : std::exchange(asked, {})) {
      if (!each.has_result) each.answered(nullptr);
    }
    if (lost) std::exchange(lost, nullptr)(std::move(why));
  }

  Loop& loop;
  PostgresHandle connection;
  stream_descriptor socket;
  Lost lost;
  std::function<void()> notified;
  std::deque<Asked> asked;
  std::uint64_t used_ns;
  bool writing = false;
  bool awaiting_output = false;
  bool doomed = false;
  bool ended = false;
};

PostgresPipeline::PostgresPipeline(Loop& loop, PostgresHandle connection, Lost lost)
    : impl_(std::make_shared<Impl>(loop, std::move(connection), std::move(lost))) {
  if (PQenterPipelineMode(impl_->connection.get()) == 0) {
    impl_->end_later("the connection was not idle");
  } else {
    impl_->await_input();
  }
}

PostgresPipeline::~PostgresPipeline() {
  impl_->ended = true;
  impl_->lost = nullptr;
  impl_->asked.clear();
  boost::system::error_code ignored;
  impl_->socket.close(ignored);
}

void PostgresPipeline::ask(const char* statement, std::string_view parameter, Answered answered) {
  impl_->ask(statement, &parameter, std::move(answered));
}
void PostgresPipeline::ask(const char* statement, Answered answered) {
  impl_->ask(statement, nullptr, std::move(answered));
}

void PostgresPipeline::on_notification(std::function<void()> notified) { impl_->notified = std::move(notified); }

bool PostgresPipeline::usable() const { return !impl_->ended && !impl_->doomed; }
std::size_t PostgresPipeline::in_flight() const { return impl_->asked.size(); }
std::uint64_t PostgresPipeline::oldest_ns() const {
  return impl_->asked.empty() ? 0 : impl_->asked.front().sent_ns;
}
std::uint64_t PostgresPipeline::used_ns() const { return impl_->used_ns; }
void PostgresPipeline::abandon(std::string why) { impl_->end_later(std::move(why)); }

}  // namespace authcached
