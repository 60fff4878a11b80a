#include "shm/verdict.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace {

using authcache::shm::Reason;
using authcache::shm::reason_name;
using authcache::shm::Verdict;
using authcache::shm::verdict_name;

// The numbers stand in tables and frames, the words in logs, in answers of authctl and in programs that
// compare them: neither may change.
const std::map<int, std::string> kVerdicts = {
    {0, "valid"}, {1, "miss"}, {2, "invalid"}, {3, "forbidden"}, {4, "unavailable"}};
const std::map<int, std::string> kReasons = {
    {0, ""},
    {1, "malformed"},
    {2, "unknown"},
    {3, "expired"},
    {4, "not_yet_valid"},
    {5, "revoked"},
    {6, "bad_signature"},
    {7, "unknown_key"},
    {8, "algorithm"},
    {9, "issuer"},
    {10, "audience"},
    {11, "claims"},
    {12, "type"},
    {13, "confirmation"},
    {14, "lifetime"},
    {15, "too_long"},
    {16, "critical"},
    {32, "scope"},
    {33, "permission"},
    {34, "confirmation_required"},
    {48, "proof_key"},
    {49, "proof_method"},
    {50, "proof_url"},
    {51, "proof_token"},
    {52, "proof_nonce"},
    {53, "proof_replayed"},
    {64, "no_table"},
    {65, "heartbeat_stale"},
    {66, "time_namespace"},
    {67, "catching_up"},
    {68, "daemon_unreachable"},
    {69, "timeout"},
    {70, "over_budget"},
    {71, "upstream"},
    {72, "retired"},
    {73, "unknown_profile"},
    {74, "overloaded"},
    {75, "protocol"},
};

// All 256 values: what a file or a frame holds may be anything.
template <class Value>
void expect_names(const std::map<int, std::string>& names, std::string_view (*name_of)(Value)) {
  std::set<std::string_view> given;
  for (int value = 0; value < 256; ++value) {
    const std::string_view name = name_of(static_cast<Value>(value));
    const auto known = names.find(value);
    EXPECT_EQ(name, known == names.end() ? "?" : known->second) << value;
    EXPECT_TRUE(name == "?" || given.insert(name).second) << name << " names two values";
  }
}

TEST(Verdict, EachHasItsWordAndWhatIsNoneHasNone) { expect_names<Verdict>(kVerdicts, verdict_name); }
TEST(Reason, EachHasItsWordAndWhatIsNoneHasNone) { expect_names<Reason>(kReasons, reason_name); }

}  // namespace
