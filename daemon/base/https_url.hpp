// Whether a text is an absolute https URL that a configuration or an issuer's metadata may name. Only judged here; the
// HTTP client takes it apart. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace authcached {

// Beyond what any endpoint has; some servers refuse longer ones.
inline constexpr std::size_t kUrlBytesMax = 2'048;

// What is wrong with it, as the end of a sentence ("is not an https URL"); nothing if it may be asked. The text itself is
// never quoted: it may hold a password. Refused are http, user information, a fragment, and whatever could be read in two
// ways (spaces, control characters, a backslash, escapes in the host).
[[nodiscard]] std::optional<std::string> https_url_fault(std::string_view url);

// The same, and fit to find an issuer's metadata by (RFC 8414 section 2): no query either.
[[nodiscard]] std::optional<std::string> issuer_url_fault(std::string_view issuer);

}  // namespace authcached
