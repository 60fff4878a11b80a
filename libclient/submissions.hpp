// A client's submitted questions across fork: see per_process.hpp. A child begins without questions, and asks
// its own over its own connection.
#pragma once

#include "libclient/per_process.hpp"
#include "libclient/submission_set.hpp"

namespace authcache::client {

using Submissions = PerProcess<SubmissionSet>;

}  // namespace authcache::client
