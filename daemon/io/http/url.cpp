#include "daemon/io/http/url.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <boost/url/url_view.hpp>

namespace authcached {

namespace urls = boost::urls;
using authcache::shm::ErrorCode;
using authcache::shm::Result;

namespace {

// Longer than any endpoint's address, and what servers commonly take of a request line.
constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::uint16_t kHttpPort = 80;

auto refuse(std::string why) { return authcache::shm::fail(ErrorCode::kUsage, std::move(why)); }

bool is_loopback_address(const urls::url_view& url) {
  if (url.host_type() == urls::host_type::ipv4) return url.host_ipv4_address().is_loopback();
  return url.host_type() == urls::host_type::ipv6 && url.host_ipv6_address().is_loopback();
}

// Boost.URL 1.81 ends an authority where its grammar does and takes the rest for a path: 127.0.0.1.example
// becomes the address 127.0.0.1. An authority ends at a slash, a question mark, a number sign or the end, or
// it is none.
bool authority_is_whole(std::string_view text, const urls::url_view& url) {
  if (!url.has_authority()) return true;
  const std::size_t begin = text.find("//") + 2;
  const std::string_view authority = text.substr(begin, text.find_first_of("/?#", begin) - begin);
  return authority == std::string_view(url.encoded_authority().data(), url.encoded_authority().size());
}

Result<HttpUrl> judge(const urls::url_view& url, bool allow_loopback_http) {
  HttpUrl result;
  if (url.scheme_id() != urls::scheme::https && url.scheme_id() != urls::scheme::http) {
    return refuse("only https URLs can be asked; write https://");
  }
  result.tls = url.scheme_id() == urls::scheme::https;
  if (url.has_userinfo())
    return refuse("a URL must not carry a user or a password; remove what stands before the @");
  result.literal = url.host_type() == urls::host_type::ipv4 || url.host_type() == urls::host_type::ipv6;
  if (!result.literal && url.host_type() != urls::host_type::name) return refuse("the URL names no host");
  result.host = result.literal ? url.host_address() : std::string(url.encoded_host());
  std::ranges::transform(result.host, result.host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  if (result.host.empty()) return refuse("the URL names no host");
  if (!result.literal &&
      result.host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") != std::string::npos) {
    return refuse(
        "the URL's host has characters that no host name has; write an international name in its xn-- form");
  }
  const std::uint16_t usual = result.tls ? kHttpsPort : kHttpPort;
  result.port = usual;
  if (url.has_port() && !url.port().empty()) {
    result.port = url.port_number();
    if (result.port == 0) return refuse("the URL's port is not a port number");
  }
  if (!result.tls && !(allow_loopback_http && (is_loopback_address(url) || result.host == "localhost"))) {
    return refuse(
        "http is allowed to a loopback address only, and only where the configuration says so; write "
        "https://");
  }
  const bool brackets = url.host_type() == urls::host_type::ipv6;
  result.authority = brackets ? "[" + result.host + "]" : result.host;
  if (result.port != usual) result.authority += ":" + std::to_string(result.port);
  result.target = url.encoded_path().empty() ? "/" : std::string(url.encoded_path());
  if (url.has_query()) result.target += "?" + std::string(url.encoded_query());
  return result;
}

}  // namespace

std::string HttpUrl::place() const {
  const bool brackets = literal && host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string HttpUrl::origin() const { return (tls ? "https://" : "http://") + place(); }

Result<HttpUrl> parse_http_url(std::string_view text, bool allow_loopback_http) {
  if (text.size() > kUrlBytesMax)
    return refuse("the URL is longer than " + std::to_string(kUrlBytesMax) + " bytes");
  const auto url = urls::parse_uri(text);
  if (!url) return refuse("this is not an absolute URL (" + url.error().message() + ")");
  if (!authority_is_whole(text, *url)) return refuse("the URL's host or port is malformed");
  if (url->has_fragment())
    return refuse("a URL that is asked has no fragment; remove what stands behind the #");
  return judge(*url, allow_loopback_http);
}

Result<HttpUrl> resolve_location(const HttpUrl& from, std::string_view location, bool allow_loopback_http) {
  if (location.size() > kUrlBytesMax)
    return refuse("the Location is longer than " + std::to_string(kUrlBytesMax) + " bytes");
  const auto reference = urls::parse_uri_reference(location);
  const std::string base_text = from.origin() + from.target;
  const auto base = urls::parse_uri(base_text);
  if (!reference || !base || !authority_is_whole(location, *reference))
    return refuse("the Location is not a URL");
  urls::url joined;
  if (!urls::resolve(*base, *reference, joined)) return refuse("the Location is not a URL");
  joined.remove_fragment();
  return judge(joined, allow_loopback_http);
}

bool names_loopback(std::string_view host) {
  if (host == "localhost") return true;
  const auto url =
      urls::parse_uri(host.find(':') == std::string_view::npos ? "http://" + std::string(host)
                                                               : "http://[" + std::string(host) + "]");
  return url.has_value() && is_loopback_address(*url);
}

}  // namespace authcached
