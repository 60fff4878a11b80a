// What of a token stands in a session database. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"

namespace authcached {

inline constexpr std::size_t kSessionTokenBytesMax = 4'096;

// The key that a database is asked for. Nothing for a token that can have none: then no session has it.
[[nodiscard]] std::optional<std::string> session_key(std::string_view token, KeyEncoding encoding);

// The SHA-256 of the token whose key this is, as bytes, where the key says it all (kHexSha256, kBase64urlSha256); else
// nothing, as for a key that none of our tokens has.
[[nodiscard]] std::optional<std::string> hash_of_session_key(std::string_view key, KeyEncoding encoding);

// True if its key is bytes rather than text.
[[nodiscard]] constexpr bool is_binary_key(KeyEncoding encoding) { return encoding == KeyEncoding::kSha256; }

// RFC 6750's b64token.
[[nodiscard]] bool is_b64token(std::string_view token);
// Printable ASCII without blanks: what an existing schema may use for session ids.
[[nodiscard]] bool is_visible_ascii(std::string_view token);

// True if a token of this shape could be in an existing schema with such keys.
[[nodiscard]] bool could_be_session(std::string_view token, KeyEncoding encoding);

}  // namespace authcached
