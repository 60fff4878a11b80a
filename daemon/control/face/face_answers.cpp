#include "daemon/control/face/face_answers.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

namespace {

// Upstreams that fail recover in seconds, and a proxy that asks again sooner only adds to their load.
constexpr std::string_view kRetryAfterSeconds = "1";

// For the proxy and its log; the challenge is for the client and says less.
void append_reason(HttpAnswer& answer, Reason reason) {
  append_field(answer, "X-Auth-Reason", shm::reason_name(reason));
}

std::string_view description_of(Reason reason) {
  switch (reason) {
    case Reason::kExpired: return "the token has expired";
    case Reason::kRevoked: return "the token was revoked";
    case Reason::kAudience: return "the token is for another audience";
    case Reason::kConfirmationRequired: return "the token is bound to a key that this request does not prove";
    default: return "the token is not good here";
  }
}

}  // namespace

void answer_error(HttpAnswer& answer, int status, std::string_view error, std::string_view description) {
  answer.status = status;
  answer.content_type = "application/json";
  answer.body = json::serialize(json::object{{"error", error}, {"error_description", description}});
}

void answer_no_credentials(HttpAnswer& answer) {
  answer.status = 401;
  append_field(answer, "WWW-Authenticate", "Bearer");
}

void answer_bad_request(HttpAnswer& answer, std::string_view description) {
  answer_error(answer, 400, "invalid_request", description);
  append_field(answer, "WWW-Authenticate", "Bearer error=\"invalid_request\"");
}

void answer_unavailable(HttpAnswer& answer, std::string_view reason) {
  answer.status = 503;
  append_field(answer, "Retry-After", kRetryAfterSeconds);
  append_field(answer, "X-Auth-Reason", reason);
}

void answer_refusal(HttpAnswer& answer, const Decision& decision, const FaceRequirement& requirement) {
  if (decision.verdict != Verdict::kInvalid && decision.verdict != Verdict::kForbidden)
    return answer_unavailable(answer, shm::reason_name(decision.reason));
  append_reason(answer, decision.reason);
  const bool wants_more =
      decision.verdict == Verdict::kForbidden && decision.reason != Reason::kConfirmationRequired;
  std::string challenge = "Bearer error=\"";
  if (wants_more) {
    answer.status = 403;
    challenge += "insufficient_scope\"";
    if (!requirement.scope_text.empty())
      challenge.append(", scope=\"").append(requirement.scope_text).append("\"");
  } else {
    answer.status = 401;
    challenge.append("invalid_token\", error_description=\"")
        .append(description_of(decision.reason))
        .append("\"");
  }
  append_field(answer, "WWW-Authenticate", challenge);
}

}  // namespace authcached
