// The Authorization header: whatever the parser takes for a token is what RFC 6750, RFC 9449 and RFC 9110 call one,
// written a second time here; a token survives being put into a header again; and none is one of both schemes.
#include "shm/authorization.hpp"

#include <algorithm>

#include "tests/fuzz/fuzz_target.hpp"

namespace {

using authcache::shm::parse_authorization;
using authcache::shm::TokenParse;
using authcache::shm::TokenScheme;

constexpr std::string_view kAlnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool is_token68(std::string_view text) {
  const std::size_t body = std::min(text.find_first_not_of(std::string(kAlnum) + "-._~+/"), text.size());
  return body > 0 && text.find_first_not_of('=', body) == std::string_view::npos;
}

TokenParse expected(std::string_view header, std::string_view wanted, std::string_view& token) {
  token = {};
  if (header.empty()) return TokenParse::kOtherScheme;
  const std::size_t end =
      std::min(header.find_first_not_of(std::string(kAlnum) + "!#$%&'*+-.^_`|~"), header.size());
  if (end == 0) return TokenParse::kMalformed;
  std::string scheme(header.substr(0, end));
  for (char& c : scheme) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  if (scheme != wanted) return TokenParse::kOtherScheme;
  if (end == header.size() || header[end] != ' ') return TokenParse::kMalformed;
  const std::size_t start = header.find_first_not_of(' ', end);
  if (start == std::string_view::npos || !is_token68(header.substr(start))) return TokenParse::kMalformed;
  token = header.substr(start);
  return TokenParse::kToken;
}

TokenParse check(std::string_view input, TokenScheme scheme, const std::string& name) {
  std::string_view token, wanted;
  const TokenParse parsed = parse_authorization(input, scheme, token);
  FUZZ_REQUIRE(parsed == expected(input, name, wanted));
  FUZZ_REQUIRE(token == wanted);
  if (parsed != TokenParse::kToken) return parsed;
  FUZZ_REQUIRE(token.data() >= input.data() && token.data() + token.size() == input.data() + input.size());
  const std::string again = name + " " + std::string(token);
  std::string_view second;
  FUZZ_REQUIRE(parse_authorization(again, scheme, second) == TokenParse::kToken && second == token);
  return parsed;
}

}  // namespace

FUZZ_TARGET(bearer) {
  const TokenParse bearer = check(input, TokenScheme::kBearer, "bearer");
  const TokenParse dpop = check(input, TokenScheme::kDpop, "dpop");
  // Of one header at most one scheme has something to say, unless it is no header value at all.
  FUZZ_REQUIRE(bearer == TokenParse::kOtherScheme || dpop == TokenParse::kOtherScheme || bearer == dpop);
  FUZZ_REQUIRE(bearer != TokenParse::kToken || dpop != TokenParse::kToken);
}
