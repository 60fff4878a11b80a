// Secrets that the configuration names by their file: a client's password, a client's private key. What is read is
// overwritten when its holder goes, and never stands in an error. Reading blocks; any thread.
#pragma once

#include <openssl/crypto.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "shm/result.hpp"

namespace authcached {

// A text that is overwritten before its memory is given back. Moved, never copied.
class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string&& text) {
    text_.swap(text);
    wipe(text);
  }
  SecretText(SecretText&& other) noexcept { take(other); }
  SecretText& operator=(SecretText&& other) noexcept {
    if (this != &other) take(other);
    return *this;
  }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { wipe(text_); }

  [[nodiscard]] std::string_view view() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }

 private:
  // A short string moves by copying: its old place is overwritten as well.
  void take(SecretText& other) noexcept {
    wipe(text_);
    text_.swap(other.text_);
    wipe(other.text_);
  }
  static void wipe(std::string& text) noexcept {
    text.resize(text.capacity());  // what a shorter text left behind is part of it
    OPENSSL_cleanse(text.data(), text.size());
    text.clear();
  }
  std::string text_;
};

// An RSA key of 8192 bits in PEM has 6.4 KB; passwords have less.
inline constexpr std::size_t kSecretFileBytesMax = 16 * 1024;

// The whole file. Refused: not a regular file, owned by others than root and this user, readable by everyone, writable
// by group or everyone, longer than kSecretFileBytesMax. A symbolic link is followed, since mounted secrets are links;
// what it leads to is what is judged.
[[nodiscard]] authcache::shm::Result<SecretText> read_secret_file(const std::filesystem::path& file);

// A client's password: the file without the end of its last line. Refused if it is empty or holds control characters.
[[nodiscard]] authcache::shm::Result<SecretText> read_client_secret(const std::filesystem::path& file);

}  // namespace authcached
