// Told of every upstream question: who keeps tokens for asking again, and knows for how long a record may
// outlive an upstream that does not answer. Loop thread only.
#pragma once

#include <string>
#include <string_view>

#include "daemon/cache/admission.hpp"

namespace authcached {

struct Landing {
  const Profile& profile;
  const authcache::shm::Digest& digest;
  const Admitted& admitted;
  std::string& sealed;  // what departing() gave; may be taken
  std::int64_t took_ns = 0;
  bool refresh = false;
};

class FlightObserver {
 public:
  virtual ~FlightObserver() = default;
  // The token for asking again, sealed; empty if this profile needs none.
  [[nodiscard]] virtual std::string departing(const Profile& profile, const authcache::shm::Digest& digest,
                                              std::string_view token) = 0;
  // What came of it. Where nothing could be learnt: the record that counts for a while yet, if one may.
  virtual Places landed(const Landing& landing) = 0;
};

}  // namespace authcached
