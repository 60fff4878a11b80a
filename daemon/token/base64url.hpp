// base64url without padding (RFC 7515 section 2), one text for one value: what a lax decoder would also take
// (padding, white space, unused trailing bits) is refused, because each such spelling would be a second token
// with the same signature. OpenSSL's decoder takes them, so it is not used. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace authcached {

[[nodiscard]] bool is_base64url_char(char c);

// The bytes, or nothing unless encoding them again would give exactly this text.
[[nodiscard]] std::optional<std::string> base64url_decode(std::string_view text);

[[nodiscard]] std::string base64url_encode(std::string_view bytes);

}  // namespace authcached
