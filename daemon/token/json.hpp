// JSON from outside, read under limits: the only way in which the daemon parses it. Refuses what two parsers
// could read in two ways (duplicate members, also when spelled with escapes, at any depth; invalid UTF-8;
// lone surrogates; a byte order mark; bytes after the value; comments; NaN) and whatever costs more than its
// length. Pure; any thread. May throw std::bad_alloc, nothing else.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/result.hpp"

namespace authcached {

struct JsonLimits {
  std::size_t bytes;   // of the text
  std::size_t values;  // members and elements at every depth together: bounds memory and hash collisions
};

// Claims seen in the wild have tens of members and some hundred elements (groups); the token is at most 16
// KiB anyway.
inline constexpr JsonLimits kTokenJson{16 * 1024, 1024};
// 100 keys of about ten members each, certificate chains included.
inline constexpr JsonLimits kKeySetJson{512 * 1024, 8192};

inline constexpr std::size_t kJsonDepthMax =
    16;  // claims nest 3 or 4 deep; a parser's stack must not be the caller's choice
inline constexpr std::size_t kJsonNumberCharsMax =
    128;  // a double needs 25; writers that print every digit need more

[[nodiscard]] authcache::shm::Result<boost::json::value> parse_json(std::string_view text,
                                                                    const JsonLimits& limits);

// The typed getters return false if the member is there and has another type; absent is not an error.
[[nodiscard]] bool read_string(const boost::json::object& object, std::string_view name,
                               std::optional<std::string_view>& out);
[[nodiscard]] bool read_strings(const boost::json::object& object, std::string_view name,
                                std::optional<std::vector<std::string>>& out);

// An array of strings; nothing if it is anything else.
[[nodiscard]] std::optional<std::vector<std::string>> strings_of(const boost::json::value& value);

}  // namespace authcached
