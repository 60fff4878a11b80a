#include "tests/faults/support/lying_issuer.hpp"

#include <charconv>
#include <utility>

namespace authcache_test {

using authcached::testing::FaultServer;
using authcached::testing::FaultServerOptions;
using authcached::testing::ServerSide;

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::size_t kHugeBytes = 4 << 20;  // eight times what any answer may have

// The value of a header, "" without it.
std::string header(const std::string& head, std::string_view name) {
  const std::size_t at = head.find("\r\n" + std::string(name) + ": ");
  if (at == std::string::npos) return {};
  const std::size_t from = at + name.size() + 4;
  return head.substr(from, head.find("\r\n", from) - from);
}

std::string reply(std::string_view status, std::string_view more, const std::string& body) {
  return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(more) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

constexpr std::string_view kJson = "Content-Type: application/json\r\n";

}  // namespace

LyingIssuer::LyingIssuer(authcached::testing::Leaf leaf, Lie lie, std::string attackers_jwks)
    : lie_(lie), jwks_(std::move(attackers_jwks)) {
  server_ = std::make_unique<FaultServer>(FaultServerOptions{.leaf = std::move(leaf)},
                                          [this](ServerSide& side) { serve(side); });
}

void LyingIssuer::serve(ServerSide& side) const {
  for (;;) {
    std::string request = side.read_until(kHeadEnd);
    const std::size_t end = request.find(kHeadEnd);
    if (end == std::string::npos) return;
    const std::string head = request.substr(0, end + 2);
    const std::string length = header(head, "Content-Length");
    std::size_t body = 0;
    std::from_chars(length.data(), length.data() + length.size(), body);
    for (std::size_t have = request.size() - end - kHeadEnd.size(); have < body;) {
      const std::string more = side.read_some();
      if (more.empty()) return;
      have += more.size();
    }
    if (!side.write(answer(head))) return;
  }
}

std::string LyingIssuer::honest_looking_body(const std::string& head) const {
  const std::string issuer = "https://" + header(head, "Host");
  const std::string named = lie_ == Lie::kAnotherIssuer ? "https://another.example" : issuer;
  if (head.find("/.well-known/") != std::string::npos) {
    return R"({"issuer":")" + named + R"(","jwks_uri":")" + issuer + R"(/jwks"})";
  }
  if (head.starts_with("GET /jwks ")) {
    if (lie_ == Lie::kWrongType) return R"({"keys":"none"})";
    return lie_ == Lie::kEmpty ? R"({"keys":[]})" : jwks_;
  }
  if (lie_ == Lie::kEmpty) return "{}";
  return R"({"active":)" + std::string(lie_ == Lie::kWrongType ? R"("true")" : "true") + R"(,"iss":")" +
         named + R"(","token_type":"Bearer","sub":"mallory","aud":"urn:test:api:opaque"})";
}

std::string LyingIssuer::answer(const std::string& head) const {
  const std::string body = honest_looking_body(head);
  switch (lie_) {
    case Lie::kHtml: return reply("200 OK", "Content-Type: text/html\r\n", "<html>Please log in</html>");
    case Lie::kHuge: return reply("200 OK", kJson, std::string(kHugeBytes, ' ') + body);
    case Lie::kGzip:
      return reply("200 OK", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
                   "\x1f\x8b no gzip");
    case Lie::kServerError: return reply("500 Internal Server Error", kJson, body);
    case Lie::kRedirect: return reply("302 Found", "Location: https://127.0.0.1:1/\r\n", body);
    default: return reply("200 OK", kJson, body);
  }
}

}  // namespace authcache_test
