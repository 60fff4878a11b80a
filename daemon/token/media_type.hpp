// Names of media types as JOSE headers carry them (RFC 7515 section 4.1.9). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace authcached {

[[nodiscard]] inline std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// In lower case, and without the tree "application", which may be left out.
[[nodiscard]] inline std::string short_media_type(std::string_view text) {
  constexpr std::string_view kTree = "application/";
  std::string type = lower_ascii(text);
  if (type.starts_with(kTree)) type.erase(0, kTree.size());
  return type;
}

}  // namespace authcached
