// HTTP/1.1: one exchange at a time, in Beast's parser.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "daemon/io/http/secret_text.hpp"
#include "daemon/io/http/session.hpp"

namespace authcached {

namespace http = boost::beast::http;

namespace {

using Parser = http::response_parser<http::string_body>;

// What the parser leaves unread: a whole header, a chunk's head with its extension, trailers. Never a body.
constexpr std::size_t kUnparsedMax = kHeaderBytesMax + 64 * 1024;

class Http1Session final : public Session {
 public:
  ~Http1Session() override { wipe(output_); }

  std::size_t capacity() const override { return current_ || over_ ? 0 : 1; }
  std::size_t open() const override { return current_ ? 1 : 0; }

  void start(std::shared_ptr<Exchange> exchange) override {
    current_ = std::move(exchange);
    interim_ = 0;
    write_request();
    begin_answer();
  }

  // The rest of its answer would stand in front of the next one.
  void cancel(const Exchange& exchange) override {
    if (current_.get() != &exchange) return;
    current_.reset();
    over_ = true;
  }

  void receive(std::string_view bytes) override {
    if (!current_ || over_) {
      over_ = true;  // bytes that nobody asked for
      return;
    }
    current_->answer_began = true;
    input_.append(bytes);
    parse();
  }

  void end(bool clean, const Failure& why) override {
    over_ = true;
    if (!current_) return;
    if (clean && parser_ && parser_->is_header_done() && parser_->need_eof()) {
      boost::system::error_code error;
      parser_->put_eof(error);
      if (!error) return succeed();
    }
    give_up(lost(*current_, served_ > 0, why));
  }

  void retire() override { retired_ = true, over_ = over_ || !current_; }
  bool retired() const override { return retired_ || over_; }
  bool ping() override { return false; }

  void take_output(std::string& out, std::size_t) override {
    append_secret(out, output_);
    wipe(output_);
  }

  bool over() const override { return over_ && !current_; }

 private:
  void write_request() {
    const HttpRequest& request = current_->request;
    std::size_t bytes = 256 + request.method.size() + current_->url.target.size() +
                        current_->url.authority.size() + request.body.size();
    for (const HttpHeader& header : request.headers) bytes += header.name.size() + header.value.size() + 4;
    output_.reserve(bytes);  // at once: growing would leave copies of secrets behind
    output_.append(request.method)
        .append(" ")
        .append(current_->url.target)
        .append(" HTTP/1.1\r\nHost: ")
        .append(current_->url.authority);
    output_.append("\r\nAccept-Encoding: identity\r\n");
    for (const HttpHeader& header : request.headers)
      output_.append(header.name).append(": ").append(header.value).append("\r\n");
    if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
      output_.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
    }
    output_.append("\r\n").append(request.body);
  }

  void begin_answer() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(current_->request.body_max);
    parser_->skip(current_->request.method == "HEAD");
    head_taken_ = false;
  }

  void parse() {
    while (!input_.empty() && current_) {
      boost::system::error_code error;
      const std::size_t used = parser_->put(boost::asio::buffer(input_), error);
      input_.erase(0, used);
      if (error && error != http::error::need_more) return give_up(fault(error));
      if (parser_->is_header_done() && !head_taken_) {
        if (const auto wrong = take_head()) return give_up(*wrong);
        if (current_->response.status < 200) {
          begin_answer();
          continue;
        }
      }
      if (parser_->is_done()) return succeed();
      if (error == http::error::need_more || used == 0) break;
    }
    if (input_.size() > kUnparsedMax)
      give_up({FailureKind::kLimit, "the answer has a line that does not end"});
  }

  // The header's fields, before trailers are put among them.
  std::optional<Failure> take_head() {
    head_taken_ = true;
    HttpResponse& response = current_->response;
    const auto& message = parser_->get();
    response.status = message.result_int();
    response.headers.clear();
    if (message.version() != 10 && message.version() != 11)
      return Failure{FailureKind::kMalformed, "the answer is of an unknown version of HTTP"};
    if (response.status < 200) {
      if (response.status == 101)
        return Failure{FailureKind::kMalformed, "the server changes to a protocol that was not asked for"};
      if (++interim_ > kInterimMax)
        return Failure{FailureKind::kLimit, "the server sends interim answers without end"};
      return std::nullopt;
    }
    for (const auto& field : message) {
      if (response.headers.size() == kHeadersMax)
        return Failure{FailureKind::kLimit,
                       "the answer has more than " + std::to_string(kHeadersMax) + " headers"};
      const std::string_view name(field.name_string().data(), field.name_string().size());
      response.headers.push_back({lower_case(name), std::string(field.value().data(), field.value().size())});
    }
    if (!is_plain_body(response))
      return Failure{FailureKind::kMalformed, "the body has a Content-Encoding that was not asked for"};
    for (const HttpHeader& header : response.headers) {
      if (header.name == "transfer-encoding" && lower_case(header.value) != "chunked") {
        return Failure{FailureKind::kMalformed, "the body has a Transfer-Encoding other than chunked"};
      }
    }
    return std::nullopt;
  }

  static Failure fault(const boost::system::error_code& error) {
    if (error == http::error::body_limit) return {FailureKind::kLimit, "the body is larger than asked for"};
    if (error == http::error::header_limit)
      return {FailureKind::kLimit,
              "the answer's headers have more than " + std::to_string(kHeaderBytesMax) + " bytes"};
    return {FailureKind::kMalformed, "the answer is not HTTP (" + error.message() + ")"};
  }

  void succeed() {
    current_->response.body = std::move(parser_->get().body());
    // What follows a whole answer belongs to no question: this connection says more than it was asked.
    over_ = over_ || retired_ || !parser_->keep_alive() || !input_.empty();
    ++served_;
    input_.clear();
    parser_.reset();
    finish(std::exchange(current_, nullptr));
  }

  void give_up(Failure failure) {
    over_ = true;
    input_.clear();
    parser_.reset();
    finish(std::exchange(current_, nullptr), std::move(failure));
  }

  std::shared_ptr<Exchange> current_;
  std::optional<Parser> parser_;
  std::string input_;  // not parsed yet
  std::string output_;
  std::uint64_t served_ = 0;
  unsigned interim_ = 0;
  bool head_taken_ = false;
  bool retired_ = false;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Session> make_http1_session() { return std::make_unique<Http1Session>(); }

}  // namespace authcached
