#include "daemon/upstream/introspection_upstream.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <exception>
#include <utility>

#include "daemon/token/base64url.hpp"
#include "daemon/token/json.hpp"
#include "daemon/token/jws.hpp"
#include "daemon/token/media_type.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
// Each holds a token of up to 16 KiB, and the form made of it.
constexpr std::size_t kInFlightMax = 16 * 1024;
// An endpoint that refuses us is not a reason to read a file for every token.
constexpr std::int64_t kReadAgainNs = 10 * kNsPerSecond;
constexpr unsigned kOk = 200, kUnauthorized = 401, kForbidden = 403;
constexpr std::string_view kSignedType = "application/token-introspection+jwt";

// Error codes of RFC 6749, 6750, 7009 and 7662. Nothing else of a body is repeated: it could be the token or the secret.
constexpr std::array<std::string_view, 10> kErrorCodes{
    "invalid_request", "invalid_client", "invalid_grant",       "unauthorized_client",    "unsupported_grant_type",
    "invalid_token",   "access_denied",  "unsupported_token_type", "temporarily_unavailable", "server_error"};

std::string error_code_of(std::string_view body) {
  const auto document = parse_json(body, {kIntrospectionBytesMax, 1'024});
  const json::object* members = document ? document->if_object() : nullptr;
  std::optional<std::string_view> code;
  if (members == nullptr || !read_string(*members, "error", code) || !code) return {};
  const auto known = std::ranges::find(kErrorCodes, *code);
  return known == kErrorCodes.end() ? std::string() : " " + std::string(*known);
}

// The media type of an answer, without parameters.
std::string content_type_of(const HttpResponse& response) {
  std::string type;
  for (const HttpHeader& header : response.headers) {
    if (header.name == "content-type") type = type.empty() ? header.value : "?";
  }
  type.resize(std::min(type.find(';'), type.size()));
  while (type.ends_with(' ')) type.pop_back();
  return lower_ascii(type);
}

}  // namespace

struct IntrospectionUpstream::Question {
  SecretText token;
  std::uint64_t deadline_ns;
  uid_t uid;
  Answer answer;
};

IntrospectionUpstream::IntrospectionUpstream(const ProfileConfig& profile, std::shared_ptr<HttpClient> client,
                                             std::shared_ptr<KeySetSource> keys, std::vector<Executor*> pool, Executor& reader,
                                             Executor& loop, const Clock& clock)
    : profile_(profile), client_(std::move(client)), keys_(std::move(keys)), pool_(std::move(pool)), reader_(reader), loop_(loop), clock_(clock) {
  auto policy = std::make_shared<IntrospectionPolicy>();
  policy->issuer = profile.issuer;
  policy->leeway_ns = std::chrono::nanoseconds(profile.leeway).count();
  policy->max_lifetime_ns = std::chrono::nanoseconds(profile.max_token_lifetime).count();
  policy->token_type_required = profile.token_type_required;
  policy->client_id = profile.client_id;
  policy->algorithms = profile.algorithms;
  policy_ = std::move(policy);
  if (keys_) checks_ = std::make_shared<KeyedChecks>(keys_, pool_, loop_, clock_);
}

shm::Result<std::shared_ptr<IntrospectionUpstream>> IntrospectionUpstream::open(const ProfileConfig& profile, std::shared_ptr<HttpClient> client,
                                                                                std::shared_ptr<KeySetSource> keys,
                                                                                std::vector<Executor*> pool, Executor& reader, Executor& loop,
                                                                                const Clock& clock) {
  auto credentials = ClientCredentials::read(profile);
  if (!credentials) return std::unexpected(credentials.error());
  std::shared_ptr<IntrospectionUpstream> upstream(
      new IntrospectionUpstream(profile, std::move(client), std::move(keys), std::move(pool), reader, loop, clock));
  upstream->credentials_ = std::move(*credentials);
  upstream->read_ns_ = clock.boot_ns();
  return upstream;
}

// b64token of RFC 6750 section 2.1: what can stand in an Authorization header at all.
bool IntrospectionUpstream::well_formed(std::string_view token) const {
  while (token.ends_with('=')) token.remove_suffix(1);
  return !token.empty() && std::ranges::all_of(token, [](char c) {
    return is_base64url_char(c) || c == '.' || c == '~' || c == '+' || c == '/';
  });
}

void IntrospectionUpstream::resolve(Query query, Answer answer) {
  ++counters_.questions;
  auto question = std::make_shared<Question>(Question{SecretText(std::move(query.token)), query.deadline_ns, query.uid, std::move(answer)});
  if (in_flight_ >= kInFlightMax) {
    return loop_.post([question = std::move(question)] { question->answer(unavailable_proof(Reason::kOverloaded)); });
  }
  ++in_flight_;
  try {
    sign(std::move(question));
  } catch (const std::exception&) {
    --in_flight_;
    throw;  // the flight's owner answers
  }
}

// Made on a worker if the credentials sign, else here: the loop has better to do than to sign.
void IntrospectionUpstream::sign(std::shared_ptr<Question> question) {
  HttpRequest request{.method = "POST", .url = profile_.introspection_url};
  request.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
  request.headers.push_back({"Accept", std::string(keys_ ? kSignedType : "application/json")});
  request.deadline_ns = question->deadline_ns;
  request.body_max = kIntrospectionBytesMax;
  // Asking twice changes nothing at the issuer; but an assertion serves once (RFC 7523 section 3, jti).
  request.repeatable = !credentials_->signs();
  append_form_field(request.body, "token", question->token.view());
  append_form_field(request.body, "token_type_hint", "access_token");
  const auto authenticate = [](HttpRequest unsigned_request, const ClientCredentials& credentials, std::int64_t wall_ns) -> shm::Result<HttpRequest> {
    if (auto done = credentials.authenticate(unsigned_request, wall_ns); !done) return std::unexpected(done.error());
    return unsigned_request;
  };
  if (!credentials_->signs()) return send(question, authenticate(std::move(request), *credentials_, clock_.wall_ns()));
  Executor& worker = *pool_[next_++ % pool_.size()];
  worker.post([weak = weak_from_this(), &loop = loop_, &clock = clock_, credentials = credentials_, question = std::move(question),
               request = std::move(request), authenticate]() mutable {
    auto made = authenticate(std::move(request), *credentials, clock.wall_ns());
    loop.post([weak = std::move(weak), question = std::move(question), made = std::move(made)]() mutable {
      if (const auto self = weak.lock()) self->send(question, std::move(made));
    });
  });
}

void IntrospectionUpstream::send(const std::shared_ptr<Question>& question, shm::Result<HttpRequest> request) {
  if (!request) {
    return loop_.post([weak = weak_from_this(), question, sentence = request.error().message] {
      if (const auto self = weak.lock()) self->fail(question, sentence);
    });
  }
  client_->send(std::move(*request), [weak = weak_from_this(), question](shm::Result<HttpResponse> response) {
    if (const auto self = weak.lock()) self->answered(question, std::move(response));
  });
}

void IntrospectionUpstream::answered(const std::shared_ptr<Question>& question, shm::Result<HttpResponse> response) {
  if (!response) return fail(question, response.error().message);
  if (response->status != kOk) return refused(question, *response);
  const bool is_signed = content_type_of(*response) == kSignedType;
  if (is_signed != (keys_ != nullptr)) {
    return fail(question, is_signed ? "The endpoint signed its answer although a plain one was asked for; write introspection_answer = \"jwt\"."
                                    : "The endpoint did not sign its answer, and a plain one is not believed.");
  }
  if (is_signed) return judge_signed(question, *response);
  judge(question, *response);
}

void IntrospectionUpstream::refused(const std::shared_ptr<Question>& question, const HttpResponse& response) {
  const std::string status = "status " + std::to_string(response.status) + error_code_of(response.body);
  if (response.status != kUnauthorized && response.status != kForbidden) {
    return fail(question, "The introspection endpoint answered with " + status + ".");
  }
  ++counters_.credentials_refused;
  read_credentials_again();
  fail(question, "The introspection endpoint refuses client " + profile_.client_id + " with " + status + "; correct client_id, client_auth or the credentials.",
       Health::kCredentialsRefused);
}

void IntrospectionUpstream::judge(const std::shared_ptr<Question>& question, const HttpResponse& response) {
  try {
    auto proof = judge_introspection(response.body, *policy_, clock_.wall_ns());
    if (!proof) return fail(question, proof.error().message);
    finish(question, std::move(*proof));
  } catch (const std::exception&) {
    fail(question, "No memory is left to read the endpoint's answer.");
  }
}

void IntrospectionUpstream::judge_signed(const std::shared_ptr<Question>& question, HttpResponse& response) {
  auto why_not = std::make_shared<std::string>();  // written by the check, read after it
  auto check = [body = std::move(response.body), policy = policy_, &clock = clock_, why_not](const KeySet& keys) {
    auto proof = judge_signed_introspection(body, *policy, keys, clock.wall_ns());
    if (proof) return std::move(*proof);
    *why_not = proof.error().message;
    return unavailable_proof(Reason::kUpstream);
  };
  checks_->run(std::move(check), question->uid, question->deadline_ns, [weak = weak_from_this(), question, why_not](Proof proof) {
    const auto self = weak.lock();
    if (!self) return;
    if (!why_not->empty()) return self->fail(question, *why_not);
    if (proof.verdict == Verdict::kUnavailable) return self->fail(question, "The keys to check the endpoint's signed answer are not there.");
    if (proof.reason == Reason::kUnknownKey) return self->fail(question, "The endpoint's answer is signed by a key that the issuer does not publish.");
    self->finish(question, std::move(proof));
  });
}

void IntrospectionUpstream::fail(const std::shared_ptr<Question>& question, std::string sentence, Health health) {
  --in_flight_;
  ++counters_.failures;
  health_ = health;
  last_error_ = std::move(sentence);
  failed_ns_ = clock_.boot_ns();
  const bool late = static_cast<std::uint64_t>(clock_.monotonic_ns()) >= question->deadline_ns;
  question->answer(unavailable_proof(late ? Reason::kTimeout : Reason::kUpstream));
}

void IntrospectionUpstream::finish(const std::shared_ptr<Question>& question, Proof proof) {
  --in_flight_;
  ++(proof.verdict == Verdict::kValid ? counters_.active : counters_.refused);
  health_ = Health::kGood;
  answered_ns_ = clock_.boot_ns();
  // A JWT is known by what was signed: its malleated twin is as active and must be revoked with it.
  if (const auto jws = split_compact_jws(question->token.view())) proof.signing_input = signing_input_digest(*jws);
  question->answer(std::move(proof));
}

void IntrospectionUpstream::read_credentials_again() {
  const std::int64_t now = clock_.boot_ns();
  if (now - read_ns_ < kReadAgainNs) return;
  read_ns_ = now;
  reader_.post([weak = weak_from_this(), &loop = loop_, profile = profile_]() mutable {
    auto credentials = ClientCredentials::read(profile);
    loop.post([weak = std::move(weak), credentials = std::move(credentials)]() mutable {
      const auto self = weak.lock();
      if (self && credentials) self->credentials_ = std::move(*credentials);
    });
  });
}

std::string IntrospectionUpstream::complaint() const {
  const std::string keys = keys_ ? keys_->complaint() : std::string();
  if (health_ == Health::kCredentialsRefused || health_ == Health::kFailed) return "cannot learn about its tokens: " + last_error_;
  return keys;
}

std::string IntrospectionUpstream::state_json() const {
  const std::int64_t now = clock_.boot_ns();
  const auto age_s = [&](std::int64_t since_ns) { return std::max<std::int64_t>(now - since_ns, 0) / kNsPerSecond; };
  constexpr std::array<std::string_view, 4> kHealth{"unasked", "good", "failed", "credentials refused"};
  json::object state;
  state["state"] = kHealth[static_cast<std::size_t>(health_)];
  state["url"] = profile_.introspection_url;
  state["client_id"] = profile_.client_id;
  state["client_auth"] = client_auth_name(profile_.client_auth);
  state["questions"] = counters_.questions;
  state["in_flight"] = in_flight_;
  state["active"] = counters_.active;
  state["refused"] = counters_.refused;
  state["failures"] = counters_.failures;
  state["credentials_refused"] = counters_.credentials_refused;
  if (counters_.active + counters_.refused > 0) state["last_answer_age_s"] = age_s(answered_ns_);
  const bool failing = health_ == Health::kFailed || health_ == Health::kCredentialsRefused;
  state["error"] = failing ? last_error_ : "";
  if (counters_.failures > 0) {
    state["last_error"] = last_error_;
    state["last_error_age_s"] = age_s(failed_ns_);
  }
  json::error_code unreadable;
  const auto http = json::parse(client_->state_json(), unreadable);
  if (!unreadable) state["http"] = http;
  if (keys_) state["key_set"] = json::parse(keys_->state_json());
  return json::serialize(state);
}

}  // namespace authcached
