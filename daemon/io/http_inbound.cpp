#include "daemon/io/http_inbound.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>

namespace authcached {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr std::string_view kHeaderEnd = "\r\n\r\n";

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string_view view_of(beast::string_view text) { return {text.data(), text.size()}; }

// Reads the header and notes where its parts are. The body is not its business.
class HeaderParser final : public http::basic_parser<true> {
 public:
  explicit HeaderParser(InboundRequest& request) : request_(request) {
    header_limit(kHttpHeaderBytesMax);
    body_limit(kHttpBodyBytesMax);
    eager(false);
  }

 private:
  void on_request_impl(http::verb, beast::string_view method, beast::string_view target, int version,
                       beast::error_code&) override {
    request_.method = view_of(method);
    request_.target = view_of(target);
    request_.is_http11 = version == 11;
  }
  void on_field_impl(http::field, beast::string_view name, beast::string_view value,
                     beast::error_code& error) override {
    if (request_.fields.size() == kHttpFieldsMax) {
      error = http::error::header_limit;
      return;
    }
    request_.fields.push_back({view_of(name), view_of(value)});
  }
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, beast::error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, beast::error_code&) override {
    return body.size();
  }
  void on_finish_impl(beast::error_code&) override {}

  InboundRequest& request_;
};

InboundRead refuse(int status, std::string_view sentence) {
  return {InboundRead::State::kRefused, 0, status, sentence};
}

// RFC 9112 section 5.2 lets a server refuse a folded line; Beast joins it, and a proxy may not have.
bool has_folded_line(std::string_view header) {
  for (std::size_t at = header.find('\n'); at != std::string_view::npos && at + 1 < header.size();
       at = header.find('\n', at + 1)) {
    if (header[at + 1] == ' ' || header[at + 1] == '\t') return true;
  }
  return false;
}

InboundRead refuse_header(const beast::error_code& error) {
  if (error == http::error::header_limit) return refuse(431, "the header is too large");
  if (error == http::error::body_limit) return refuse(413, "the body is too large");
  if (error == http::error::bad_version) return refuse(505, "HTTP/1.0 and HTTP/1.1 are spoken here");
  return refuse(400, "this is not a well-formed HTTP request");
}

// What the framing rests on, once more and stricter: RFC 9112 section 6.3 leaves room where two readers may
// differ.
std::optional<InboundRead> judge_framing(const InboundRequest& request) {
  const auto codings = request.values_of("Transfer-Encoding").count;
  const auto [lengths, length] = request.values_of("Content-Length");
  // Beast takes "5, 5" for 5.
  const bool is_number = std::ranges::all_of(length, [](char c) { return c >= '0' && c <= '9'; });
  if (lengths > 1 || !is_number || (codings > 0 && lengths > 0))
    return refuse(400, "the length of the body is stated in more than one way");
  if (codings > 0) return refuse(411, "a body must come with its Content-Length, not in chunks");
  if (request.values_of("Expect").count > 0) return refuse(417, "send the body at once, without Expect");
  return std::nullopt;
}

}  // namespace

InboundRequest::Values InboundRequest::values_of(std::string_view name) const {
  Values values;
  for (const InboundField& field : fields) {
    if (field.name.size() != name.size() || !same_name(field.name, name)) continue;
    if (values.count++ == 0) values.first = field.value;
  }
  return values;
}

InboundRead read_request(std::string_view input, std::size_t searched, InboundRequest& request) {
  const std::size_t from = searched < kHeaderEnd.size() ? 0 : searched - kHeaderEnd.size() + 1;
  const std::size_t end = input.find(kHeaderEnd, from);
  if (end == std::string_view::npos) {
    if (input.size() >= kHttpHeaderBytesMax) return refuse(431, "the header is too large");
    return {};
  }
  const std::string_view header = input.substr(0, end + kHeaderEnd.size());
  if (header.size() > kHttpHeaderBytesMax) return refuse(431, "the header is too large");
  if (has_folded_line(header)) return refuse(400, "a header line must not be folded");
  request.fields.clear();
  request.body = {};
  HeaderParser parser(request);
  beast::error_code error;
  const std::size_t used = parser.put(boost::asio::const_buffer(header.data(), header.size()), error);
  if (error) return refuse_header(error);
  if (!parser.is_header_done() || used != header.size())
    return refuse(400, "this is not a well-formed HTTP request");
  if (const auto refused = judge_framing(request)) return *refused;
  const std::uint64_t body_bytes = parser.content_length().value_or(0);
  if (body_bytes > kHttpBodyBytesMax) return refuse(413, "the body is too large");
  request.keep_alive = parser.keep_alive();
  const std::size_t bytes = header.size() + static_cast<std::size_t>(body_bytes);
  if (input.size() < bytes) return {InboundRead::State::kIncomplete, bytes, 0, {}};
  request.body = input.substr(header.size(), static_cast<std::size_t>(body_bytes));
  return {InboundRead::State::kComplete, bytes, 0, {}};
}

}  // namespace authcached
