#include "tests/protection/support/guarded_scene.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <stdexcept>

namespace authcache_test {

namespace fs = std::filesystem;

namespace {

constexpr const char* kVariable = "AUTHCACHE_TEST_AUTHCACHED";

std::string own_user(const std::string& further_groups) {
  const std::string groups = further_groups.empty() ? "--clear-groups" : "--groups " + further_groups;
  return "setpriv --reuid " + std::to_string(kDaemonUid) + " --regid " + std::to_string(kTableGroup) + " " +
         groups + " --pdeathsig KILL --";
}

void give(const fs::path& directory, mode_t mode) {
  fs::create_directory(directory);
  if (::chown(directory.c_str(), kDaemonUid, kTableGroup) != 0 || ::chmod(directory.c_str(), mode) != 0)
    throw std::runtime_error("cannot give " + directory.string() + " away");
}

}  // namespace

DaemonBehind::DaemonBehind(const DaemonProcess& daemon, const std::string& command)
    : program_(authcached_program()) {
  const fs::path script = daemon.scratch("behind");
  write_file(script, "#!/bin/sh\nexec " + command + " " + program_ + " \"$@\"\n");
  ::chmod(script.c_str(), 0755);
  ::setenv(kVariable, script.c_str(), 1);
}

DaemonBehind::~DaemonBehind() { ::setenv(kVariable, program_.c_str(), 1); }

GuardedScene::GuardedScene(Settings chosen, const std::string& further_groups)
    : Scene(std::move(chosen)), behind_(daemon, own_user(further_groups)) {
  // The way to them is everybody's; the directories themselves are the daemon's.
  ::chmod(daemon.state_dir().parent_path().c_str(), 0755);
  ::chmod(daemon.scratch("notices").c_str(), 0777);
  give(daemon.runtime_dir(), 0750);
  give(daemon.state_dir(), 0700);
}

std::string GuardedScene::ask_as(const User& user, const Question& question) const {
  return as_user(user, [&] { return ask_sdk(daemon.runtime_dir(), kDaemonUid, question); });
}

std::string ask_sdk(const fs::path& runtime_dir, std::int64_t daemon_uid, const Question& question) {
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.runtime_dir = runtime_dir.c_str();
  options.daemon_uid = daemon_uid;
  authcache_client* client = nullptr;
  if (authcache_open(&options, &client) != AUTHCACHE_OK) return authcache_last_error(nullptr);
  authcache_requirement* requirement = nullptr;
  if (authcache_requirement_create(client, question.profile.c_str(), &requirement) != AUTHCACHE_OK)
    return authcache_last_error(client);
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  const int verdict = authcache_validate(client, question.token.data(), question.token.size(), requirement,
                                         question.timeout_ms, &identity);
  const std::string reason = verdict < 0 ? "" : authcache_reason_name(identity.reason);
  return authcache_verdict_name(verdict) + (reason.empty() ? "" : "/" + reason);
}

}  // namespace authcache_test
