// check_environment: what only the machine can tell about a configuration. Each fault names the path or group
// and the command or change that cures it. Everything here is advice given early: the places that open these
// files check again.
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

#include "daemon/base/client_key.hpp"
#include "daemon/base/config.hpp"
#include "daemon/base/pem_certificates.hpp"
#include "daemon/base/secret_file.hpp"

namespace authcached {
namespace {

using std::filesystem::path;

constexpr std::size_t kGroupRecordBytesMax = 1
                                             << 20;  // a directory service's group with thousands of members

class EnvironmentCheck {
 public:
  explicit EnvironmentCheck(std::vector<ConfigFault>& faults) : faults_(faults) {}

  void group(std::string_view key, const std::string& name);
  void directory(std::string_view key, const path& directory);
  void readable_file(const std::string& key, const path& file);
  void writable_database(const std::string& key, const path& file);
  void table_room(const path& runtime_dir, const TableConfig& table);
  void certificates(const std::string& key, const path& file);
  void client_secret(const std::string& key, const path& file);
  void private_key(const std::string& key, const ProfileConfig& profile);

 private:
  void fail(std::string message, std::string remedy) {
    faults_.push_back({0, std::move(message), std::move(remedy)});
  }
  void existing_directory(const std::string& what, const path& directory, const struct stat& found);

  std::vector<ConfigFault>& faults_;
};

bool may(const path& file, int mode) { return ::faccessat(AT_FDCWD, file.c_str(), mode, AT_EACCESS) == 0; }

std::string reason() { return std::strerror(errno); }

// The directory itself, or where it would be created.
path nearest_existing(path directory) {
  struct stat found {};
  while (::stat(directory.c_str(), &found) != 0 && directory.has_relative_path()) {
    directory = directory.has_filename() ? directory.parent_path() : directory.parent_path().parent_path();
  }
  return directory;
}

void EnvironmentCheck::group(std::string_view key, const std::string& name) {
  if (name.empty()) return;
  std::vector<char> buffer(4'096);
  struct group record {};
  struct group* found = nullptr;
  int error = 0;
  while ((error = ::getgrnam_r(name.c_str(), &record, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < kGroupRecordBytesMax) {
    buffer.resize(buffer.size() * 2);
  }
  if (found != nullptr) return;
  const std::string why =
      error == 0 ? "does not exist" : std::string("cannot be looked up: ") + std::strerror(error);
  fail(std::string(key) + ": the group " + name + " " + why, "run systemd-sysusers or groupadd --system " +
                                                                 name + ", or write " + std::string(key) +
                                                                 " = \"\" for the daemon's own group");
}

void EnvironmentCheck::existing_directory(const std::string& what, const path& directory,
                                          const struct stat& found) {
  if (!S_ISDIR(found.st_mode)) return fail(what + " is not a directory", "remove it or name another path");
  // Checked by root, the directory may well be the daemon user's already.
  if (::geteuid() != 0 && found.st_uid != ::geteuid() && found.st_uid != 0) {
    return fail(what + " belongs to uid " + std::to_string(found.st_uid),
                "chown it to the daemon's user, or remove it: its owner could replace everything in it");
  }
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    fail(what + " can be written by its group or by everyone", "run chmod go-w " + directory.string());
  }
  if (!may(directory, W_OK | X_OK)) {
    fail(what + " cannot be written: " + reason(), "chown it to the daemon's user");
  }
}

void EnvironmentCheck::directory(std::string_view key, const path& directory) {
  const std::string what = std::string(key) + ": " + directory.string();
  struct stat found {};
  if (::stat(directory.c_str(), &found) == 0) return existing_directory(what, directory, found);
  if (errno != ENOENT)
    return fail(what + " cannot be reached: " + reason(), "correct the path or its permissions");
  const path parent = nearest_existing(directory);
  if (::stat(parent.c_str(), &found) == 0 && !S_ISDIR(found.st_mode)) {
    return fail(what + " cannot be created: " + parent.string() + " is not a directory", "name another path");
  }
  if (may(parent, W_OK | X_OK)) return;
  fail(what + " is missing and cannot be created in " + parent.string() + ": " + reason(),
       "create it for the daemon's user: install -d -m 0750 -o USER " + directory.string() +
           " (the systemd unit does)");
}

void EnvironmentCheck::readable_file(const std::string& key, const path& file) {
  const std::string what = key + ": " + file.string();
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0)
    return fail(what + " cannot be read: " + reason(), "correct the path");
  if (!S_ISREG(found.st_mode)) return fail(what + " is not a regular file", "name a regular file");
  if (!may(file, R_OK)) {
    return fail(what + " cannot be read: " + reason(),
                "let the daemon's user read it, by chown, chgrp or setfacl");
  }
  if ((found.st_mode & S_IWOTH) != 0) {
    fail(what + " can be written by everyone, who could then mint tokens", "run chmod o-w " + file.string());
  }
}

void EnvironmentCheck::writable_database(const std::string& key, const path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) == 0) {
    readable_file(key, file);
    if (S_ISREG(found.st_mode) && !may(file, W_OK)) {
      fail(key + ": " + file.string() + " cannot be written: " + reason(), "chown it to the daemon's user");
    }
  }
  directory(key, file.parent_path());
}

void EnvironmentCheck::certificates(const std::string& key, const path& file) {
  const std::size_t before = faults_.size();
  readable_file(key, file);
  if (faults_.size() > before) return;
  if (auto found = holds_certificates(file); !found) {
    fail(key + ": " + found.error().message, "name the file of the authority that signed the endpoint's certificate");
  }
}

void EnvironmentCheck::client_secret(const std::string& key, const path& file) {
  if (auto secret = read_client_secret(file); !secret) {
    fail(key + ": " + secret.error().message, "let the file hold the secret in one line, owned by the daemon's user, mode 0400");
  }
}

void EnvironmentCheck::private_key(const std::string& key, const ProfileConfig& profile) {
  if (auto made = ClientKey::read(profile.client_key_file, profile.client_key_algorithm); !made) {
    fail(key + ": " + made.error().message,
         "let the file hold the client's private key in PEM, owned by the daemon's user, mode 0400");
  }
}

// Bytes that table files of ours already hold there: a successor may count on them being given back.
std::uint64_t bytes_of_own_tables(const path& runtime_dir) {
  constexpr std::uint64_t kStatBlockBytes = 512;
  std::uint64_t bytes = 0;
  std::error_code error;
  std::filesystem::directory_iterator entry(runtime_dir, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    struct stat found {};
    if (!entry->path().filename().native().starts_with("table.")) continue;
    if (::lstat(entry->path().c_str(), &found) != 0 || !S_ISREG(found.st_mode)) continue;
    if (found.st_uid == ::geteuid()) bytes += static_cast<std::uint64_t>(found.st_blocks) * kStatBlockBytes;
  }
  return bytes;
}

// A tmpfs mounted with size=0 has no limit and reports no blocks at all.
std::uint64_t free_bytes(const struct statvfs& filesystem) {
  if (filesystem.f_blocks == 0) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(filesystem.f_bavail) * filesystem.f_frsize;
}

void EnvironmentCheck::table_room(const path& runtime_dir, const TableConfig& table) {
  const path place = nearest_existing(runtime_dir);
  struct statfs kind {};
  struct statvfs room {};
  if (::statfs(place.c_str(), &kind) != 0 || ::statvfs(place.c_str(), &room) != 0) {
    return fail("runtime_dir: the filesystem of " + place.string() + " cannot be asked: " + reason(),
                "correct the path or its permissions");
  }
  if (kind.f_type != TMPFS_MAGIC) {
    return fail(
        "runtime_dir: " + place.string() + " is not on tmpfs, so the table would be written to a disk",
        "use a directory on tmpfs: /run/authcache on most hosts, /dev/shm/authcache in containers");
  }
  const std::uint64_t needed =
      2 * table_bytes(table);  // at a replacement, the old file and the new one both stand
  const std::uint64_t free = free_bytes(room);
  const std::uint64_t owned = bytes_of_own_tables(runtime_dir);
  if (free >= needed || free + owned >= needed) return;
  fail("runtime_dir: two table files need " + std::to_string(needed) + " bytes and " + place.string() +
           " has " + std::to_string(free + owned) + " for them",
       "lower table.capacity or table.text_bytes_per_record, or enlarge the filesystem: mount -o "
       "remount,size=... its "
       "mount point, or docker's --shm-size for /dev/shm");
}

void check_profile(EnvironmentCheck& check, const ProfileConfig& profile) {
  const std::string prefix = "profile." + profile.name + ".";
  if (profile.key_source() == KeySource::kFile) check.readable_file(prefix + "jwks_file", profile.jwks_file);
  if (!profile.ca_file.empty()) check.certificates(prefix + "ca_file", profile.ca_file);
  if (profile.upstream == UpstreamKind::kIntrospection) {
    if (profile.client_auth == ClientAuth::kPrivateKeyJwt) {
      check.private_key(prefix + "client_key_file", profile);
    } else {
      check.client_secret(prefix + "client_secret_file", profile.client_secret_file);
    }
  }
  if (!profile.password_file.empty()) check.client_secret(prefix + "password_file", profile.password_file);
  if (!profile.redis.password_file.empty()) check.client_secret(prefix + "password_file", profile.redis.password_file);
  if (profile.upstream != UpstreamKind::kSqlite) return;
  if (!profile.query.empty()) {
    check.readable_file(prefix + "database", profile.database);
  } else if (!profile.database.empty()) {
    check.writable_database(prefix + "database", profile.database);
  }
}

}  // namespace

void check_environment(const Config& config, std::vector<ConfigFault>& faults) {
  EnvironmentCheck check(faults);
  check.group("group", config.group);
  check.group("admin_group", config.admin_group);
  check.directory("runtime_dir", config.runtime_dir);
  check.directory("state_dir", config.state_dir);
  check.table_room(config.runtime_dir, config.table);
  if (config.http.group) check.group("http.group", *config.http.group);
  if (!config.http.socket.empty() && config.http.socket.parent_path() != config.runtime_dir) check.directory("http.listen", config.http.socket.parent_path());
  for (const HttpClientConfig& client : config.http.clients) check.readable_file("http.client." + client.name + ".secret_file", client.secret_file);
  for (const ProfileConfig& profile : config.profiles) check_profile(check, profile);
  if (!config.fleet.is_on()) return;
  if (!config.fleet.ca_file.empty()) check.certificates("fleet.ca_file", config.fleet.ca_file);
  if (!config.fleet.redis.password_file.empty()) check.client_secret("fleet.password_file", config.fleet.redis.password_file);
  check.client_secret("fleet.key_file", config.fleet.key_file);
}

}  // namespace authcached
