// A scene as an installation has it: the daemon under a user of its own, its directories open to the table's
// group and nobody else. Root is needed to make it. One thread.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/process/support/scene.hpp"
#include "tests/protection/support/other_user.hpp"

namespace authcache_test {

// While it lives, every daemon that is started runs behind this command ("unshare --time", "setpriv --reuid
// 7").
class DaemonBehind {
 public:
  DaemonBehind(const DaemonProcess& daemon, const std::string& command);
  DaemonBehind(const DaemonBehind&) = delete;
  DaemonBehind& operator=(const DaemonBehind&) = delete;
  ~DaemonBehind();

 private:
  std::string program_;
};

struct GuardedScene : Scene {
  explicit GuardedScene(Settings chosen = {}, const std::string& further_groups = {});

  [[nodiscard]] std::filesystem::path miss_socket() const { return daemon.runtime_dir() / "authcached.sock"; }
  [[nodiscard]] std::filesystem::path control_socket() const { return daemon.runtime_dir() / "control.sock"; }
  // What the SDK answers that user; it trusts the daemon's uid.
  [[nodiscard]] std::string ask_as(const User& user, const Question& question) const;

 private:
  DaemonBehind behind_;
};

// The SDK as the calling process uses it: "valid", "invalid/expired", or the sentence for which open refused.
[[nodiscard]] std::string ask_sdk(const std::filesystem::path& runtime_dir, std::int64_t daemon_uid,
                                  const Question& question);

}  // namespace authcache_test

#define AUTHCACHE_NEEDS_ROOT() \
  if (::geteuid() != 0) GTEST_SKIP() << "other users and namespaces need root"
