#include "daemon/base/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "shm/unique_fd.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

shm::Result<void> judge(const std::string& file, const struct stat& inode) {
  const auto refuse = [&](const std::string& what) { return shm::fail(shm::ErrorCode::kRefused, file + " " + what); };
  if (!S_ISREG(inode.st_mode)) return refuse("is not a regular file");
  if (inode.st_uid != 0 && inode.st_uid != ::geteuid()) {
    return refuse("belongs to uid " + std::to_string(inode.st_uid) + "; chown it to the daemon's user");
  }
  if ((inode.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
    return refuse("can be read by everyone, or written by others than its owner; run chmod 0400 on it");
  }
  if (static_cast<std::uint64_t>(inode.st_size) > kSecretFileBytesMax) {
    return refuse("is longer than " + std::to_string(kSecretFileBytesMax) + " bytes; is it the right file?");
  }
  return {};
}

}  // namespace

shm::Result<SecretText> read_secret_file(const std::filesystem::path& file) {
  const std::string& name = file.native();
  const shm::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return shm::system_error(name + " cannot be opened", errno);
  struct stat inode;
  if (::fstat(fd.get(), &inode) != 0) return shm::system_error(name + " cannot be looked at", errno);
  if (auto sound = judge(name, inode); !sound) return std::unexpected(sound.error());
  std::string text(kSecretFileBytesMax, '\0');  // never grows: growing would leave a copy behind
  std::size_t used = 0;
  for (ssize_t got = 1; got > 0 && used < text.size(); used += static_cast<std::size_t>(got)) {
    got = ::read(fd.get(), text.data() + used, text.size() - used);
    if (got < 0) {
      const int error = errno;
      OPENSSL_cleanse(text.data(), text.size());
      return shm::system_error(name + " cannot be read", error);
    }
  }
  text.resize(used);
  SecretText secret(std::move(text));
  if (secret.empty()) return shm::fail(shm::ErrorCode::kRefused, name + " is empty");
  return secret;
}

shm::Result<SecretText> read_client_secret(const std::filesystem::path& file) {
  auto whole = read_secret_file(file);
  if (!whole) return whole;
  std::string_view text = whole->view();
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  const bool sound = !text.empty() && std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!sound) {
    return shm::fail(shm::ErrorCode::kRefused,
                     file.native() + " is no secret in one line; write the secret and nothing else into it");
  }
  return SecretText(std::string(text));
}

}  // namespace authcached
