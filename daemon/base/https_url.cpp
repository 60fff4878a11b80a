#include "daemon/base/https_url.hpp"

#include <algorithm>
#include <charconv>

namespace authcached {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr unsigned kPortMax = 65'535;

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// RFC 3986: what may stand in a path or query as it is, and the escape.
bool is_url_char(char c) { return is_alphanumeric(c) || std::string_view("-._~:/?[]@!$&'()*+,;=%").contains(c); }

bool has_sound_escapes(std::string_view text) {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (at + 2 >= text.size() || !is_hex(text[at + 1]) || !is_hex(text[at + 2])) return false;
  }
  return true;
}

bool is_host(std::string_view host) {
  if (host.starts_with('[')) {
    const std::string_view address = host.substr(1, host.size() - 2);
    return host.size() > 4 && host.ends_with(']') &&
           std::ranges::all_of(address, [](char c) { return is_hex(c) || c == ':' || c == '.'; });
  }
  return !host.empty() && host.front() != '.' && host.front() != '-' &&
         std::ranges::all_of(host, [](char c) { return is_alphanumeric(c) || c == '.' || c == '-' || c == '_'; });
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && text.front() != '0' && port <= kPortMax;
}

// host, host:port or [address]:port
bool is_authority(std::string_view authority) {
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return is_host(authority);
  const std::string_view port = authority.substr(colon + 1);
  return is_host(authority.substr(0, colon)) && !port.empty() && is_port(port);
}

}  // namespace

std::optional<std::string> https_url_fault(std::string_view url) {
  if (url.size() > kUrlBytesMax) return "is longer than " + std::to_string(kUrlBytesMax) + " bytes";
  if (url.starts_with("http://")) return "is an http URL: what it answers could come from anybody on the way";
  if (!url.starts_with(kScheme)) return "is not an https URL";
  const std::string_view rest = url.substr(kScheme.size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.contains('@')) return "holds user information, which is never sent";
  if (url.contains('#')) return "holds a fragment, which is never sent";
  if (!is_authority(authority)) return "names no host that can be asked";
  if (!std::ranges::all_of(rest, is_url_char) || !has_sound_escapes(rest)) return "holds characters that no URL has";
  return std::nullopt;
}

std::optional<std::string> issuer_url_fault(std::string_view issuer) {
  if (auto fault = https_url_fault(issuer)) return fault;
  if (issuer.contains('?')) return "holds a query, which no issuer has";
  return std::nullopt;
}

}  // namespace authcached
