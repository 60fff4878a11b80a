// Asking an HTTP server: what the upstreams see of it. Whoever implements it owns connections, TLS, deadlines, retries and
// the circuit breaker; whoever calls it owns what the bytes mean.
//
// Loop thread only. Nothing here blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/result.hpp"

namespace authcached {

struct HttpHeader {
  std::string name;  // of a response: in lower case
  std::string value;
};

struct HttpRequest {
  std::string method;
  std::string url;  // absolute; https, or http to a loopback address where the configuration says so
  std::vector<HttpHeader> headers{};
  std::string body{};            // wiped after the last attempt: it may hold a token or a secret
  std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC: of all attempts together
  std::size_t body_max = 0;       // of the response, in bytes as they come over the wire and as they are unpacked
  bool repeatable = false;        // asking twice does no harm: a lost connection may be answered by a second attempt
};

struct HttpResponse {
  unsigned status = 0;
  std::vector<HttpHeader> headers{};
  std::string body{};

  // The value of a header that came once; nothing if it came never or more than once.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view lower_case_name) const;
};

// Called exactly once for each send, on the loop thread, never from within send itself. An error is a failure to get a
// whole response (name, connection, TLS, deadline, limit, breaker): its sentence names the host and the cause, never a header or body.
// A response with any status is a response.
using HttpAnswer = std::move_only_function<void(authcache::shm::Result<HttpResponse>)>;

class HttpClient {
 public:
  // Whatever is in flight is not answered any more: its answer is destroyed uncalled. Allowed within an answer.
  virtual ~HttpClient() = default;
  virtual void send(HttpRequest request, HttpAnswer answer) = 0;
  // The state of connections and of the breaker for `authctl upstreams`, as JSON object text.
  [[nodiscard]] virtual std::string state_json() const = 0;
};

}  // namespace authcached
