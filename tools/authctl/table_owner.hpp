// Whose table files are trusted beside root's and this user's own: the owner of the runtime directory, which
// whoever runs authctl named, or which root made. The control socket's peer is judged by the same rule.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>

namespace authctl {

// -1, which names nobody, if the directory can't be looked at.
[[nodiscard]] inline uid_t table_owner(const std::filesystem::path& runtime_dir) {
  struct stat inode {};
  return ::stat(runtime_dir.c_str(), &inode) == 0 ? inode.st_uid : static_cast<uid_t>(-1);
}

}  // namespace authctl
