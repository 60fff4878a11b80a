// Permissions with a resource in them ("documents/42:read") and patterns over them ("documents/*:read"). A text is cut
// into segments at '/' and ':'; a segment that is "*" in a pattern stands for any one segment that is not empty. All
// else is compared byte for byte, and the separators must be the same: "documents/*:read" covers "documents/42:read",
// neither "documents/42/pages:read" nor "documents:read".
//
// Only what a role's definition says is ever read as a pattern. What a token says is a name, "*" or not: whoever may
// choose a permission's name at an issuer must not thereby hold others.
//
// Here, because the daemon and every process judge by it. Pure; any thread.
#pragma once

#include <algorithm>
#include <string_view>

namespace authcache::shm {

inline constexpr std::string_view kPermissionSeparators = "/:";

namespace permission_pattern {

// Takes the first segment off; what is left begins with its separator, or is empty.
constexpr std::string_view take_segment(std::string_view& rest) noexcept {
  const std::string_view segment = rest.substr(0, std::min(rest.find_first_of(kPermissionSeparators), rest.size()));
  rest.remove_prefix(segment.size());
  return segment;
}

// Takes the same separator off both, or says that they do not go on alike.
constexpr bool take_separator(std::string_view& one, std::string_view& other) noexcept {
  if (one.empty() || other.empty() || one.front() != other.front()) return false;
  one.remove_prefix(1);
  other.remove_prefix(1);
  return true;
}

}  // namespace permission_pattern

// Whether a role's grant is a pattern: some segment is "*".
constexpr bool is_permission_pattern(std::string_view grant) noexcept {
  while (true) {
    if (permission_pattern::take_segment(grant) == "*") return true;
    if (grant.empty()) return false;
    grant.remove_prefix(1);
  }
}

// Whether who holds this grant of a role (a pattern, or a name that covers itself alone) holds the permission.
constexpr bool covers_permission(std::string_view grant, std::string_view permission) noexcept {
  while (true) {
    const std::string_view wanted = permission_pattern::take_segment(grant);
    const std::string_view segment = permission_pattern::take_segment(permission);
    if (wanted == "*" ? segment.empty() : wanted != segment) return false;
    if (grant.empty() || permission.empty()) return grant.empty() && permission.empty();
    if (!permission_pattern::take_separator(grant, permission)) return false;
  }
}

}  // namespace authcache::shm
