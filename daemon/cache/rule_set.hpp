// The revocation rules in memory, asked at every admission. Loop thread only.
//
// Invariants: a rule is never dropped before both its wall-clock and its BOOTTIME retention have passed; a
// bulk rule of the same {kind, scope, value} is replaced only by one with a later not-before; withdrawing a
// rule whose commit failed brings back the greatest not-before that is durable or pending.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/proof.hpp"

namespace authcached {

enum class RuleKind : std::uint8_t {
  kToken = 1,         // value = SHA-256 of the token's bytes, in every profile
  kSigningInput = 2,  // value = SHA-256 of header.payload, in every profile: catches malleated signatures
  kJti = 3,           // scope = issuer
  kSid = 4,
  kSubject = 5,
  kClient = 6,
  kIssuer = 7,
  kKey = 8,  // value = RFC 7638 thumbprint
  kEverything = 9,
};
[[nodiscard]] std::string_view rule_kind_name(RuleKind kind);  // "token", "signing_input", ...

struct Rule {
  std::uint64_t change = 0;  // number of the change that made it; rises by one for each, never reused
  RuleKind kind = RuleKind::kToken;
  std::string scope;  // issuer or profile that it is limited to; empty = all
  std::string value;  // 32 raw bytes for digests and thumbprints, text otherwise; empty for kEverything
  std::int64_t not_before_ns =
      0;  // bulk kinds deny issued_wall_ns <= this, or absent; others deny always (0)
  std::int64_t created_wall_ns = 0;
  std::int64_t created_boot_ns = 0;  // BOOTTIME at creation, or at load if the machine has booted since
  std::int64_t life_ns = 0;          // retention; 0 = until lifted
  bool durable = false;
};

inline constexpr std::size_t kRuleTextBytesMax =
    4'096;  // scope or value; a subject or issuer of a record is shorter

// The token kinds, jti and key deny whatever the token says of its age: who holds a lost key writes any iat.
[[nodiscard]] bool denies_by_age(RuleKind kind);

// What is wrong with a rule as such, or nothing. A rule with a fault must not enter the state database.
[[nodiscard]] std::optional<std::string_view> rule_fault(const Rule& rule);

// Two rules of one identity {kind, scope, value} as one: the greater not-before, a retention that ends at
// neither clock before either of theirs, the number and creation of the later change. Memory and the state
// database both merge by it.
[[nodiscard]] Rule merged_rule(const Rule& one, const Rule& other);

// What admission knows about a token; views must outlive the call.
struct AdmissionFacts {
  const Sha256* token = nullptr;
  const Sha256* signing_input = nullptr;  // JWS only
  const Sha256* key = nullptr;
  std::string_view profile, issuer, subject, client_id, sid, jti;
  std::optional<std::int64_t> issued_wall_ns;
};

class RuleSet {
 public:
  explicit RuleSet(std::size_t rules_max);
  RuleSet(RuleSet&&) noexcept;
  RuleSet& operator=(RuleSet&&) noexcept;
  ~RuleSet();

  // Adds or tightens. Returns false, and changes nothing, when rules_max is reached; tightening needs no
  // room.
  [[nodiscard]] bool add(const Rule& rule);
  void mark_durable(std::uint64_t change);
  void withdraw(std::uint64_t change);  // its commit failed; see the invariants
  // What later changes made of the same rule stays; false if nothing went.
  bool lift(RuleKind kind, std::string_view scope, std::string_view value, std::uint64_t up_to_change = UINT64_MAX);
  [[nodiscard]] bool contains(RuleKind kind, std::string_view scope, std::string_view value) const {
    return find(kind, scope, value) != nullptr;
  }
  // The rule of this identity; lives until the next call that changes the set.
  [[nodiscard]] const Rule* find(RuleKind kind, std::string_view scope, std::string_view value) const;

  // The rule that denies these facts, if any. Cost does not grow with the number of rules. The pointer lives
  // until the next call that changes the set.
  [[nodiscard]] const Rule* match(const AdmissionFacts& facts) const;

  // Removes what both clocks say is past; returns the change numbers removed, for StateDb::forget. Looks at
  // no more than at_most rules and goes on behind them at the next call. A rule with a commit under way
  // stays.
  std::vector<std::uint64_t> purge(std::int64_t wall_ns, std::int64_t boot_ns, std::size_t at_most);

  [[nodiscard]] std::size_t size() const;
  // In order of change, from `after` (exclusive); at most `limit`.
  [[nodiscard]] std::vector<Rule> list(std::uint64_t after, std::size_t limit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace authcached
