#include "tools/authctl/token_input.hpp"

#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ostream>
#include <utility>

#include "tools/authctl/printable.hpp"

namespace authctl {
namespace {

void wipe(std::string& text) { ::explicit_bzero(text.data(), text.size()); }

constexpr char kEndOfInput = 4;  // Ctrl-D
constexpr char kDelete = 127;
constexpr char kBackspace = 8;

}  // namespace

// No echo, and no line editing by the kernel either: its line buffer ends at 4095 bytes, so that a longer
// token that is pasted would arrive cut, and another token would be judged or revoked than the one that was
// meant.
class TokenInput::SilentTerminal {
 public:
  static std::unique_ptr<SilentTerminal> silence(int fd) {
    termios before{};
    if (::tcgetattr(fd, &before) != 0) return nullptr;
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
    silent.c_cc[VMIN] = 1;
    silent.c_cc[VTIME] = 0;
    // Not TCSAFLUSH: what was pasted before the prompt appeared is meant.
    if (::tcsetattr(fd, TCSADRAIN, &silent) != 0) return nullptr;
    return std::unique_ptr<SilentTerminal>(new SilentTerminal(fd, before));
  }
  ~SilentTerminal() { ::tcsetattr(fd_, TCSADRAIN, &before_); }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  SilentTerminal(int fd, const termios& before) : fd_(fd), before_(before) {}
  int fd_;
  termios before_;
};

SecretText::~SecretText() { wipe(text_); }

TokenInput::TokenInput(int fd, std::ostream& prompt)
    : fd_(fd), prompt_(&prompt), terminal_(SilentTerminal::silence(fd)) {}

TokenInput::~TokenInput() { wipe(buffer_); }

void TokenInput::append_typed(std::string_view bytes) {
  for (const char byte : bytes) {
    if (byte == kEndOfInput) {
      ended_ = true;
    } else if (byte == kDelete || byte == kBackspace) {
      if (!buffer_.empty() && buffer_.back() != '\n') buffer_.pop_back();
    } else {
      buffer_.push_back(byte);
    }
  }
}

Outcome<void> TokenInput::fill() {
  std::array<char, 4096> bytes{};
  ssize_t got = 0;
  do {
    got = ::read(fd_, bytes.data(), bytes.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    return failure(Exit::kFailed,
                   std::string("cannot read a token from standard input: ") + std::strerror(errno));
  }
  if (got == 0) ended_ = true;
  // Reserved once: a buffer that grows by itself leaves copies behind.
  buffer_.reserve(kTokenLineMax + bytes.size());
  const std::string_view read(bytes.data(), static_cast<std::size_t>(got));
  if (terminal_) {
    append_typed(read);
  } else {
    buffer_.append(read);
  }
  ::explicit_bzero(bytes.data(), bytes.size());
  return {};
}

Outcome<std::optional<SecretText>> TokenInput::next() {
  if (terminal_ && buffer_.empty() && !ended_) *prompt_ << "token: " << std::flush;
  while (true) {
    const std::size_t end = buffer_.find('\n');
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      SecretText line(buffer_.substr(0, end));
      if (terminal_) *prompt_ << std::endl;  // the newline that was typed was not shown either
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      return line;
    }
    if (ended_) return std::nullopt;
    if (buffer_.size() >= kTokenLineMax) {
      return failure(Exit::kUsage, "a line on standard input is longer than any token can be (" +
                                       std::to_string(kTokenLineMax) + " bytes)");
    }
    if (const auto filled = fill(); !filled) return std::unexpected(filled.error());
  }
}

Outcome<SecretText> read_token(int fd, std::ostream& prompt) {
  TokenInput input(fd, prompt);
  auto line = input.next();
  if (!line) return std::unexpected(line.error());
  if (!*line || (*line)->text().empty())
    return failure(Exit::kUsage, "no token on standard input; write it there as one line");
  return std::move(**line);
}

Outcome<SecretText> read_text_token(int fd, std::ostream& prompt) {
  auto token = read_token(fd, prompt);
  if (token && !is_utf8(token->text())) {
    return failure(Exit::kUsage,
                   "the token on standard input holds bytes that are not text; no bearer token does");
  }
  return token;
}

}  // namespace authctl
