// The answers of the HTTP face that are the same for everybody: challenges of RFC 6750 section 3, errors of
// RFC 6749 section 5.2. Pure. Nothing of a token or of a request is ever repeated in them.
#pragma once

#include <string_view>

#include "daemon/control/face/face_backend.hpp"
#include "daemon/io/http_answer.hpp"

namespace authcached {

// {"error": ..., "error_description": ...}; the description is a constant or of our own making, printable.
void answer_error(HttpAnswer& answer, int status, std::string_view error, std::string_view description);

void answer_no_credentials(HttpAnswer& answer);                             // 401 without an error code
void answer_bad_request(HttpAnswer& answer, std::string_view description);  // 400 invalid_request
void answer_unavailable(HttpAnswer& answer, std::string_view reason);       // 503: nobody can tell just now

// Every verdict but kValid.
void answer_refusal(HttpAnswer& answer, const Decision& decision, const FaceRequirement& requirement);

}  // namespace authcached
