// B19, P4: user namespaces. The numbers in them are not ours; whoever has none of ours is 65534, and nobody.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/process/support/raw_connection.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

bool user_namespaces_work() {
  return in_child([] { return std::string(::unshare(CLONE_NEWUSER) == 0 ? "yes" : "no"); }) == "yes";
}

#define AUTHCACHE_NEEDS_USER_NAMESPACES() \
  AUTHCACHE_NEEDS_ROOT();                 \
  if (!user_namespaces_work()) GTEST_SKIP() << "this kernel or container forbids user namespaces"

// As a unit with PrivateUsers=yes would have it: the daemon sees every other user as 65534, and serves none.
TEST(UserNamespace, B19_ADaemonInOneServesNobodyThatItCannotTellApart) {
  AUTHCACHE_NEEDS_USER_NAMESPACES();
  Scene scene;
  const DaemonBehind behind(scene.daemon, "unshare --user --map-root-user");
  scene.start();
  const std::string token = scene.issuer.es256();
  ReaderProcess other(scene.daemon.runtime_dir(), 12'345);
  const std::string answer = other.validate(api(token));
  EXPECT_TRUE(answer.starts_with("unavailable")) << answer;
  ReaderProcess root(scene.daemon.runtime_dir());
  EXPECT_EQ(root.validate(api(token)), "valid") << "uid 0 has a number there";
}

// An application in one without a number for itself: its own uid and the owner of any file read alike as
// 65534.
TEST(UserNamespace, B4_AClientThatCannotTellOwnersApartTrustsNone) {
  AUTHCACHE_NEEDS_USER_NAMESPACES();
  GuardedScene scene;
  scene.start();
  const std::string token = scene.create_session();
  const std::string answer = as_user(kMember, [&]() -> std::string {
    if (::unshare(CLONE_NEWUSER) != 0) return "cannot unshare";
    if (::geteuid() != kNobody.uid) return "has a number";
    return ask_sdk(scene.daemon.runtime_dir(), -1, session(token));
  });
  EXPECT_TRUE(answer.contains("owned by uid 65534")) << answer;
}

// Its connections are its outer user's, whatever it calls itself inside.
TEST(UserNamespace, B19_BeingRootInOneIsBeingNobodyElseOutside) {
  AUTHCACHE_NEEDS_USER_NAMESPACES();
  GuardedScene scene;
  scene.start();
  const std::string answer = as_user(kMember, [&]() -> std::string {
    const uid_t uid = ::geteuid();
    if (::unshare(CLONE_NEWUSER) != 0) return "cannot unshare";
    write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1\n");
    if (::geteuid() != 0) return "not root inside";
    Forbidden forbidden;
    // Capabilities in there say nothing about files out here.
    forbidden.expect("open for writing", ::open(scene.daemon.table().c_str(), O_RDWR | O_CLOEXEC), {EACCES});
    forbidden.expect("remount",
                     ::mount("none", scene.daemon.runtime_dir().c_str(), nullptr, MS_REMOUNT, nullptr),
                     {EPERM, EINVAL});
    forbidden.expect("memory",
                     ::open(("/proc/" + std::to_string(scene.daemon.pid()) + "/mem").c_str(), O_RDONLY),
                     {EACCES, EPERM});
    RawConnection control(scene.control_socket());
    const std::string text = R"({"verb":"flush"})";
    if (!control.send(raw_frame(static_cast<std::uint32_t>(text.size()), 1, 16, 1, text)) ||
        !control.receive())
      return "not served";
    return forbidden.text();
  });
  EXPECT_EQ(answer, "");
  EXPECT_TRUE(scene.daemon.logs("\"peer_uid\":" + std::to_string(kMember.uid))) << scene.daemon.log();
}

}  // namespace
}  // namespace authcache_test
