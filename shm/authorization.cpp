#include "shm/authorization.hpp"

#include <algorithm>

namespace authcache::shm {
namespace {

constexpr std::string_view name_of(TokenScheme scheme) {
  return scheme == TokenScheme::kBearer ? "bearer" : "dpop";
}

// By hand, since <cctype> asks the locale.
constexpr bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
constexpr bool is_token_char(char c) {  // tchar of RFC 9110 section 5.6.2
  return is_alnum(c) || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
constexpr bool is_token68_char(char c) {
  return is_alnum(c) || (c != '\0' && std::string_view("-._~+/").find(c) != std::string_view::npos);
}
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_token68(std::string_view text) {
  const auto body_end = std::find_if_not(text.begin(), text.end(), is_token68_char);
  return body_end != text.begin() && std::all_of(body_end, text.end(), [](char c) { return c == '='; });
}

}  // namespace

TokenParse parse_authorization(std::string_view header, TokenScheme scheme,
                               std::string_view& token) noexcept {
  token = {};
  if (header.empty()) return TokenParse::kOtherScheme;
  const auto scheme_end = std::find_if_not(header.begin(), header.end(), is_token_char);
  const std::string_view said(header.begin(), scheme_end), wanted = name_of(scheme);
  if (said.empty()) return TokenParse::kMalformed;
  if (!std::equal(said.begin(), said.end(), wanted.begin(), wanted.end(),
                  [](char a, char b) { return lower(a) == b; })) {
    return TokenParse::kOtherScheme;
  }
  std::string_view rest = header.substr(said.size());
  if (!rest.starts_with(' ')) return TokenParse::kMalformed;
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  if (!is_token68(rest)) return TokenParse::kMalformed;
  token = rest;
  return TokenParse::kToken;
}

}  // namespace authcache::shm
