#include "daemon/token/http_uri.hpp"

#include <algorithm>

namespace authcached {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_alnum(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }
constexpr bool is_unreserved(char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~'; }
constexpr bool is_sub_delimiter(char c) {
  return c != '\0' && std::string_view("!$&'()*+,;=").find(c) != std::string_view::npos;
}
constexpr bool is_path_char(char c) {
  return is_unreserved(c) || is_sub_delimiter(c) || c == ':' || c == '@' || c == '/';
}

constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char small = lower(c);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// Appends with escapes in their one spelling: of an unreserved character the character itself, else
// upper-case digits.
template <class Allowed>
bool append_unescaped(std::string_view text, Allowed allowed, std::string& out) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!allowed(text[i])) return false;
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) return false;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return false;
    const char escaped = static_cast<char>(high * 16 + low);
    if (is_unreserved(escaped)) {
      out += escaped;
    } else {
      out += '%';
      out += kDigits[static_cast<std::size_t>(high)];
      out += kDigits[static_cast<std::size_t>(low)];
    }
    i += 2;
  }
  return true;
}

bool append_host(std::string_view host, std::string& out) {
  const std::size_t from = out.size();
  if (host.starts_with('[')) {
    // An address only (RFC 3986 section 3.2.2); no future version of one is known, and a zone has no meaning
    // elsewhere.
    const bool sound = host.size() > 4 && host.ends_with(']') &&
                       std::ranges::all_of(host.substr(1, host.size() - 2),
                                           [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; });
    if (!sound) return false;
    out += host;
  } else if (host.empty() || !append_unescaped(
                                 host, [](char c) { return is_unreserved(c) || is_sub_delimiter(c); }, out)) {
    return false;
  }
  // Escapes are lowered with the rest: RFC 3986 has the host's case mean nothing, and both sides go through
  // here.
  std::transform(out.begin() + static_cast<std::ptrdiff_t>(from), out.end(),
                 out.begin() + static_cast<std::ptrdiff_t>(from), lower);
  return true;
}

// Empty, and the scheme's own port, are left out.
bool append_port(std::string_view port, std::string_view default_port, std::string& out) {
  port.remove_prefix(std::min(port.find_first_not_of('0'), port.size()));
  if (port.size() > 5 || !std::ranges::all_of(port, is_digit)) return false;
  if (port.size() == 5 && port > "65535") return false;
  if (port.empty() || port == default_port) return true;
  out.append(":").append(port);
  return true;
}

bool append_authority(std::string_view authority, std::string_view default_port, std::string& out) {
  // User information has no place: '@' is a character of no host and of no port.
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (!append_host(authority.substr(0, colon), out)) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view port = authority.substr(colon + 1);
  // ":0" and ":000" are ports, and not the default one.
  if (!port.empty() && std::ranges::all_of(port, [](char c) { return c == '0'; })) return false;
  return append_port(port, default_port, out);
}

// RFC 3986 section 5.2.4, for a path that begins with a slash.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);
    const bool last = end == path.size();
    path.remove_prefix(end);
    if (segment == "/.") {
      if (last) out += '/';
    } else if (segment == "/..") {
      out.resize(out.empty() ? 0 : out.rfind('/'));
      if (last) out += '/';
    } else {
      out += segment;
    }
  }
  return out;
}

bool takes_scheme(std::string_view& rest, std::string_view scheme) {
  const bool is = rest.size() > scheme.size() && std::equal(scheme.begin(), scheme.end(), rest.begin(),
                                                            [](char a, char b) { return a == lower(b); });
  if (is) rest.remove_prefix(scheme.size());
  return is;
}

}  // namespace

std::optional<std::string> normal_http_uri(std::string_view uri) {
  uri = uri.substr(0, uri.find_first_of("?#"));
  std::string normal;
  std::string_view default_port;
  if (takes_scheme(uri, "https://")) {
    normal = "https://";
    default_port = "443";
  } else if (takes_scheme(uri, "http://")) {
    normal = "http://";
    default_port = "80";
  } else {
    return std::nullopt;
  }
  const std::size_t slash = std::min(uri.find('/'), uri.size());
  if (!append_authority(uri.substr(0, slash), default_port, normal)) return std::nullopt;
  std::string path;
  if (!append_unescaped(uri.substr(slash), is_path_char, path)) return std::nullopt;
  if (path.empty()) path = "/";
  return normal + without_dot_segments(path);
}

}  // namespace authcached
