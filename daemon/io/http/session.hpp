// HTTP over an open stream of bytes, without the stream: exchanges and bytes go in, bytes and finished
// exchanges come out. The connection moves the bytes; http1_session and http2_session know what they mean.
//
// Loop thread only. Calls nobody: whoever calls takes what came of it afterwards.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/io/http/exchange.hpp"

namespace authcached {

class Session {
 public:
  virtual ~Session() = default;

  // How many more exchanges may be started now.
  [[nodiscard]] virtual std::size_t capacity() const = 0;
  [[nodiscard]] virtual std::size_t open() const = 0;  // started, and neither finished nor cancelled
  virtual void start(std::shared_ptr<Exchange> exchange) = 0;
  // The answer is not wanted any more, and the exchange not touched. May cost the session.
  virtual void cancel(const Exchange& exchange) = 0;

  virtual void receive(std::string_view bytes) = 0;
  // Nothing more comes in. clean: the other side ended it so, and no byte of it can be missing. Finishes all
  // that is open.
  virtual void end(bool clean, const Failure& why) = 0;
  // Takes no new exchange, ends once those open are.
  virtual void retire() = 0;
  [[nodiscard]] virtual bool retired() const = 0;  // by us or by the other side
  // Asks for a sign of life; false if the protocol has none.
  virtual bool ping() = 0;

  // What is to be sent, behind what stands in out already; at most about `room` bytes.
  virtual void take_output(std::string& out, std::size_t room) = 0;
  [[nodiscard]] std::vector<std::shared_ptr<Exchange>> take_finished() {
    return std::exchange(finished_, {});
  }
  // True if the connection is of no more use and nothing is open.
  [[nodiscard]] virtual bool over() const = 0;

 protected:
  void finish(std::shared_ptr<Exchange> exchange) { finished_.push_back(std::move(exchange)); }
  void finish(std::shared_ptr<Exchange> exchange, Failure failure) {
    exchange->failure = std::move(failure);
    finished_.push_back(std::move(exchange));
  }

 private:
  std::vector<std::shared_ptr<Exchange>> finished_;
};

// reused: exchanges were served before the one that is lost.
[[nodiscard]] inline Failure lost(const Exchange& exchange, bool reused, const Failure& why) {
  if (why.kind != FailureKind::kLost) return why;
  return {reused && !exchange.answer_began ? FailureKind::kStale : FailureKind::kLost, why.cause};
}

[[nodiscard]] std::unique_ptr<Session> make_http1_session();
[[nodiscard]] std::unique_ptr<Session> make_http2_session();

}  // namespace authcached
