// The face's questions answered by the daemon itself: hits from the table that it writes, by the steps of
// libclient/lookup_steps.hpp; misses through the Resolver, as one more user with a miss budget of its own;
// revocations through the Revoker. Loop thread only; signatures of logout tokens are checked on a thread of
// their own.
#pragma once

#include <unordered_map>

#include "daemon/base/wall_clock.hpp"
#include "daemon/control/face/face_backend.hpp"
#include "daemon/control/services.hpp"
#include "daemon/io/worker.hpp"
#include "daemon/token/logout_token.hpp"
#include "shm/table_reader.hpp"

namespace authcached {

class TableBackend final : public FaceBackend {
 public:
  explicit TableBackend(Services& services) : services_(services) {}

  [[nodiscard]] bool decide_now(const FaceQuestion& question, Decision& decision) override;
  void decide_later(const FaceQuestion& question,
                    std::move_only_function<void(const Decision&)> done) override;
  void revoke_token(std::string_view token, const FaceActor& actor,
                    std::move_only_function<void(bool)> done) override;
  void log_out(const HttpLogoutConfig& logout, std::string_view logout_token, const FaceActor& actor,
               std::move_only_function<void(LogoutOutcome)> done) override;
  [[nodiscard]] std::vector<ProfileReadiness> readiness() const override;

 private:
  struct Asking;
  struct LogoutWork;
  [[nodiscard]] bool look(const Generation& generation, const FaceQuestion& question, Decision& decision);
  void judge(const Generation& generation, const FaceQuestion& question, const authcache::shm::Found& found,
             const authcache::shm::Terms& terms, std::string_view text, Decision& decision) const;
  void ask(std::shared_ptr<Asking> asking);
  void check_logout(std::shared_ptr<LogoutWork> work);
  void seek_keys(std::shared_ptr<LogoutWork> work);
  void revoke_session(const std::string& issuer, const Logout& logout, std::shared_ptr<LogoutWork> work);
  [[nodiscard]] bool is_known(const std::string& name);

  Services& services_;
  alignas(8) std::uint64_t text_[authcache::shm::kTextMax / 8];
  std::string effective_text_;  // where roles grant more than the record's text says
  std::unordered_map<std::string, std::int64_t> logouts_done_;  // issuer and jti: until when (wall clock)
  std::size_t logouts_under_way_ = 0;
  Worker verifier_{"logout"};  // last: it ends first
};

}  // namespace authcached
