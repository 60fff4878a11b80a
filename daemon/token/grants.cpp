#include "daemon/token/grants.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "daemon/token/claims.hpp"
#include "daemon/token/json.hpp"

namespace authcached {
namespace {

constexpr std::string_view kRolePrefix = "role:";

// scope-token of RFC 6749 appendix A.4. Space is not in it: scopes are also kept as one text joined by
// spaces, in which an entry "read admin" of an array would turn into two.
bool is_scope_token(std::string_view text) {
  return !text.empty() && text.size() <= kGrantBytesMax && std::ranges::all_of(text, [](char c) {
    return c == 0x21 || (c >= 0x23 && c <= 0x5b) || (c >= 0x5d && c <= 0x7e);
  });
}

// Role names of directories have spaces and letters of every language; control characters are in none.
bool is_permission(std::string_view text) {
  return !text.empty() && text.size() <= kGrantBytesMax &&
         std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool add(std::vector<std::string>& list, std::string_view entry) {
  if (std::ranges::find(list, entry) != list.end()) return true;
  if (list.size() == kGrantsMax) return false;
  list.emplace_back(entry);
  return true;
}

bool add_scope_text(std::string_view text, std::vector<std::string>& scopes) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view token = text.substr(0, end);
    if (!token.empty() && (!is_scope_token(token) || !add(scopes, token))) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

bool read_scopes(const boost::json::object& claims, TokenType type, std::vector<std::string>& scopes) {
  std::optional<std::string_view> text;
  const bool has_scope = claims.contains("scope");
  const std::string_view name = has_scope || type == TokenType::kAccessToken ? "scope" : "scp";
  if (read_string(claims, name, text)) return !text || add_scope_text(*text, scopes);
  if (has_scope) return false;
  std::optional<std::vector<std::string>> list;
  return read_strings(claims, name, list) && std::ranges::all_of(*list, [&](const std::string& scope) {
           return is_scope_token(scope) && add(scopes, scope);
         });
}

bool read_permissions(const boost::json::object& claims, std::vector<std::string>& permissions) {
  std::optional<std::vector<std::string>> list;
  if (!read_strings(claims, "permissions", list)) return false;
  for (const std::string& permission : list.value_or(std::vector<std::string>{})) {
    if (!is_permission(permission)) return false;
    if (!permission.starts_with(kRolePrefix) && !add(permissions, permission)) return false;
  }
  if (!read_strings(claims, "roles", list)) return false;
  for (const std::string& role : list.value_or(std::vector<std::string>{})) {
    if (!is_permission(role) || !add(permissions, std::string(kRolePrefix) + role)) return false;
  }
  return true;
}

}  // namespace

std::optional<Grants> read_grants(const boost::json::object& claims, TokenType type) {
  Grants grants;
  if (!read_scopes(claims, type, grants.scopes) || !read_permissions(claims, grants.permissions))
    return std::nullopt;
  return grants;
}

}  // namespace authcached
