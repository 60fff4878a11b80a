// One HTTP/1.x request as it lies in a connection's buffer: judged by Boost.Beast's strict parser and by what
// that one leaves open (obsolete folding, repeated lengths), so that no proxy in front can have read another
// request. Pure; any thread. Nothing is copied: what is read points into the input.
//
// Transfer codings are not taken at all: a body comes with its Content-Length, so where a request ends is
// never a matter of opinion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace authcached {

// A token of 16 KiB in its header, and as much again for whatever else a proxy passes on (nginx takes 32 KiB
// in all).
inline constexpr std::size_t kHttpHeaderBytesMax = 48 * 1024;
// A form with a token of 16 KiB, each byte of it percent-encoded, and a client's name and secret.
inline constexpr std::size_t kHttpBodyBytesMax = 56 * 1024;
// Browsers and proxies together send some 40.
inline constexpr std::size_t kHttpFieldsMax = 100;

struct InboundField {
  std::string_view name;
  std::string_view value;  // without white space around it
};

struct InboundRequest {
  std::string_view method;
  std::string_view target;
  std::vector<InboundField> fields;  // keeps its room from one request to the next
  std::string_view body;
  bool is_http11 = false;
  bool keep_alive = false;

  // The values of this field, name in any case: how many there are, and the first.
  struct Values {
    std::size_t count = 0;
    std::string_view first;
  };
  [[nodiscard]] Values values_of(std::string_view name) const;
};

// What stands at the front of the input.
struct InboundRead {
  enum class State : std::uint8_t {
    kIncomplete,  // `bytes` are needed in all, as far as is known by now; 0: the header is not whole
    kComplete,    // a request of `bytes`
    kRefused,     // answer with `status` and the sentence, and read no more of this connection
  };
  State state = State::kIncomplete;
  std::size_t bytes = 0;
  int status = 0;
  std::string_view sentence;
};

// `searched`: how many bytes of the input were there at an earlier call that found no whole header.
[[nodiscard]] InboundRead read_request(std::string_view input, std::size_t searched, InboundRequest& request);

}  // namespace authcached
