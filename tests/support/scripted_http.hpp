// An HTTP client that asks nobody: the test looks at each request and gives its answer, when it likes. For answers and
// times that a real server cannot be made to give.
#pragma once

#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "daemon/io/http_client.hpp"

namespace authcached::testing {

struct ScriptedHttp final : HttpClient {
  std::deque<std::pair<HttpRequest, HttpAnswer>> asked;
  std::size_t sent = 0;

  void send(HttpRequest request, HttpAnswer answer) override {
    ++sent;
    asked.emplace_back(std::move(request), std::move(answer));
  }
  [[nodiscard]] std::string state_json() const override { return R"({"connections":1})"; }

  [[nodiscard]] bool waits() const { return !asked.empty(); }
  [[nodiscard]] const HttpRequest& oldest() const { return asked.front().first; }
  [[nodiscard]] std::string oldest_header(const std::string& name) const {
    for (const HttpHeader& header : oldest().headers) {
      if (header.name == name) return header.value;
    }
    return {};
  }

  // Answers the oldest request.
  void answer(unsigned status, std::string body, std::vector<HttpHeader> headers = {}) {
    give(HttpResponse{status, std::move(headers), std::move(body)});
  }
  void fail(std::string sentence) { give(authcache::shm::fail(authcache::shm::ErrorCode::kUnavailable, std::move(sentence))); }

 private:
  void give(authcache::shm::Result<HttpResponse> response) {
    if (asked.empty()) throw std::logic_error("nothing was asked");
    HttpAnswer first = std::move(asked.front().second);
    asked.pop_front();
    first(std::move(response));
  }
};

}  // namespace authcached::testing
