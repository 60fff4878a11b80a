// What a store of sessions can be asked beside "what of this token": which sessions will be asked about. A
// cold table is filled from it. Only a store that keeps the digests of its tokens has it, since a record's
// name is made of the token itself.
//
// Loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "daemon/base/proof.hpp"
#include "shm/digest.hpp"
#include "shm/result.hpp"

namespace authcached {

// A session that its store names without the token.
struct NamedSession {
  authcache::shm::Digest digest;  // of the token within the profile
  Sha256 token;                   // SHA-256 of its bytes
  Proof proof;                    // valid: what a question would be answered
};

struct RecentQuery {
  static constexpr std::uint64_t kFromTheLatest = UINT64_MAX;
  std::uint64_t before = kFromTheLatest;  // RecentSessions::before of the answer that this one follows
  std::size_t at_most = 0;                // rows looked at, good ones or not
  std::int64_t created_from_wall_ns = 0;  // older ones end the list
};

struct RecentSessions {
  std::vector<NamedSession> sessions;  // good ones, the latest made first
  std::uint64_t before = 0;            // where the next ones are asked for; 0: there are no more
};

class SessionLister {
 public:
  using Listed = std::move_only_function<void(authcache::shm::Result<RecentSessions>)>;

  // listed is called once, on the loop, never from within.
  virtual void list_recent(const RecentQuery& query, Listed listed) = 0;

 protected:
  ~SessionLister() = default;
};

}  // namespace authcached
