// What the HTTP face asks of the rest of the daemon. An interface, so that everything HTTP can be tested and
// fuzzed with answers made up. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/control/face/face_requirement.hpp"
#include "daemon/io/unix_socket.hpp"
#include "shm/evaluate.hpp"
#include "shm/verdict.hpp"

namespace authcached {

// A token bound to a key: refused unless the request proved that key, or told to an asker who will see to it.
enum class Binding : std::uint8_t { kEnforced, kReported };

struct FaceQuestion {
  std::shared_ptr<const FaceRequirement> requirement;
  std::string_view token;
  std::optional<authcache::shm::Thumbprint> proved;  // by the request
  Binding binding = Binding::kEnforced;
};

struct Decision {
  authcache::shm::Verdict verdict = authcache::shm::Verdict::kUnavailable;  // never kMiss
  authcache::shm::Reason reason = authcache::shm::Reason::kNone;
  // Of a valid record. The text is the backend's and changes with its next decision.
  std::string_view text;
  std::int64_t expires_wall_ns = 0;         // leeway included; 0: not stated
  std::int64_t issued_wall_ns = INT64_MIN;  // INT64_MIN: not stated
  std::int64_t leeway_ns = 0;
};

// Who asked for something to be revoked: for the audit record.
struct FaceActor {
  std::string client;         // as authenticated; empty: by the socket
  std::optional<Peer> local;  // of a unix socket
};

enum class LogoutEnd : std::uint8_t { kDone, kRefused, kNotDurable, kBusy };
struct LogoutOutcome {
  LogoutEnd end = LogoutEnd::kRefused;
  std::string_view sentence;  // a constant
};

struct ProfileReadiness {
  std::string name;
  bool ready = false;
};

class FaceBackend {
 public:
  virtual ~FaceBackend() = default;
  // From shared memory alone, as a process with the SDK decides; false: there is no current record.
  [[nodiscard]] virtual bool decide_now(const FaceQuestion& question, Decision& decision) = 0;
  // By asking the upstream. Copies of the question what it needs.
  virtual void decide_later(const FaceQuestion& question,
                            std::move_only_function<void(const Decision&)> done) = 0;
  // True once it is durable and nobody is told otherwise any more.
  virtual void revoke_token(std::string_view token, const FaceActor& actor,
                            std::move_only_function<void(bool)> done) = 0;
  virtual void log_out(const HttpLogoutConfig& logout, std::string_view logout_token, const FaceActor& actor,
                       std::move_only_function<void(LogoutOutcome)> done) = 0;
  [[nodiscard]] virtual std::vector<ProfileReadiness> readiness() const = 0;
};

}  // namespace authcached
