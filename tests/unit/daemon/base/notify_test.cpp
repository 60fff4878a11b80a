// The service manager's side is a real datagram socket, at a path and in the abstract namespace.
#include "daemon/base/notify.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>

#include "shm/unique_fd.hpp"

namespace authcached {
namespace {

class Manager {
 public:
  explicit Manager(std::string address) : address_(std::move(address)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address_.data(), address_.size());
    if (address_[0] == '@') name.sun_path[0] = '\0';
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&name), length), 0)
        << std::strerror(errno);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() {
    if (address_[0] == '/') ::unlink(address_.c_str());
  }

  // The next datagram; "" if there is none. A datagram to a unix socket has arrived when sendto returns.
  std::string next() const {
    std::array<char, 4'096> buffer{};
    const ssize_t bytes = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    return bytes > 0 ? std::string(buffer.data(), static_cast<std::size_t>(bytes)) : "";
  }
  const std::string& address() const { return address_; }

 private:
  std::string address_;
  authcache::shm::UniqueFd socket_;
};

std::string unique_name() { return "authcache_notify_test." + std::to_string(::getpid()); }

TEST(ServiceNotifier, EachStateArrivesAtASocketInTheFileSystem) {
  const Manager manager((std::filesystem::temp_directory_path() / unique_name()).string());
  const ServiceNotifier notifier(manager.address());
  ASSERT_TRUE(notifier.ready());
  EXPECT_EQ(manager.next(), "READY=1");
  ASSERT_TRUE(notifier.stopping());
  EXPECT_EQ(manager.next(), "STOPPING=1");
}

TEST(ServiceNotifier, AnAbstractSocketIsReachedByItsExactName) {
  const Manager manager("@" + unique_name());
  ASSERT_TRUE(ServiceNotifier(manager.address()).ready());
  EXPECT_EQ(manager.next(), "READY=1");
  EXPECT_FALSE(ServiceNotifier(manager.address() + "x").ready());
}

TEST(ServiceNotifier, AReloadCarriesTheTimeThatItBegan) {
  const Manager manager("@" + unique_name());
  timespec before{};
  ASSERT_EQ(::clock_gettime(CLOCK_MONOTONIC, &before), 0);
  ASSERT_TRUE(ServiceNotifier(manager.address()).reloading());
  const std::string message = manager.next();
  const std::string opening = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(message.starts_with(opening)) << message;
  EXPECT_GE(std::stoll(message.substr(opening.size())), before.tv_sec * 1'000'000LL + before.tv_nsec / 1'000);
}

TEST(ServiceNotifier, StatusTextCannotBeginAnotherVariable) {
  const Manager manager("@" + unique_name());
  ASSERT_TRUE(ServiceNotifier(manager.address()).status("serving\nMAINPID=1\r\x1b[2J"));
  EXPECT_EQ(manager.next(), "STATUS=serving MAINPID=1  [2J");
  ASSERT_TRUE(ServiceNotifier(manager.address()).status(std::string(5'000, 'x')));
  EXPECT_LE(manager.next().size(), 600u);
}

TEST(ServiceNotifier, WithoutAManagerNothingIsDone) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(ServiceNotifier::from_environment().ready());
}

TEST(ServiceNotifier, TheEnvironmentNamesTheSocket) {
  const Manager manager("@" + unique_name());
  ASSERT_EQ(::setenv("NOTIFY_SOCKET", manager.address().c_str(), 1), 0);
  EXPECT_TRUE(ServiceNotifier::from_environment().ready());
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(manager.next(), "READY=1");
}

TEST(ServiceNotifier, AnAddressOfNoKnownKindIsAnErrorWithARemedy) {
  for (const std::string& address :
       {std::string("vsock:2:1"), std::string("run/notify"), "/" + std::string(200, 'x')}) {
    const auto sent = ServiceNotifier(address).ready();
    ASSERT_FALSE(sent) << address;
    EXPECT_EQ(sent.error().code, authcache::shm::ErrorCode::kUsage);
  }
}

TEST(ServiceNotifier, AManagerThatIsGoneIsAnError) {
  const auto sent = ServiceNotifier("@" + unique_name() + ".gone").ready();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, authcache::shm::ErrorCode::kSystem);
}

}  // namespace
}  // namespace authcached
