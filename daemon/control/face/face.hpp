// The HTTP face (docs/http.md): what each path answers. Judges Host, Origin, method and credentials before
// anything else, asks its backend, and writes answers; knows no sockets. Loop thread only.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/control/face/client_table.hpp"
#include "daemon/control/face/face_backend.hpp"
#include "daemon/io/http_server.hpp"
#include "shm/result.hpp"

namespace authcached {

class Form;

struct FaceCounters {
  std::uint64_t auth = 0;          // /auth, and how each was answered
  std::uint64_t hits = 0;          // without asking anybody
  std::uint64_t ok = 0;            // 200
  std::uint64_t unauthorized = 0;  // 401
  std::uint64_t forbidden = 0;     // 403
  std::uint64_t malformed = 0;     // 400
  std::uint64_t unavailable = 0;   // 503
  std::uint64_t unwritable = 0;    // 500: an identity that cannot stand in a header
  std::uint64_t introspections = 0;
  std::uint64_t revocations = 0;
  std::uint64_t logouts = 0;
  std::uint64_t logouts_refused = 0;
  std::uint64_t wrong_host = 0;
  std::uint64_t from_browser = 0;  // a POST with an Origin
  std::uint64_t bad_client = 0;    // credentials missing or wrong
};

class Face {
 public:
  // Fails if a client's secret file cannot be used.
  static authcache::shm::Result<std::unique_ptr<Face>> create(HttpConfig config, FaceBackend& backend);

  // Of a reload. A client whose secret file cannot be used keeps the secrets as they were: false, and the
  // sentence says why.
  authcache::shm::Result<void> configure(HttpConfig config);
  [[nodiscard]] const HttpConfig& config() const { return config_; }

  // Answers exactly once, now or later.
  void handle(const std::shared_ptr<HttpExchange>& exchange, const InboundRequest& request);

  [[nodiscard]] const FaceCounters& counters() const { return counters_; }

 private:
  using Exchange = std::shared_ptr<HttpExchange>;
  struct Url {
    std::string_view path, query;
  };
  enum class Right : std::uint8_t { kIntrospect, kRevoke };

  Face(HttpConfig config, FaceBackend& backend, ClientTable clients)
      : config_(std::move(config)), backend_(backend), clients_(std::move(clients)) {}

  [[nodiscard]] bool is_host_allowed(const InboundRequest& request) const;
  void route(const Exchange& exchange, const InboundRequest& request, const Url& url);
  void auth(const Exchange& exchange, const InboundRequest& request, std::string_view requirement);
  void auth_without_bearer(const Exchange& exchange, std::string_view authorization);
  void answer_auth(const Exchange& exchange, const FaceRequirement& requirement, const Decision& decision);
  void health(const Exchange& exchange, const InboundRequest& request, bool readiness);
  void post(const Exchange& exchange, const InboundRequest& request, const Url& url);
  void introspect(const Exchange& exchange, std::string_view query, const Form& form);
  void answer_introspection(const Exchange& exchange, const Decision& decision);
  void revoke(const Exchange& exchange, const Form& form, FaceActor actor);
  void log_out(const Exchange& exchange, std::string_view profile, const Form& form);
  // Who asks, if he may; else the answer is given.
  [[nodiscard]] bool authenticate(const Exchange& exchange, const InboundRequest& request, const Form& form,
                                  Right right, FaceActor& actor);
  void send(const Exchange& exchange);
  HttpAnswer& fresh();

  HttpConfig config_;
  FaceBackend& backend_;
  ClientTable clients_;
  FaceRequirements requirements_;
  FaceCounters counters_;
  HttpAnswer answer_;  // one is written at a time: its room is used again
};

// For `authctl stats`.
[[nodiscard]] boost::json::object face_stats(const Face& face, const HttpServer& server);

}  // namespace authcached
