#include "libclient/own_socket.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace {

using authcache::client::OwnSocket;

int make_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST(OwnSocket, ClosesWhatItTookOver) {
  const int fd = make_socket();
  {
    const OwnSocket socket(fd);
    EXPECT_TRUE(socket.is_ours());
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(OwnSocket, ANumberThatCameToMeanAnotherSocketIsNeitherOursNorClosed) {
  const int fd = make_socket(), other = make_socket();
  {
    const OwnSocket socket(fd);
    ASSERT_EQ(::dup2(other, fd), fd) << "the program closed it and took the number";
    EXPECT_FALSE(socket.is_ours());
  }
  EXPECT_TRUE(is_open(fd));
  ::close(fd);
  ::close(other);
}

TEST(OwnSocket, OneThatItsProgramClosedIsNotOurs) {
  const int fd = make_socket();
  const OwnSocket socket(fd);
  ::close(fd);
  EXPECT_FALSE(socket.is_ours());
}

TEST(OwnSocket, NoneIsNotOurs) {
  EXPECT_FALSE(OwnSocket().is_ours());
  EXPECT_FALSE(OwnSocket(-1).is_ours());
}

TEST(OwnSocket, AMoveTakesTheSocketAndItsNameAlong) {
  const int fd = make_socket();
  OwnSocket first(fd);
  OwnSocket second(std::move(first));
  EXPECT_EQ(first.get(), -1);  // NOLINT(bugprone-use-after-move): that it is empty is the promise
  EXPECT_TRUE(second.is_ours());
  OwnSocket third;
  third = std::move(second);
  EXPECT_EQ(third.get(), fd);
  EXPECT_TRUE(third.is_ours());
}

TEST(OwnSocket, AnAssignmentClosesTheOlderSocketOnce) {
  const int old_fd = make_socket(), new_fd = make_socket();
  OwnSocket kept(old_fd);
  {
    OwnSocket newer(new_fd);
    kept = std::move(newer);
  }
  EXPECT_FALSE(is_open(old_fd));
  EXPECT_TRUE(is_open(new_fd));
  EXPECT_TRUE(kept.is_ours());
}

}  // namespace
