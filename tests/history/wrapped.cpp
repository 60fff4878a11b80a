// Functions of the daemon that the linker leads through here (--wrap in meson.build): delays where no fault
// point is, and the defects that the checker must find. A member function takes its object as the first
// argument, as the platform's ABI has it. Should one of these change its signature, its symbol no longer
// exists: the real one is declared weak, its wrapper is never called, and the case that relies on it fails.
#include "daemon/cache/rule_set.hpp"
#include "daemon/cache/state_writer.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/token/jwt.hpp"
#include "daemon/upstream/session_store.hpp"
#include "tests/history/faults.hpp"

namespace authcached {

namespace shm = authcache::shm;
using authcache_test::Breakage;
using authcache_test::breakage;
using authcache_test::meet_fate;

#define AUTHCACHE_REAL(symbol) __asm__("__real_" symbol) __attribute__((weak))
#define AUTHCACHE_WRAP(symbol) __asm__("__wrap_" symbol) __attribute__((used))

#define VERIFY_JWT \
  "_ZN10authcached10verify_jwtESt17basic_string_viewIcSt11char_traitsIcEERKNS_9JwtPolicyERKNS_6KeySetEl"
Proof real_verify_jwt(std::string_view, const JwtPolicy&, const KeySet&, std::int64_t)
    AUTHCACHE_REAL(VERIFY_JWT);
Proof wrap_verify_jwt(std::string_view, const JwtPolicy&, const KeySet&, std::int64_t)
    AUTHCACHE_WRAP(VERIFY_JWT);
Proof wrap_verify_jwt(std::string_view token, const JwtPolicy& policy, const KeySet& keys,
                      std::int64_t now_ns) {
  meet_fate(authcache_test::kAroundChecks);
  Proof proof = real_verify_jwt(token, policy, keys, now_ns);
  meet_fate(authcache_test::kAroundChecks);
  return proof;
}

#define STORE_RESOLVE "_ZN10authcached12SessionStore7resolveESt4spanIKSt17basic_string_viewIcSt11char_traitsIcEELm18446744073709551615EEl"
std::vector<Proof> real_store_resolve(SessionStore*, std::span<const std::string_view>, std::int64_t) AUTHCACHE_REAL(STORE_RESOLVE);
std::vector<Proof> wrap_store_resolve(SessionStore*, std::span<const std::string_view>, std::int64_t) AUTHCACHE_WRAP(STORE_RESOLVE);
std::vector<Proof> wrap_store_resolve(SessionStore* store, std::span<const std::string_view> tokens, std::int64_t now_ns) {
  if (authcache_test::outage()) return std::vector<Proof>(tokens.size());  // unavailable, by its upstream
  return real_store_resolve(store, tokens, now_ns);
}

#define DB_COMMIT "_ZN10authcached7StateDb6commitERKSt6vectorINS_10RuleChangeESaIS2_EE"
shm::Result<void> real_db_commit(StateDb*, const std::vector<RuleChange>&) AUTHCACHE_REAL(DB_COMMIT);
shm::Result<void> wrap_db_commit(StateDb*, const std::vector<RuleChange>&) AUTHCACHE_WRAP(DB_COMMIT);
shm::Result<void> wrap_db_commit(StateDb* db, const std::vector<RuleChange>& changes) {
  meet_fate(authcache_test::kAroundCommits);
  auto committed = real_db_commit(db, changes);
  meet_fate(authcache_test::kAroundCommits);
  return committed;
}

#define COMMIT                                                                           \
  "_ZN10authcached11StateWriter6commitESt6vectorINS_10RuleChangeESaIS2_EESt18move_only_" \
  "functionIJFvSt8expectedIvN9authcache3shm5ErrorEEEEE"
void real_commit(StateWriter*, std::vector<RuleChange>, StateWriter::Done) AUTHCACHE_REAL(COMMIT);
void wrap_commit(StateWriter*, std::vector<RuleChange>, StateWriter::Done) AUTHCACHE_WRAP(COMMIT);
void wrap_commit(StateWriter* writer, std::vector<RuleChange> changes, StateWriter::Done done) {
  if (breakage() == Breakage::kEarlyAnswer) return done({});
  real_commit(writer, std::move(changes), std::move(done));
}

#define SET_DURABLE_CHANGE "_ZN10authcached6Tables18set_durable_changeEm"
void real_set_durable_change(Tables*, std::uint64_t) AUTHCACHE_REAL(SET_DURABLE_CHANGE);
void wrap_set_durable_change(Tables*, std::uint64_t) AUTHCACHE_WRAP(SET_DURABLE_CHANGE);
void wrap_set_durable_change(Tables* tables, std::uint64_t change) {
  // Else the next start sees that its database lacks a change that the table obeyed, and refuses everything.
  if (breakage() != Breakage::kEarlyAnswer) real_set_durable_change(tables, change);
}

#define MATCH "_ZNK10authcached7RuleSet5matchERKNS_14AdmissionFactsE"
const Rule* real_match(const RuleSet*, const AdmissionFacts&) AUTHCACHE_REAL(MATCH);
const Rule* wrap_match(const RuleSet*, const AdmissionFacts&) AUTHCACHE_WRAP(MATCH);
const Rule* wrap_match(const RuleSet* rules, const AdmissionFacts& facts) {
  return breakage() == Breakage::kRulesUnasked ? nullptr : real_match(rules, facts);
}

#define KILL_TOKEN "_ZN10authcached6Tables10kill_tokenERKSt5arrayImLm3EEN9authcache3shm9SlotStateE"
std::uint64_t real_kill_token(Tables*, const shm::Key&, shm::SlotState) AUTHCACHE_REAL(KILL_TOKEN);
std::uint64_t wrap_kill_token(Tables*, const shm::Key&, shm::SlotState) AUTHCACHE_WRAP(KILL_TOKEN);
std::uint64_t wrap_kill_token(Tables* tables, const shm::Key& token, shm::SlotState dead) {
  return breakage() == Breakage::kNothingKilled ? 0 : real_kill_token(tables, token, dead);
}

#define KILL "_ZN10authcached6Tables4killERKSt5arrayImLm3EEN9authcache3shm9SlotStateE"
std::uint64_t real_kill(Tables*, const shm::Key&, shm::SlotState) AUTHCACHE_REAL(KILL);
std::uint64_t wrap_kill(Tables*, const shm::Key&, shm::SlotState) AUTHCACHE_WRAP(KILL);
std::uint64_t wrap_kill(Tables* tables, const shm::Key& key, shm::SlotState dead) {
  return breakage() == Breakage::kNothingKilled && dead == shm::SlotState::kRevoked
             ? 0
             : real_kill(tables, key, dead);
}

#define RAISE_KEY "_ZN10authcached6Tables9raise_keyERKSt5arrayImLm4EE"
void real_raise_key(Tables*, const shm::PrincipalId&) AUTHCACHE_REAL(RAISE_KEY);
void wrap_raise_key(Tables*, const shm::PrincipalId&) AUTHCACHE_WRAP(RAISE_KEY);
void wrap_raise_key(Tables* tables, const shm::PrincipalId& key) {
  if (breakage() != Breakage::kKeysStay) real_raise_key(tables, key);
}

}  // namespace authcached
