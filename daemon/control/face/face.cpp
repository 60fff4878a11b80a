#include "daemon/control/face/face.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/control/face/face_answers.hpp"
#include "daemon/control/face/form.hpp"
#include "daemon/control/face/identity_fields.hpp"
#include "shm/authorization.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
using shm::Verdict;

namespace {

constexpr std::string_view kAuthPath = "/auth";
constexpr std::string_view kLogoutPath = "/logout/";
constexpr std::string_view kLoopbackHosts[] = {"localhost", "127.0.0.1", "[::1]"};

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool same_text(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

// "name:port" or "[address]:port" without the port.
std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || (host.starts_with('[') && host.rfind(']') > colon)) return host;
  const std::string_view port = host.substr(colon + 1);
  return std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; }) ? host.substr(0, colon)
                                                                                : host;
}

bool is_form(const InboundRequest& request) {
  const auto type = request.values_of("Content-Type");
  std::string_view media = type.first.substr(0, type.first.find(';'));
  while (media.ends_with(' ') || media.ends_with('\t')) media.remove_suffix(1);
  return type.count == 1 && same_text(media, "application/x-www-form-urlencoded");
}

}  // namespace

shm::Result<std::unique_ptr<Face>> Face::create(HttpConfig config, FaceBackend& backend) {
  auto clients = ClientTable::load(config.clients);
  if (!clients) return std::unexpected(clients.error());
  return std::unique_ptr<Face>(new Face(std::move(config), backend, std::move(*clients)));
}

shm::Result<void> Face::configure(HttpConfig config) {
  auto clients = ClientTable::load(config.clients);
  config_ = std::move(config);
  if (!clients) return std::unexpected(clients.error());
  clients_ = std::move(*clients);
  return {};
}

HttpAnswer& Face::fresh() {
  answer_.clear();
  return answer_;
}

void Face::send(const Exchange& exchange) { exchange->answer(answer_); }

// A browser that was led here by a name of the attacker's sends that name. Requests without one are HTTP/1.0,
// which no browser speaks.
bool Face::is_host_allowed(const InboundRequest& request) const {
  const auto host = request.values_of("Host");
  if (host.count == 0) return !request.is_http11;
  const std::string_view name = without_port(host.first);
  const auto is_it = [&](std::string_view allowed) { return same_text(name, allowed); };
  return host.count == 1 &&
         (std::ranges::any_of(kLoopbackHosts, is_it) || std::ranges::any_of(config_.hosts, is_it));
}

void Face::handle(const Exchange& exchange, const InboundRequest& request) {
  if (!is_host_allowed(request)) {
    ++counters_.wrong_host;
    const bool none = request.values_of("Host").count != 1;
    answer_error(fresh(), none ? 400 : 421, "invalid_request",
                 none ? "one Host is needed" : "this Host is not served here: see http.hosts");
    return send(exchange);
  }
  const std::string_view target = request.target;
  if (!target.starts_with('/') || target.contains('#')) {
    answer_error(fresh(), 400, "invalid_request", "the target must be a path");
    return send(exchange);
  }
  const std::size_t mark = target.find('?');
  route(exchange, request,
        {target.substr(0, mark),
         mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1)});
}

void Face::route(const Exchange& exchange, const InboundRequest& request, const Url& url) {
  if (url.path == kAuthPath) return auth(exchange, request, url.query);
  if (url.path.starts_with(kAuthPath) && url.path.substr(kAuthPath.size()).starts_with('/')) {
    // Envoy appends its client's path and query: then the requirement is the segment before, which nothing of
    // the client's can be part of, and the query is not ours.
    const std::string_view rest = url.path.substr(kAuthPath.size() + 1);
    const std::size_t slash = rest.find('/');
    if (slash != std::string_view::npos) return auth(exchange, request, rest.substr(0, slash));
  }
  if (url.path == "/healthz" || url.path == "/readyz")
    return health(exchange, request, url.path == "/readyz");
  if (url.path == "/introspect" || url.path == "/revoke" || url.path.starts_with(kLogoutPath))
    return post(exchange, request, url);
  answer_error(fresh(), 404, "not_found",
               "there are /auth, /introspect, /revoke, /logout/PROFILE, /healthz and /readyz");
  send(exchange);
}

void Face::auth(const Exchange& exchange, const InboundRequest& request, std::string_view query) {
  ++counters_.auth;
  const auto malformed = [&](std::string_view description) {
    ++counters_.malformed;
    answer_bad_request(fresh(), description);
    send(exchange);
  };
  const auto requirement = requirements_.of(query);
  if (!requirement) return malformed(requirement.error().message);
  const auto authorization = request.values_of("Authorization");
  if (authorization.count > 1) return malformed("there is more than one Authorization header");
  FaceQuestion question{
      .requirement = *requirement, .token = {}, .proved = {}, .binding = Binding::kEnforced};
  switch (shm::parse_authorization(authorization.first, shm::TokenScheme::kBearer, question.token)) {
    case shm::TokenParse::kMalformed:
      return malformed("the Authorization header is not one well-formed bearer token");
    case shm::TokenParse::kOtherScheme: return auth_without_bearer(exchange, authorization.first);
    case shm::TokenParse::kToken: break;
  }
  if (!config_.certificate_header.empty()) {
    const auto certificate = request.values_of(config_.certificate_header);
    if (!certificate.first.empty()) question.proved = certificate_thumbprint(certificate.first);
    const bool unreadable = !certificate.first.empty() && !question.proved;
    if (certificate.count > 1 || unreadable)
      return malformed("the certificate header is not one certificate or thumbprint");
  }
  Decision decision;
  if (backend_.decide_now(question, decision)) {
    ++counters_.hits;
    return answer_auth(exchange, **requirement, decision);
  }
  backend_.decide_later(question, [this, exchange, requirement = *requirement](const Decision& found) {
    answer_auth(exchange, *requirement, found);
  });
}

// A token by DPoP is not even looked up: its proof is for the method and URL that the client used, which the proxy knows
// and this request does not tell.
void Face::auth_without_bearer(const Exchange& exchange, std::string_view authorization) {
  std::string_view token;
  const auto dpop = shm::parse_authorization(authorization, shm::TokenScheme::kDpop, token);
  if (dpop == shm::TokenParse::kMalformed) {
    ++counters_.malformed;
    answer_bad_request(fresh(), "the Authorization header is not one well-formed DPoP token");
    return send(exchange);
  }
  ++counters_.unauthorized;
  answer_no_credentials(fresh());
  if (dpop == shm::TokenParse::kToken)
    append_field(answer_, "X-Auth-Reason", shm::reason_name(shm::Reason::kConfirmationRequired));
  send(exchange);
}

void Face::answer_auth(const Exchange& exchange, const FaceRequirement& requirement,
                       const Decision& decision) {
  HttpAnswer& answer = fresh();
  if (decision.verdict != Verdict::kValid) {
    answer_refusal(answer, decision, requirement);
    ++(answer.status == 503   ? counters_.unavailable
       : answer.status == 403 ? counters_.forbidden
                              : counters_.unauthorized);
  } else if (append_identity(answer, decision.text, config_.identity, config_.encoding)) {
    ++counters_.ok;
  } else {
    ++counters_.unwritable;
    fresh();
    append_field(answer, "X-Auth-Reason", "identity_not_printable");
    answer_error(answer, 500, "server_error",
                 "the identity cannot stand in a header as it is: set http.encoding = percent, or leave it "
                 "out of http.identity");
  }
  send(exchange);
}

void Face::health(const Exchange& exchange, const InboundRequest& request, bool readiness) {
  HttpAnswer& answer = fresh();
  if (request.method != "GET" && request.method != "HEAD") {
    answer_error(answer, 405, "invalid_request", "ask by GET or HEAD");
    append_field(answer, "Allow", "GET, HEAD");
    return send(exchange);
  }
  if (!readiness) {
    answer.content_type = "text/plain";
    answer.body = "alive\n";
    return send(exchange);
  }
  json::array waiting;
  for (const ProfileReadiness& profile : backend_.readiness()) {
    if (!profile.ready) waiting.emplace_back(profile.name);
  }
  if (!waiting.empty()) answer_unavailable(answer, shm::reason_name(shm::Reason::kCatchingUp));
  answer.content_type = "application/json";
  answer.body =
      json::serialize(json::object{{"ready", waiting.empty()}, {"catching_up", std::move(waiting)}});
  send(exchange);
}

void Face::post(const Exchange& exchange, const InboundRequest& request, const Url& url) {
  const auto refuse = [&](int status, std::string_view description) {
    answer_error(fresh(), status, "invalid_request", description);
    if (status == 405) append_field(answer_, "Allow", "POST");
    send(exchange);
  };
  if (request.method != "POST") return refuse(405, "ask by POST");
  if (request.values_of("Origin").count > 0) {
    ++counters_.from_browser;
    return refuse(403, "a browser asks here for a page that it shows; that is not what this is for");
  }
  if (!is_form(request)) return refuse(400, "the body must be application/x-www-form-urlencoded");
  const auto form = Form::parse(request.body, Plus::kIsBlank);
  if (!form) return refuse(400, "the body is not a well-formed form");
  if (form->has_duplicates()) return refuse(400, "a parameter is there twice");
  if (url.path != "/introspect" && !url.query.empty()) return refuse(400, "parameters go into the body");
  if (url.path.starts_with(kLogoutPath)) return log_out(exchange, url.path.substr(kLogoutPath.size()), *form);
  FaceActor actor;
  const bool revoking = url.path == "/revoke";
  if (!authenticate(exchange, request, *form, revoking ? Right::kRevoke : Right::kIntrospect, actor)) return;
  if (form->first("token").empty()) return refuse(400, "token is missing");
  if (revoking) return revoke(exchange, *form, std::move(actor));
  introspect(exchange, url.query, *form);
}

bool Face::authenticate(const Exchange& exchange, const InboundRequest& request, const Form& form,
                        Right right, FaceActor& actor) {
  actor.local = exchange->peer().local;
  const auto authorization = request.values_of("Authorization");
  const bool in_body = form.count("client_id") > 0 || form.count("client_secret") > 0;
  if (authorization.count == 0 && !in_body && exchange->peer().is_admin) return true;
  if (authorization.count > 1 || (authorization.count == 1 && in_body)) {
    answer_error(fresh(), 400, "invalid_request", "the client authenticates in more than one way");
    send(exchange);
    return false;
  }
  std::optional<Credentials> credentials;
  if (authorization.count == 1) credentials = basic_credentials(authorization.first);
  if (in_body)
    credentials.emplace(std::string(form.first("client_id")), std::string(form.first("client_secret")));
  const ClientTable::Client* client =
      credentials ? clients_.find(credentials->name, credentials->secret) : nullptr;
  if (client == nullptr) {
    ++counters_.bad_client;
    answer_error(fresh(), 401, "invalid_client", "a client of the configuration is needed here");
    append_field(answer_, "WWW-Authenticate", "Basic realm=\"authcache\"");
    send(exchange);
    return false;
  }
  actor.client = client->name;
  if (right == Right::kIntrospect ? client->may_introspect : client->may_revoke) return true;
  ++counters_.bad_client;
  answer_error(fresh(), 403, "unauthorized_client", "this client may not do this: see http.client.NAME.may");
  send(exchange);
  return false;
}

void Face::introspect(const Exchange& exchange, std::string_view query, const Form& form) {
  ++counters_.introspections;
  const auto requirement = requirements_.of(query);
  if (!requirement || !(*requirement)->scopes.empty() || !(*requirement)->permissions.empty()) {
    answer_error(fresh(), 400, "invalid_request",
                 "the URI names one profile and, if need be, audiences: /introspect?profile=api");
    return send(exchange);
  }
  const FaceQuestion question{
      .requirement = *requirement, .token = form.first("token"), .proved = {}, .binding = Binding::kReported};
  Decision decision;
  if (backend_.decide_now(question, decision)) return answer_introspection(exchange, decision);
  backend_.decide_later(question,
                        [this, exchange](const Decision& found) { answer_introspection(exchange, found); });
}

void Face::answer_introspection(const Exchange& exchange, const Decision& decision) {
  HttpAnswer& answer = fresh();
  if (decision.verdict != Verdict::kValid && decision.verdict != Verdict::kInvalid &&
      decision.verdict != Verdict::kForbidden) {
    answer_unavailable(answer, shm::reason_name(decision.reason));
  } else {
    answer.content_type = "application/json";
    answer.body = json::serialize(introspection_of(decision));
  }
  send(exchange);
}

// RFC 7009 section 2.2: whatever the token was and whatever the hint says, it is good no more.
void Face::revoke(const Exchange& exchange, const Form& form, FaceActor actor) {
  ++counters_.revocations;
  backend_.revoke_token(form.first("token"), actor, [this, exchange](bool durable) {
    if (durable) {
      fresh();
    } else {
      answer_unavailable(fresh(), "not_durable");
    }
    send(exchange);
  });
}

void Face::log_out(const Exchange& exchange, std::string_view profile, const Form& form) {
  const auto refuse = [this, exchange](int status, std::string_view description) {
    ++counters_.logouts_refused;
    answer_error(fresh(), status, "invalid_request", description);
    send(exchange);
  };
  const auto logout = std::ranges::find(config_.logouts, profile, &HttpLogoutConfig::profile);
  if (logout == config_.logouts.end())
    return refuse(404, "no logout tokens are taken for a profile of this name: see http.logout");
  if (form.first("logout_token").empty()) return refuse(400, "logout_token is missing");
  backend_.log_out(*logout, form.first("logout_token"), {.client = {}, .local = exchange->peer().local},
                   [this, exchange, refuse](LogoutOutcome outcome) {
                     if (outcome.end == LogoutEnd::kRefused) return refuse(400, outcome.sentence);
                     if (outcome.end == LogoutEnd::kDone) {
                       ++counters_.logouts;
                       fresh();
                     } else {
                       answer_unavailable(fresh(),
                                          outcome.end == LogoutEnd::kBusy ? "overloaded" : "not_durable");
                     }
                     send(exchange);
                   });
}

json::object face_stats(const Face& face, const HttpServer& server) {
  const FaceCounters& counters = face.counters();
  const HttpServerCounters& sockets = server.counters();
  return {{"connections", server.connections()},
          {"accepted", sockets.accepted},
          {"turned_away", sockets.turned_away},
          {"requests", sockets.requests},
          {"malformed_http", sockets.malformed},
          {"overdue", sockets.overdue},
          {"auth", counters.auth},
          {"auth_hits", counters.hits},
          {"auth_200", counters.ok},
          {"auth_400", counters.malformed},
          {"auth_401", counters.unauthorized},
          {"auth_403", counters.forbidden},
          {"auth_500", counters.unwritable},
          {"auth_503", counters.unavailable},
          {"introspections", counters.introspections},
          {"revocations", counters.revocations},
          {"logouts", counters.logouts},
          {"logouts_refused", counters.logouts_refused},
          {"wrong_host", counters.wrong_host},
          {"from_browser", counters.from_browser},
          {"bad_client", counters.bad_client}};
}

}  // namespace authcached
