// One attempt of one request on one connection: what the client hands down and the connection hands back.
//
// Loop thread only. A session holds an exchange from start until it reports it finished or is told to cancel
// it, and touches it at no other time.
#pragma once

#include <optional>
#include <string>

#include "daemon/io/http/url.hpp"
#include "daemon/io/http_client.hpp"

namespace authcached {

enum class FailureKind : std::uint8_t {
  kUsage,        // the request cannot be meant
  kBusy,         // too many wait already
  kBreaker,      // nobody asks this server now
  kName,         // the name has no address; nothing was sent
  kConnect,      // no connection, or none in time; nothing was sent
  kTls,          // the handshake failed; nothing was sent
  kCertificate,  // the server is not who it should be; nothing was sent
  kNotTaken,     // the server said that it did nothing with it
  kStale,        // a connection that had served before ended before a byte of the answer
  kLost,         // the connection ended before the answer did
  kMalformed,    // the answer is not HTTP, or contradicts itself
  kLimit,        // the answer is larger than asked for
  kRedirect,     // it points where a request must not follow
  kDeadline,
};

struct Failure {
  FailureKind kind;
  std::string cause;  // half a sentence, without host; never a header or body
};

struct Exchange {
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  HttpRequest request;
  HttpUrl url;

  HttpResponse response;
  bool answer_began = false;       // a byte of it came
  std::uint64_t submitted_ns = 0;  // exact: when a connection took it
  std::optional<Failure> failure;  // set when finished without a whole answer
};

// Names that the client itself says: a caller that also did would make two messages of one.
[[nodiscard]] bool is_reserved_header(std::string_view lower_case_name);
// Nothing, or why these cannot be sent: a line break in a value would begin another header.
[[nodiscard]] std::optional<std::string> fault_of(const HttpRequest& request);
// Overwrites what may be a secret, and empties it.
void wipe(HttpRequest& request);
[[nodiscard]] std::string lower_case(std::string_view text);

// What a server may say in front of a body: many times what identity providers send, and little enough to
// hold for each.
inline constexpr std::size_t kHeaderBytesMax = 32 * 1024;
inline constexpr std::size_t kHeadersMax = 128;
// Interim answers (1xx) in front of the answer: some proxies send one or two.
inline constexpr unsigned kInterimMax = 8;

// True if the body came as it is: an encoding that was not asked for would have to be unpacked blindly.
[[nodiscard]] bool is_plain_body(const HttpResponse& response);

}  // namespace authcached
