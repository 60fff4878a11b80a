// Real tables without a daemon: a directory on tmpfs, a writer in this process, and clients opened on it
// through the C ABI. One thread a fixture.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libclient/include/authcache/authcache.h"
#include "shm/coarse_clock.hpp"
#include "shm/digest.hpp"
#include "shm/table_writer.hpp"
#include "shm/text.hpp"

namespace authcache::client_test {

inline constexpr std::uint64_t kHeartbeatTimeoutNs = 10 * shm::kNsPerSecond;
inline constexpr std::uint64_t kMainId = 0x1111;
inline constexpr std::uint64_t kOtherId = 0x2222;

class TempDir {
 public:
  TempDir() {
    char name[] = "/dev/shm/authcache-libclient.XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    path_ = name;
    ::chmod(name, 0750);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// What an upstream proved, with everything optional.
struct Proven {
  std::vector<std::string> scopes{};
  std::vector<std::string> permissions{};
  std::vector<std::string> audience{};
  std::string subject = "alice";
  std::string confirmation{};  // kind byte and 32 bytes
  shm::Verdict verdict = shm::Verdict::kValid;
  shm::Reason reason = shm::Reason::kNone;
  std::uint64_t life_ns = 60 * shm::kNsPerSecond;
  std::optional<shm::PrincipalId> issuer{};
  std::optional<shm::PrincipalId> signing_key{};
  std::string claims{};
};

inline std::string text_of(const Proven& proven) {
  shm::TextBuilder text;
  text.add(shm::TextField::kSubject, proven.subject);
  text.add(shm::TextField::kIssuer, "https://issuer.example");
  for (const auto& scope : proven.scopes) text.add(shm::TextField::kScopes, scope);
  for (const auto& permission : proven.permissions) text.add(shm::TextField::kPermissions, permission);
  for (const auto& audience : proven.audience) text.add(shm::TextField::kAudience, audience);
  if (!proven.claims.empty()) text.add(shm::TextField::kClaims, proven.claims);
  if (!proven.confirmation.empty()) text.add(shm::TextField::kConfirmation, proven.confirmation);
  return std::string(text.bytes());
}

inline std::vector<shm::ProfileDescription> default_profiles() {
  return {{.name = "main", .id = kMainId, .audience = {}},
          {.name = "other", .id = kOtherId, .audience = {"other-api"}}};
}

// The process's one writer of a generation in a directory.
inline shm::TableWriter make_table(const std::filesystem::path& dir, std::uint64_t generation,
                                   std::uint64_t text_bytes = 256) {
  auto file = shm::create_table(dir, {.capacity = 1000,
                                      .text_bytes_per_record = text_bytes,
                                      .heartbeat_timeout_ns = kHeartbeatTimeoutNs,
                                      .negative_max = 100,
                                      .generation = generation});
  if (!file) throw std::runtime_error(file.error().message);
  shm::publish_table(file->view);
  if (auto named = shm::name_table(*file, dir); !named) throw std::runtime_error(named.error().message);
  shm::TableWriter writer(std::move(*file));
  writer.set_profiles(default_profiles());
  writer.beat(shm::coarse_now_ns());
  return writer;
}

inline shm::Place admit(shm::TableWriter& writer, std::uint64_t profile_id, const std::string& token,
                        const Proven& proven = {}) {
  const std::string text = text_of(proven);
  const std::uint64_t now_ns = shm::coarse_now_ns();
  const auto place = writer.insert({.key = shm::key_of(shm::token_digest(profile_id, token)),
                                    .deadline = now_ns + proven.life_ns,
                                    .epoch = writer.epoch(),
                                    .verdict = proven.verdict,
                                    .reason = proven.reason,
                                    .has_confirmation = !proven.confirmation.empty(),
                                    .issuer = proven.issuer,
                                    .signing_key = proven.signing_key,
                                    .scopes = proven.scopes,
                                    .permissions = proven.permissions,
                                    .audience = proven.audience,
                                    .text = text,
                                    .profile_id = profile_id},
                                   now_ns);
  return place.value();
}

// A client and requirements on it, freed in the right order.
class OpenClient {
 public:
  explicit OpenClient(const std::filesystem::path& dir, std::uint32_t flags = 0,
                      std::int64_t daemon_uid = -1) {
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    options.flags = flags;
    options.runtime_dir = dir.c_str();
    options.daemon_uid = daemon_uid;
    result_ = authcache_open(&options, &client_);
  }
  OpenClient(const OpenClient&) = delete;
  OpenClient& operator=(const OpenClient&) = delete;
  ~OpenClient() {
    for (auto* requirement : requirements_) authcache_requirement_free(requirement);
    authcache_close(client_);
  }

  authcache_requirement* requirement(const char* profile = "main") {
    authcache_requirement* made = nullptr;
    EXPECT_EQ(authcache_requirement_create(client_, profile, &made), AUTHCACHE_OK);
    requirements_.push_back(made);
    return made;
  }
  [[nodiscard]] authcache_client* get() const { return client_; }
  [[nodiscard]] int result() const { return result_; }
  [[nodiscard]] std::string last_error() const { return authcache_last_error(client_); }

 private:
  authcache_client* client_ = nullptr;
  int result_ = 0;
  std::vector<authcache_requirement*> requirements_;
};

// "valid", "invalid/audience", "usage_error": what a test compares.
inline std::string outcome(int verdict, const authcache_identity& identity) {
  std::string text = authcache_verdict_name(verdict);
  if (verdict >= 0 && identity.reason != 0) text += std::string("/") + authcache_reason_name(identity.reason);
  return text;
}

inline std::string looked_up(const OpenClient& client, const std::string& token,
                             const authcache_requirement* requirement, authcache_identity* out = nullptr) {
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  const int verdict = authcache_lookup(client.get(), token.data(), token.size(), requirement, &identity);
  if (out != nullptr) *out = identity;
  return outcome(verdict, identity);
}

inline std::string validated(const OpenClient& client, const std::string& token,
                             const authcache_requirement* requirement, int timeout_ms,
                             authcache_identity* out = nullptr) {
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  const int verdict =
      authcache_validate(client.get(), token.data(), token.size(), requirement, timeout_ms, &identity);
  if (out != nullptr) *out = identity;
  return outcome(verdict, identity);
}

inline std::string text(const OpenClient& client, const authcache_identity& identity, authcache_field field) {
  char buffer[4096];
  const int length = authcache_identity_text(client.get(), &identity, field, buffer, sizeof buffer);
  if (length < 0) return "error " + std::to_string(length);
  return {buffer, static_cast<std::size_t>(length)};
}

inline authcache_thumbprint thumbprint(std::uint32_t kind, char fill) {
  authcache_thumbprint made{};
  made.size = sizeof made;
  made.kind = kind;
  std::fill(std::begin(made.bytes), std::end(made.bytes), static_cast<std::uint8_t>(fill));
  return made;
}
inline std::string confirmation(std::uint32_t kind, char fill) {
  return std::string(1, static_cast<char>(kind)) + std::string(32, fill);
}

}  // namespace authcache::client_test
