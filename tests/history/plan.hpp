// What a run is about, made from its seed: issuers, keys, tokens good and bad, sessions that will be created,
// and for each what may be revoked of it. The same seed and start give the same plan but for keys and
// signatures, which OpenSSL draws. Made before the processes fork; afterwards read only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/history/history.hpp"
#include "tests/support/jwt_mint.hpp"

namespace authcache_test {

using Random = std::mt19937_64;

// 0 <= result < bound
[[nodiscard]] inline std::uint64_t below(Random& random, std::uint64_t bound) { return random() % bound; }

struct PlannedSession {
  std::string subject, client;
};

struct Presented {
  std::string profile;
  std::string token;  // empty for a session until it is created
};

class Plan {
 public:
  static constexpr std::size_t kIssuers = 2;
  static constexpr std::size_t kKeys = 3;  // each; the first is never taken out of its key set
  static constexpr std::size_t kTokensPerIssuer = 600;
  static constexpr std::size_t kSessions = 3'000;
  static constexpr std::uint64_t kSubjects =
      14;  // named "user-0" and on, for tokens of both issuers and sessions

  Plan(std::uint64_t seed, std::int64_t start_wall_ns, std::chrono::nanoseconds duration);

  [[nodiscard]] const std::vector<Mark>& marks() const { return marks_; }
  [[nodiscard]] const std::vector<Credential>& credentials() const { return credentials_; }
  [[nodiscard]] const Presented& presented(std::uint32_t credential) const { return presented_[credential]; }

  // Credentials by their kind: good ones in the order in which they come into use, then bad ones, then
  // sessions.
  [[nodiscard]] std::uint32_t good() const { return good_; }
  [[nodiscard]] std::uint32_t bad() const { return bad_; }
  [[nodiscard]] std::uint32_t first_bad() const { return good_; }
  [[nodiscard]] std::uint32_t first_session() const { return good_ + bad_; }
  [[nodiscard]] const PlannedSession& session(std::uint32_t slot) const { return sessions_[slot]; }

  [[nodiscard]] static std::string profile(std::size_t issuer) { return issuer == 0 ? "alpha" : "beta"; }
  [[nodiscard]] static std::string issuer_name(std::size_t issuer) {
    return "https://" + profile(issuer) + ".example";
  }
  [[nodiscard]] static std::string kid(std::size_t issuer, std::size_t key) {
    return profile(issuer) + "-" + std::to_string(key);
  }
  // The key set with the keys whose bits are set in `present`.
  [[nodiscard]] std::string key_set(std::size_t issuer, unsigned present) const;
  // What this issuer tells the host when a session of it ends: `member` is "sid" or "sub". Signed by the key that is
  // never taken out of its set.
  [[nodiscard]] std::string logout_token(std::size_t issuer, std::string_view member, std::string_view value,
                                         std::int64_t issued_seconds, std::string_view jti) const;
  static constexpr const char* kLogoutAudience = "web";
  [[nodiscard]] std::uint32_t key_set_mark(std::size_t issuer, std::size_t key) const;
  // The one mark of this kind, scope and value.
  [[nodiscard]] std::optional<std::uint32_t> find_mark(MarkKind kind, std::string_view scope,
                                                       std::string_view value) const;
  // The same; std::runtime_error if the plan has none.
  [[nodiscard]] std::uint32_t mark(MarkKind kind, std::string_view scope, std::string_view value) const;
  // The tokens that a mark of kToken names: one, or one and its twin.
  [[nodiscard]] const std::vector<std::uint32_t>& named_by(std::uint32_t token_mark) const {
    return named_.at(token_mark);
  }

 private:
  std::uint32_t make_mark(MarkKind kind, const std::string& scope, const std::string& value);
  void add(Credential credential, std::string profile, std::string token);
  void add_good(std::size_t issuer, std::size_t number, std::int64_t use_wall_ns,
                std::chrono::nanoseconds duration);
  void add_bad(std::int64_t start_wall_ns);
  void add_sessions();

  Random random_;
  std::vector<SigningKey> keys_;  // issuer * kKeys + key
  std::vector<Mark> marks_;
  std::map<std::tuple<MarkKind, std::string, std::string>, std::uint32_t> mark_numbers_;
  std::map<std::uint32_t, std::vector<std::uint32_t>> named_;
  std::vector<Credential> credentials_;
  std::vector<Presented> presented_;
  std::vector<PlannedSession> sessions_;
  std::uint32_t good_ = 0, bad_ = 0;
};

}  // namespace authcache_test
