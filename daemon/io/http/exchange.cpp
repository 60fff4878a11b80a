#include "daemon/io/http/exchange.hpp"

#include <algorithm>
#include <array>

#include "daemon/io/http/secret_text.hpp"

namespace authcached {

namespace {

constexpr std::array<std::string_view, 11> kReserved = {"accept-encoding",
                                                        "connection",
                                                        "content-length",
                                                        "expect",
                                                        "host",
                                                        "keep-alive",
                                                        "proxy-connection",
                                                        "te",
                                                        "trailer",
                                                        "transfer-encoding",
                                                        "upgrade"};

constexpr std::string_view kTokenCharacters =
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool is_token(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kTokenCharacters) == std::string_view::npos;
}

bool is_value(std::string_view text) {
  if (!text.empty() &&
      (text.front() == ' ' || text.back() == ' ' || text.front() == '\t' || text.back() == '\t'))
    return false;
  return std::ranges::none_of(
      text, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

}  // namespace

std::optional<std::string_view> HttpResponse::header(std::string_view lower_case_name) const {
  std::optional<std::string_view> found;
  for (const HttpHeader& header : headers) {
    if (header.name != lower_case_name) continue;
    if (found) return std::nullopt;
    found = header.value;
  }
  return found;
}

bool is_reserved_header(std::string_view lower_case_name) {
  return std::ranges::find(kReserved, lower_case_name) != kReserved.end();
}

std::optional<std::string> fault_of(const HttpRequest& request) {
  if (!is_token(request.method) || request.method == "CONNECT") return "the method cannot be sent";
  std::size_t bytes = 0;
  for (const HttpHeader& header : request.headers) {
    if (!is_token(header.name)) return "a header's name cannot be sent";
    if (!is_value(header.value))
      return "the value of the header " + header.name + " has characters that cannot be sent";
    if (is_reserved_header(lower_case(header.name)))
      return "the header " + header.name + " is the client's own to send";
    bytes += header.name.size() + header.value.size();
  }
  if (bytes > kHeaderBytesMax)
    return "the headers have more than " + std::to_string(kHeaderBytesMax) + " bytes";
  return std::nullopt;
}

void wipe(HttpRequest& request) {
  wipe(request.body);
  for (HttpHeader& header : request.headers) wipe(header.value);
  request.headers.clear();
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return lower;
}

bool is_plain_body(const HttpResponse& response) {
  return std::ranges::none_of(response.headers, [](const HttpHeader& header) {
    return header.name == "content-encoding" && lower_case(header.value) != "identity";
  });
}

}  // namespace authcached
