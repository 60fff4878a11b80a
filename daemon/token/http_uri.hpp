// One spelling for one http or https resource, so that two URIs can be compared as bytes: the normalisations
// of RFC 3986 by syntax (section 6.2.2: case, percent-encoding, dot segments) and by scheme (6.2.3: default
// port, empty path). Query and fragment are left out, as RFC 9449 section 4.3 compares htu. Pure; any thread.
// May throw std::bad_alloc, nothing else.
//
// Strict: what RFC 3986 does not allow as it stands (a blank, a backslash, a byte beyond ASCII, a percent
// sign without two digits) is refused and not mended, because the server behind may mend it to another
// resource.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace authcached {

// scheme://authority/path. Nothing for what is not an absolute http or https URI with a host, has user
// information (RFC 9110 section 4.2.4), or a port that is no port.
[[nodiscard]] std::optional<std::string> normal_http_uri(std::string_view uri);

}  // namespace authcached
