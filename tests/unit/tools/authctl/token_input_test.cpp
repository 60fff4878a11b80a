#include "tools/authctl/token_input.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <sstream>
#include <thread>
#include <vector>

#include "shm/unique_fd.hpp"

namespace authctl {
namespace {

using authcache::shm::UniqueFd;

// A pipe that holds this text and is closed behind it.
class Piped {
 public:
  explicit Piped(std::string text) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    read_.reset(ends[0]);
    writer_ = std::thread([text = std::move(text), end = ends[1]] {
      EXPECT_EQ(::write(end, text.data(), text.size()), static_cast<ssize_t>(text.size()));
      ::close(end);
    });
  }
  ~Piped() {
    char rest[4096];
    while (::read(read_.get(), rest, sizeof rest) > 0) {
    }
    writer_.join();
  }
  [[nodiscard]] int fd() const { return read_.get(); }

 private:
  UniqueFd read_;
  std::thread writer_;
};

std::vector<std::string> lines_of(const std::string& text) {
  const Piped pipe(text);
  std::ostringstream prompt;
  TokenInput input(pipe.fd(), prompt);
  std::vector<std::string> lines;
  for (auto line = input.next(); line && *line; line = input.next()) lines.push_back((*line)->text());
  EXPECT_EQ(prompt.str(), "");
  return lines;
}

using Lines = std::vector<std::string>;

TEST(TokenInput, OneTokenALineWithoutItsNewline) {
  EXPECT_EQ(lines_of("one\ntwo\n"), (Lines{"one", "two"}));
  EXPECT_EQ(lines_of("one\ntwo"), (Lines{"one", "two"}));
  EXPECT_EQ(lines_of(""), Lines{});
  EXPECT_EQ(lines_of("one\n\ntwo\n"), (Lines{"one", "", "two"}));
}

TEST(TokenInput, EveryOtherByteBelongsToTheToken) {
  EXPECT_EQ(lines_of(" a \r\n"), (Lines{" a \r"}));
  EXPECT_EQ(lines_of(std::string("a\0b\x04\x7f\n", 6)), (Lines{std::string("a\0b\x04\x7f", 5)}));
}

TEST(TokenInput, ALongTokenComesWhole) {
  const std::string token(40'000, 't');
  EXPECT_EQ(lines_of(token + "\nnext\n"), (Lines{token, "next"}));
}

TEST(TokenInput, ALineThatNeverEndsIsRefused) {
  const Piped pipe(std::string(kTokenLineMax + 8192, 't'));
  std::ostringstream prompt;
  const auto token = read_token(pipe.fd(), prompt);
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().exit, Exit::kUsage);
}

TEST(TokenInput, NoTokenIsAUsageError) {
  for (const char* text : {"", "\n", "\ntoken\n"}) {
    const Piped pipe(text);
    std::ostringstream prompt;
    const auto token = read_token(pipe.fd(), prompt);
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().exit, Exit::kUsage);
  }
}

TEST(TokenInput, BytesThatJsonCannotCarryAreRefusedForRequestsAndNotRepeated) {
  const Piped pipe("secret\xff\n");
  std::ostringstream prompt;
  const auto token = read_text_token(pipe.fd(), prompt);
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().exit, Exit::kUsage);
  EXPECT_EQ(token.error().sentence.find("secret"), std::string::npos);
}

struct Terminal {
  UniqueFd master;
  UniqueFd slave;
};

Terminal open_terminal() {
  int master = -1;
  int slave = -1;
  EXPECT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  return {UniqueFd(master), UniqueFd(slave)};
}

void type(const Terminal& terminal, const std::string& text) {
  ASSERT_EQ(::write(terminal.master.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

// All that the terminal would show.
std::string shown(const Terminal& terminal) {
  std::string text;
  pollfd waiting{terminal.master.get(), POLLIN, 0};
  char bytes[4096];
  while (::poll(&waiting, 1, 0) > 0) {
    const ssize_t got = ::read(terminal.master.get(), bytes, sizeof bytes);
    if (got <= 0) break;
    text.append(bytes, static_cast<std::size_t>(got));
  }
  return text;
}

TEST(TokenInput, ATerminalIsPromptedAndDoesNotEcho) {
  const Terminal terminal = open_terminal();
  std::ostringstream prompt;
  {
    TokenInput input(terminal.slave.get(), prompt);
    type(terminal, "secret\n");
    const auto token = input.next();
    ASSERT_TRUE(token && *token);
    EXPECT_EQ((*token)->text(), "secret");
  }
  EXPECT_EQ(prompt.str(), "token: \n");
  EXPECT_EQ(shown(terminal), "");
  termios after{};
  ASSERT_EQ(::tcgetattr(terminal.slave.get(), &after), 0);
  EXPECT_TRUE((after.c_lflag & ECHO) != 0 && (after.c_lflag & ICANON) != 0);
}

TEST(TokenInput, ATokenLongerThanATerminalsLineIsNotCut) {
  const Terminal terminal = open_terminal();
  std::ostringstream prompt;
  TokenInput input(terminal.slave.get(), prompt);
  const std::string token(10'000, 't');
  std::thread typist([&] { type(terminal, token + "\n"); });
  const auto read = input.next();
  typist.join();
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->text(), token);
}

TEST(TokenInput, ATerminalUnderstandsDeleteAndEndOfInput) {
  const Terminal terminal = open_terminal();
  std::ostringstream prompt;
  TokenInput input(terminal.slave.get(), prompt);
  type(terminal,
       "ax\x7f"
       "b\n\x04");
  const auto token = input.next();
  ASSERT_TRUE(token && *token);
  EXPECT_EQ((*token)->text(), "ab");
  const auto end = input.next();
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->has_value());
}

}  // namespace
}  // namespace authctl
