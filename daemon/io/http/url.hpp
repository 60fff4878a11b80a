// Where a request goes: an absolute URL taken apart and judged. https everywhere; http only to this host
// itself, and only where the configuration says so. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm/result.hpp"

namespace authcached {

struct HttpUrl {
  bool tls = true;
  std::string host;      // in lower case; an address stands without brackets
  bool literal = false;  // host is an address, not a name
  std::uint16_t port = 443;
  std::string authority;  // as the Host header or :authority carries it
  std::string target;     // path and query, as sent

  // "host:port", for sentences: the rest of a URL may hold what is nobody's business.
  [[nodiscard]] std::string place() const;
  // Two URLs of one origin may share a connection.
  [[nodiscard]] std::string origin() const;
};

// Refuses user information, a fragment, control characters, escapes in the host and what is longer than any
// endpoint is.
[[nodiscard]] authcache::shm::Result<HttpUrl> parse_http_url(std::string_view text, bool allow_loopback_http);

// What a Location header means that came in answer to `from`; its fragment is dropped.
[[nodiscard]] authcache::shm::Result<HttpUrl> resolve_location(const HttpUrl& from, std::string_view location,
                                                               bool allow_loopback_http);

// 127.0.0.0/8, ::1, or the name localhost.
[[nodiscard]] bool names_loopback(std::string_view host);

}  // namespace authcached
