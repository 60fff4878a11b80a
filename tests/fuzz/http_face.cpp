// The HTTP face from bytes to answers, without sockets: whatever arrives, each request is answered once, the
// answer is one well-formed message that repeats nothing of a token and ends no line early, a 200 of /auth
// comes only for the token that is good, and nobody without the secret has anything revoked.
#include <algorithm>
#include <fstream>

#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/fake_face.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;

constexpr std::size_t kRequestsMax = 64;

struct World {
  World() {
    std::ofstream(directory / "rs")
        << "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0\n";  // of s3cret
    HttpConfig config;
    config.certificate_header = "X-Client-Cert";
    config.clients = {{"rs", directory / "rs", true, true}};
    config.logouts = {{"api", {"web"}}};
    face = Face::create(config, backend).value();
    backend.add_valid("good-token");
    backend.add_valid("good-later").is_hit = false;
    backend.add("bad", Verdict::kInvalid, Reason::kExpired);
    backend.add("narrow", Verdict::kForbidden, Reason::kScope);
    backend.add("down", Verdict::kUnavailable, Reason::kUpstream);
    auto& hostile = backend.add_valid("hostile");
    authcache::shm::TextBuilder text;
    (void)text.add(authcache::shm::TextField::kSubject, "a\r\nX-Auth-Subject: root\r\n\r\n");
    hostile.text = text.bytes();
  }

  authcached::testing::TemporaryDirectory directory;
  authcached::testing::FakeBackend backend;
  std::unique_ptr<Face> face;
};

World& world() {
  static World one;
  return one;
}

// One header block that ends where it says, and every line a field.
bool is_one_message(const HttpAnswer& answer, bool head) {
  std::string bytes;
  append_answer(bytes, answer, {.is_http11 = true, .keep_alive = true, .without_body = head});
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos || bytes.size() - end - 4 != (head ? 0 : answer.body.size())) return false;
  const std::string_view fields = answer.fields;
  for (std::size_t at = 0; at < fields.size();) {
    const std::size_t line_end = fields.find("\r\n", at);
    if (line_end == std::string_view::npos || fields.find(": ", at) > line_end) return false;
    const std::string_view line = fields.substr(at, line_end - at);
    if (!std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7f; })) return false;
    at = line_end + 2;
  }
  return bytes.starts_with("HTTP/1.1 ") && bytes[12] == ' ' && bytes[13] != '\r';
}

void answer_one(const InboundRequest& request) {
  World& w = world();
  w.backend.revoked.clear();
  const auto exchange = std::make_shared<authcached::testing::KeptExchange>();
  w.face->handle(exchange, request);
  w.backend.answer_all();
  FUZZ_REQUIRE(exchange->answers == 1);
  const HttpAnswer& answer = exchange->last;
  FUZZ_REQUIRE(is_one_message(answer, request.method == "HEAD"));
  const std::string all = answer.fields + answer.body;
  FUZZ_REQUIRE(all.find("good-token") == std::string::npos && all.find("s3cret") == std::string::npos);
  FUZZ_REQUIRE(answer.fields.find("root") == std::string::npos);  // a body escapes it
  const auto authorization = request.values_of("Authorization");
  if (answer.status == 200 && request.target.starts_with("/auth")) {
    FUZZ_REQUIRE(authorization.count == 1);
    FUZZ_REQUIRE(authorization.first.ends_with("good-token") || authorization.first.ends_with("good-later"));
  }
  if (!w.backend.revoked.empty()) {
    const bool by_header = authorization.count == 1 && authorization.first.ends_with("cnM6czNjcmV0");
    FUZZ_REQUIRE(request.method == "POST" && answer.status == 200 && request.values_of("Origin").count == 0);
    FUZZ_REQUIRE(by_header || request.body.contains("client_secret"));
  }
}

}  // namespace

FUZZ_TARGET(http_face) {
  InboundRequest request;
  std::string_view rest = input;
  for (std::size_t i = 0; i < kRequestsMax && !rest.empty(); ++i) {
    const InboundRead read = read_request(rest, 0, request);
    if (read.state == InboundRead::State::kIncomplete) {
      FUZZ_REQUIRE(read.bytes == 0 || read.bytes > rest.size());
      FUZZ_REQUIRE(read.bytes <= kHttpHeaderBytesMax + kHttpBodyBytesMax);
      return;
    }
    if (read.state == InboundRead::State::kRefused) {
      FUZZ_REQUIRE(read.status >= 400 && read.status < 600 && !read.sentence.empty());
      return;
    }
    FUZZ_REQUIRE(read.bytes > 0 && read.bytes <= rest.size());
    const auto inside = [&](std::string_view part) {
      return part.empty() ||
             (part.data() >= rest.data() && part.data() + part.size() <= rest.data() + read.bytes);
    };
    FUZZ_REQUIRE(inside(request.method) && inside(request.target) && inside(request.body));
    for (const InboundField& field : request.fields) FUZZ_REQUIRE(inside(field.name) && inside(field.value));
    answer_one(request);
    rest.remove_prefix(read.bytes);
  }
}
