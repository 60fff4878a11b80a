// Tokens from standard input, one a line: an argument would stand in every process list and in the shell's
// history. On a terminal, a prompt on standard error and no echo. One thread; one reader for a descriptor.
#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tools/authctl/exit_code.hpp"

namespace authctl {

// Four times what any token may have: a token that is too long is to be judged, not cut.
inline constexpr std::size_t kTokenLineMax = 64 * 1024;

// Overwrites its bytes when it goes.
class SecretText {
 public:
  explicit SecretText(std::string text) : text_(std::move(text)) {}
  SecretText(SecretText&&) = default;
  SecretText& operator=(SecretText&&) = default;
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText();
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class TokenInput {
 public:
  TokenInput(int fd, std::ostream& prompt);
  ~TokenInput();
  TokenInput(const TokenInput&) = delete;
  TokenInput& operator=(const TokenInput&) = delete;

  // The next line without its newline; nothing at the end. Every other byte belongs to the token.
  Outcome<std::optional<SecretText>> next();

 private:
  class SilentTerminal;
  Outcome<void> fill();
  void append_typed(std::string_view bytes);

  int fd_;
  std::ostream* prompt_;
  std::unique_ptr<SilentTerminal> terminal_;  // empty if the descriptor is none
  std::string buffer_;
  bool ended_ = false;
};

// The first line. An empty one is a usage error.
[[nodiscard]] Outcome<SecretText> read_token(int fd, std::ostream& prompt);

// The same for a request to the daemon, whose JSON can only carry text.
[[nodiscard]] Outcome<SecretText> read_text_token(int fd, std::ostream& prompt);

}  // namespace authctl
