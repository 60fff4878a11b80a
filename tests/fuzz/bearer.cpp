// The Authorization header: whatever the parser takes for a token is what RFC 6750 and RFC 9110 call one,
// written a second time here; and a token survives being put into a header again.
#include "shm/bearer.hpp"

#include <algorithm>

#include "tests/fuzz/fuzz_target.hpp"

namespace {

using authcache::shm::BearerParse;
using authcache::shm::parse_bearer;

constexpr std::string_view kAlnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool is_token68(std::string_view text) {
  const std::size_t body = std::min(text.find_first_not_of(std::string(kAlnum) + "-._~+/"), text.size());
  return body > 0 && text.find_first_not_of('=', body) == std::string_view::npos;
}

BearerParse expected(std::string_view header, std::string_view& token) {
  token = {};
  if (header.empty()) return BearerParse::kNotBearer;
  const std::size_t end =
      std::min(header.find_first_not_of(std::string(kAlnum) + "!#$%&'*+-.^_`|~"), header.size());
  if (end == 0) return BearerParse::kMalformed;
  std::string scheme(header.substr(0, end));
  for (char& c : scheme) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  if (scheme != "bearer") return BearerParse::kNotBearer;
  if (end == header.size() || header[end] != ' ') return BearerParse::kMalformed;
  const std::size_t start = header.find_first_not_of(' ', end);
  if (start == std::string_view::npos || !is_token68(header.substr(start))) return BearerParse::kMalformed;
  token = header.substr(start);
  return BearerParse::kToken;
}

}  // namespace

FUZZ_TARGET(bearer) {
  std::string_view token, wanted;
  const BearerParse parsed = parse_bearer(input, token);
  FUZZ_REQUIRE(parsed == expected(input, wanted));
  FUZZ_REQUIRE(token == wanted);
  if (parsed != BearerParse::kToken) return;
  FUZZ_REQUIRE(token.data() >= input.data() && token.data() + token.size() == input.data() + input.size());
  const std::string again = "Bearer " + std::string(token);
  std::string_view second;
  FUZZ_REQUIRE(parse_bearer(again, second) == BearerParse::kToken && second == token);
}
