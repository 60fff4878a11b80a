// Acts under another uid, in a child that gives up everything of ours first. Needs root. The child is forked
// without exec: make it before a test has threads. One thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace authcache_test {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};
};

// The cast of the protection tests. No account has these numbers; the daemon's user is not root there, as in
// its unit.
inline constexpr uid_t kDaemonUid = 64'901;
inline constexpr gid_t kTableGroup = 64'902;
inline constexpr gid_t kOwnGroup = 64'903;  // of everybody but the daemon
inline const User kMember{64'904, kOwnGroup, {kTableGroup}};
inline const User kOtherMember{64'905, kOwnGroup, {kTableGroup}};
inline const User kStranger{64'906, kOwnGroup, {}};
inline const User kNobody{65'534, kOwnGroup, {kTableGroup}};  // what a foreign user namespace shows

// What act returns, or "threw: ..." or "ended by signal N".
[[nodiscard]] std::string as_user(const User& user, const std::function<std::string()>& act);
// The same in a child of ours that stays who we are.
[[nodiscard]] std::string in_child(const std::function<std::string()>& act);

// Attempts that must fail. text() is empty if all did, else names those that did not.
class Forbidden {
 public:
  // result is what the call returned; errno must still be the call's. among: the errors that count, 0 ends
  // the list.
  void expect(std::string_view what, long result, std::initializer_list<int> among);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace authcache_test
