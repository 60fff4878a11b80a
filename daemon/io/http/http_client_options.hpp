// How to make the daemon's HTTP client (daemon/io/http_client.hpp), and what is chosen for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "daemon/base/clock.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/io/http_client.hpp"
#include "daemon/io/loop.hpp"
#include "shm/result.hpp"

namespace authcached {

struct HttpClientOptions {
  std::filesystem::path ca_file{};  // PEM; empty: the system's store
  bool allow_loopback_http = false;
  bool prefer_http2 = true;  // offered by ALPN; without TLS it is always HTTP/1.1
  // To one origin. HTTP/1.1 carries one request on each; with HTTP/2 a second one is made only when the first
  // is full. Few, because a daemon is one client of many, and each costs a handshake and a buffer on both
  // sides.
  std::size_t connections_max = 8;
  // An idle connection is closed after this. Shorter than the 60 to 75 s after which common servers close, so
  // that it is we who close, and no request meets a server that is just about to.
  std::uint64_t idle_ns = 50'000'000'000;
};

// One for each upstream: the circuit breaker, the pool and the TLS sessions are of one client.
//
// Name look-ups block `resolver_thread`. All of loop, thread and clock outlive the client, and the thread's
// queue is emptied before the loop goes. Loop thread only, or before the loop runs; so is destruction.
//
// Destruction with requests in flight: none of them is answered any more. Their answer functions are
// destroyed uncalled before the destructor returns, their bodies and headers are wiped, their connections
// closed. It may happen inside an answer.
//
// Errors: kUsage for a request that cannot be sent; kRefused for a server that is not who it should be or
// whose answer is malformed, too large or a redirect not to be followed; kUnavailable for everything that may
// heal by itself.
//
// Repeated by the client itself, at most kAttemptsMax times in all and within the deadline: any request of
// which nothing was sent or that the server said it did not take; a `repeatable` one also when its connection
// was lost. An answer with a status of 500 or more is an answer, and counts as a failure for the breaker
// only.
[[nodiscard]] authcache::shm::Result<std::shared_ptr<HttpClient>> make_http_client(Loop& loop,
                                                                                   Executor& resolver_thread,
                                                                                   const Clock& clock,
                                                                                   HttpClientOptions options);

}  // namespace authcached
