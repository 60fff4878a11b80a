// B4, P4: what a process without the daemon's uid can do to the table. In the group: read it. Outside:
// nothing.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "shm/layout.hpp"
#include "tests/process/support/raw_connection.hpp"
#include "tests/protection/support/guarded_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;
namespace wire = authcache::shm::wire;
using authcache::shm::UniqueFd;

constexpr std::size_t kSomeBytes = 64 * 1024;

// As an application has it after open: a descriptor and a mapping for reading.
struct Mapped {
  UniqueFd fd;
  void* data;

  explicit Mapped(const fs::path& table)
      : fd(::open(table.c_str(), O_RDONLY | O_CLOEXEC)),
        data(::mmap(nullptr, kSomeBytes, PROT_READ, MAP_SHARED, fd.get(), 0)) {}
};

std::string write_through_the_descriptor(const fs::path& table) {
  const Mapped mapped(table);
  if (mapped.data == MAP_FAILED) return "a member cannot map the table";
  Forbidden forbidden;
  const int fd = mapped.fd.get();
  forbidden.expect("write", ::pwrite(fd, "x", 1, 0), {EBADF});
  forbidden.expect("ftruncate", ::ftruncate(fd, 0), {EINVAL, EBADF});
  forbidden.expect("fallocate", ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4'096),
                   {EBADF});
  void* const writable = ::mmap(nullptr, kSomeBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  forbidden.expect("a writable mapping", writable == MAP_FAILED ? -1 : 0, {EACCES});
  forbidden.expect("mprotect", ::mprotect(mapped.data, kSomeBytes, PROT_READ | PROT_WRITE), {EACCES});
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  forbidden.expect("reopening the descriptor", ::open(self.c_str(), O_RDWR | O_CLOEXEC), {EACCES});
  forbidden.expect("truncating through the descriptor", ::truncate(self.c_str(), 0), {EACCES});
  char range[64];
  const auto at = reinterpret_cast<std::uintptr_t>(mapped.data);
  std::snprintf(range, sizeof range, "/proc/self/map_files/%lx-%lx", at, at + kSomeBytes);
  forbidden.expect("reopening the mapping", ::open(range, O_RDWR | O_CLOEXEC), {EACCES, EPERM});
  const UniqueFd own_memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  if (!own_memory) return "a process cannot open its own memory";
  // The kernel may let a process force its way into a private copy of its own, never into the shared page.
  const ssize_t forced = ::pwrite(own_memory.get(), "x", 1, static_cast<off_t>(at));
  if (forced == 1 && ::pread(fd, range, 1, 0) == 1 && range[0] == 'x') return "forced through /proc/self/mem";
  forbidden.expect("MADV_REMOVE", ::madvise(mapped.data, kSomeBytes, MADV_REMOVE), {EACCES, EINVAL});
  return forbidden.text();
}

std::string write_through_the_name(const fs::path& table) {
  Forbidden forbidden;
  const fs::path directory = table.parent_path();
  forbidden.expect("open for writing", ::open(table.c_str(), O_RDWR | O_CLOEXEC), {EACCES});
  forbidden.expect("open for truncation", ::open(table.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC), {EACCES});
  forbidden.expect("truncate", ::truncate(table.c_str(), 0), {EACCES});
  forbidden.expect("chmod", ::chmod(table.c_str(), 0666), {EPERM, EACCES});
  forbidden.expect("chown", ::chown(table.c_str(), ::geteuid(), ::getegid()), {EPERM, EACCES});
  forbidden.expect("unlink", ::unlink(table.c_str()), {EACCES});
  forbidden.expect("rename", ::rename(table.c_str(), (directory / "mine").c_str()), {EACCES});
  forbidden.expect("create", ::open((directory / "mine").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600),
                   {EACCES});
  forbidden.expect("a file without a name", ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
                   {EACCES});
  forbidden.expect("symlink", ::symlink("/dev/null", (directory / "mine").c_str()), {EACCES});
  forbidden.expect("mkdir", ::mkdir((directory / "mine").c_str(), 0700), {EACCES});
  forbidden.expect("chmod of the directory", ::chmod(directory.c_str(), 0777), {EPERM});
  forbidden.expect("the lock file", ::open((directory / "lock").c_str(), O_RDONLY | O_CLOEXEC), {EACCES});
  return forbidden.text();
}

std::string reach_into(pid_t daemon) {
  Forbidden forbidden;
  const std::string proc = "/proc/" + std::to_string(daemon);
  for (const char* name : {"/fd", "/map_files", "/environ", "/maps", "/mem", "/auxv", "/io"}) {
    const int opened = ::open((proc + name).c_str(), O_RDONLY | O_CLOEXEC);
    char byte = 0;
    // Some of these open and then show nothing.
    const long read = opened < 0 ? -1 : ::read(opened, &byte, 1) > 0 ? 1 : (errno = EACCES, -1);
    forbidden.expect(proc + name, read, {EACCES, EPERM});
  }
  forbidden.expect("ptrace", ::ptrace(PTRACE_SEIZE, daemon, 0, 0), {EPERM});
  char byte = 0;
  const iovec local{&byte, 1}, remote{reinterpret_cast<void*>(0x400000), 1};
  forbidden.expect("process_vm_readv", ::process_vm_readv(daemon, &local, 1, &remote, 1, 0), {EPERM});
  forbidden.expect("process_vm_writev", ::process_vm_writev(daemon, &local, 1, &remote, 1, 0), {EPERM});
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, daemon, 0)));
  forbidden.expect("taking a descriptor", ::syscall(SYS_pidfd_getfd, handle.get(), 3, 0), {EPERM});
  forbidden.expect("kill", ::kill(daemon, SIGSTOP), {EPERM});
  return forbidden.text();
}

class Mapping : public ::testing::Test {
 protected:
  void SetUp() override {
    AUTHCACHE_NEEDS_ROOT();
    scene_.emplace();
    scene_->start();
    token_ = scene_->create_session();
  }
  // Nothing of what was tried did any harm.
  void TearDown() override {
    if (!scene_) return;
    EXPECT_TRUE(scene_->daemon.running());
    std::uint64_t magic = 0;
    const UniqueFd fd(::open(scene_->daemon.table().c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::pread(fd.get(), &magic, sizeof magic, 0), static_cast<ssize_t>(sizeof magic));
    EXPECT_EQ(magic, authcache::shm::kMagic);
    EXPECT_EQ(scene_->ask_as(kMember, session(token_)), "valid");
  }

  [[nodiscard]] fs::path table() const { return scene_->daemon.table(); }

  std::optional<GuardedScene> scene_;
  std::string token_;
};

TEST_F(Mapping, B4_AMemberReadsAndCannotWriteThroughWhatItHasOpen) {
  EXPECT_EQ(scene_->ask_as(kMember, session(token_)), "valid");
  EXPECT_EQ(as_user(kMember, [&] { return write_through_the_descriptor(table()); }), "");
}

TEST_F(Mapping, B4_AMemberCannotWriteReplaceOrRemoveByName) {
  EXPECT_EQ(as_user(kMember, [&] { return write_through_the_name(table()); }), "");
}

TEST_F(Mapping, B4_B16_NeitherAMemberNorAStrangerReachesIntoTheDaemon) {
  const pid_t daemon = scene_->daemon.pid();
  EXPECT_EQ(as_user(kMember, [&] { return reach_into(daemon); }), "");
  EXPECT_EQ(as_user(kStranger, [&] { return reach_into(daemon); }), "");
}

// The same uid is trusted with every answer, and still may not look into the daemon by accident.
TEST_F(Mapping, B16_AnotherProcessOfTheDaemonsUserCannotTraceIt) {
  const pid_t daemon = scene_->daemon.pid();
  const std::string tried = as_user({kDaemonUid, kTableGroup}, [&] {
    Forbidden forbidden;
    forbidden.expect("ptrace", ::ptrace(PTRACE_SEIZE, daemon, 0, 0), {EPERM});
    const std::string memory = "/proc/" + std::to_string(daemon) + "/mem";
    forbidden.expect("mem", ::open(memory.c_str(), O_RDONLY | O_CLOEXEC), {EACCES, EPERM});
    return forbidden.text();
  });
  EXPECT_EQ(tried, "");
}

TEST_F(Mapping, B4_OutsideTheGroupNothingCanBeOpened) {
  const std::string tried = as_user(kStranger, [&] {
    Forbidden forbidden;
    forbidden.expect("open", ::open(table().c_str(), O_RDONLY | O_CLOEXEC), {EACCES});
    forbidden.expect("list", ::open(table().parent_path().c_str(), O_RDONLY | O_CLOEXEC), {EACCES});
    struct stat inode;
    forbidden.expect("stat", ::stat(table().c_str(), &inode), {EACCES});
    forbidden.expect("state", ::open(scene_->state_db().c_str(), O_RDONLY | O_CLOEXEC), {EACCES});
    if (RawConnection(scene_->miss_socket()).connected()) return std::string("connects to the miss socket");
    if (RawConnection(scene_->control_socket()).connected())
      return std::string("connects to the control socket");
    return forbidden.text();
  });
  EXPECT_EQ(tried, "");
  EXPECT_FALSE(scene_->ask_as(kStranger, session(token_)).starts_with("valid"));
  EXPECT_EQ(as_user(kMember,
                    [&] {
                      return std::string(::open(scene_->state_db().c_str(), O_RDONLY | O_CLOEXEC) < 0
                                             ? ""
                                             : "state.db is readable");
                    }),
            "");
}

// A mapping that a child inherits is as read-only as its parent's.
TEST_F(Mapping, B4_AMappingThatIsInheritedStaysReadOnly) {
  const Mapped ours(table());  // root's, for reading
  ASSERT_NE(ours.data, MAP_FAILED);
  EXPECT_EQ(as_user(kStranger,
                    [&] {
                      Forbidden forbidden;
                      forbidden.expect("mprotect", ::mprotect(ours.data, kSomeBytes, PROT_READ | PROT_WRITE),
                                       {EACCES});
                      const std::string self = "/proc/self/fd/" + std::to_string(ours.fd.get());
                      forbidden.expect("reopen", ::open(self.c_str(), O_RDWR | O_CLOEXEC), {EACCES});
                      forbidden.expect("write", ::pwrite(ours.fd.get(), "x", 1, 0), {EBADF});
                      return forbidden.text();
                    }),
            "");
}

UniqueFd receive_recency(const fs::path& socket, wire::HelloReply& hello) {
  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return {};
  std::string frame;
  wire::append_hello(frame, 1);
  if (::send(connection.get(), frame.data(), frame.size(), MSG_NOSIGNAL) < 0) return {};
  char bytes[256];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (got < static_cast<ssize_t>(wire::kHeadBytes) || header == nullptr) return {};
  const auto reply =
      wire::decode_hello_reply({bytes + wire::kHeadBytes, static_cast<std::size_t>(got) - wire::kHeadBytes});
  if (reply) hello = *reply;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

// D9: the one file that clients write.
TEST_F(Mapping, B3_B4_TheRecencyBytesCanBeScribbledOnAndNotResized) {
  const std::string tried = as_user(kMember, [&]() -> std::string {
    wire::HelloReply hello;
    const UniqueFd fd = receive_recency(scene_->miss_socket(), hello);
    if (!fd) return "no recency bytes";
    Forbidden forbidden;
    forbidden.expect("shrink", ::ftruncate(fd.get(), 0), {EPERM});
    forbidden.expect("grow", ::ftruncate(fd.get(), 1 << 30), {EPERM});
    forbidden.expect("another seal", ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), {EPERM});
    void* const bytes = ::mmap(nullptr, hello.recency_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (bytes == MAP_FAILED) return "no mapping";
    std::memset(bytes, 0xff, hello.recency_bytes);
    return forbidden.text();
  });
  EXPECT_EQ(tried, "");
  // Everything is marked as used now: room is made all the same, and the good token stays good.
  (void)scene_->create_sessions(1'000);
  EXPECT_EQ(scene_->ask_as(kMember, session(token_)), "valid");
}

}  // namespace
}  // namespace authcache_test
