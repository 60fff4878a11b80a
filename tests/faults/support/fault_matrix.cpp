#include "tests/faults/support/fault_matrix.hpp"

#include <algorithm>
#include <cstdio>

namespace authcache_test {

namespace {

constexpr std::string_view kKindNames[] = {"jwks, first keys", "jwks, a new key", "introspection",
                                           "postgresql", "redis"};
constexpr Trouble kElsewhere = Trouble::kElsewhere;
// Of who speaks HTTP over TLS.
constexpr std::array<std::string_view, kKinds.size()> kIssuersOnly{"unavailable", "unavailable",
                                                                   "unavailable", "", ""};

constexpr Fault kFaults[] = {
    {.name = "connection refused", .trouble = Trouble::kRefuse},
    {.name = "reset at once", .trouble = Trouble::kResetAtOnce},
    {.name = "reset within the answer", .trouble = Trouble::kResetInAnswer},
    {.name = "cut off within the answer", .trouble = Trouble::kTruncate},
    {.name = "closed at once", .trouble = Trouble::kClose},
    {.name = "stall: a black hole", .trouble = Trouble::kBlackHole},
    // Who has no connection open yet does not notice; a question to PostgreSQL may find another one in its
    // time.
    {.name = "half-open: the peer vanished",
     .trouble = Trouble::kVanish,
     .expected = {"", "unavailable", "unavailable", "", "unavailable"},
     .known = ""},
    {.name = "slow drip", .trouble = Trouble::kDrip},
    {.name = "slow, within the deadline",
     .trouble = Trouble::kSlow,
     .expected = {"valid", "valid", "valid", "valid", "valid"},
     .known = "valid"},
    {.name = "certificate: another name",
     .trouble = kElsewhere,
     .certificate = Certificate::kOtherName,
     .expected = kIssuersOnly},
    {.name = "certificate: another authority",
     .trouble = kElsewhere,
     .certificate = Certificate::kOtherAuthority,
     .expected = kIssuersOnly},
    {.name = "certificate: expired",
     .trouble = kElsewhere,
     .certificate = Certificate::kExpired,
     .expected = kIssuersOnly},
    {.name = "server stopped (SIGSTOP)", .harm = Harm::kStopped},
    // The provider's opaque tokens and this Redis' sessions were in their memory.
    {.name = "server killed",
     .harm = Harm::kKilled,
     .afterwards = {"valid", "valid", "invalid", "valid", "invalid"}},
    {.name = "lie: 200 with HTML", .trouble = kElsewhere, .lie = Lie::kHtml, .expected = kIssuersOnly},
    {.name = "lie: members of a wrong type",
     .trouble = kElsewhere,
     .lie = Lie::kWrongType,
     .expected = kIssuersOnly},
    {.name = "lie: a huge body", .trouble = kElsewhere, .lie = Lie::kHuge, .expected = kIssuersOnly},
    // Metadata are asked for once in their time: who knows where the keys are does not hear this lie. An
    // answer that names another issuer is refused by our own check.
    {.name = "lie: another issuer",
     .trouble = kElsewhere,
     .lie = Lie::kAnotherIssuer,
     .expected = {"unavailable", "", "invalid", "", ""},
     .known = "invalid"},
    {.name = "lie: nothing in it", .trouble = kElsewhere, .lie = Lie::kEmpty, .expected = kIssuersOnly},
    {.name = "lie: gzip that is none", .trouble = kElsewhere, .lie = Lie::kGzip, .expected = kIssuersOnly},
    {.name = "500 with an answer", .trouble = kElsewhere, .lie = Lie::kServerError, .expected = kIssuersOnly},
    {.name = "redirect to another origin",
     .trouble = kElsewhere,
     .lie = Lie::kRedirect,
     .expected = kIssuersOnly},
};

std::string milliseconds_text(const std::optional<std::chrono::milliseconds>& time) {
  return time ? std::to_string(time->count()) + " ms" : "never";
}

}  // namespace

std::span<const Fault> faults() { return kFaults; }

std::vector<Cell> all_cells(const Group& group) {
  std::vector<Cell> cells;
  for (const Policy& policy : group.policies) {
    for (const Fault& fault : kFaults) {
      for (const Kind kind : kKinds) {
        const bool first_only = is_keyed(kind) || fault.known.empty();
        if (is_database(kind) != group.databases) continue;
        if (first_only && policy.known != Known::kKept) continue;
        Cell cell;
        cell.fault = &fault;
        cell.policy = &policy;
        cell.kind = kind;
        cell.profile = "cell-" + std::to_string(cells.size());
        if (!cell.expected().empty()) cells.push_back(std::move(cell));
      }
    }
  }
  return cells;
}

// What was seen of `known`: lookups that found it, or what asking said.
std::string known_text(const Cell& cell) {
  if (cell.known.empty()) return "-";
  if (cell.policy->known != Known::kKept) return cell.known_seen;
  return std::to_string(cell.hits) + "/" + std::to_string(cell.hits + cell.misses) + " hits";
}

void print(std::span<const Cell> cells) {
  std::printf("%-17s %-32s %-16s %-12s %-24s %-22s %-20s %-7s %-9s %s\n", "UPSTREAM", "FAULT", "POLICY",
              "EXPECTED", "SEEN", "AFTERWARDS", "KNOWN BEFORE", "CACHED", "RECOVERY",
              "NAMED BY authctl upstreams");
  unsigned as_expected = 0, false_valid = 0, remembered = 0;
  for (const Cell& cell : cells) {
    std::printf("%-17.*s %-32.*s %-16.*s %-12.*s %-24s %-22s %-20s %-7u %-9s %.90s\n",
                static_cast<int>(kKindNames[static_cast<std::size_t>(cell.kind)].size()),
                kKindNames[static_cast<std::size_t>(cell.kind)].data(),
                static_cast<int>(cell.fault->name.size()), cell.fault->name.data(),
                static_cast<int>(cell.policy->name.size()), cell.policy->name.data(),
                static_cast<int>(cell.expected().size()), cell.expected().data(), cell.seen.c_str(),
                cell.seen_afterwards.c_str(), known_text(cell).c_str(), cell.remembered,
                milliseconds_text(cell.recovery).c_str(), cell.named.c_str());
    as_expected += cell.seen.starts_with(cell.expected()) ? 1 : 0;
    false_valid += cell.false_valid;
    remembered += cell.remembered;
  }
  std::vector<std::chrono::milliseconds> recoveries;
  for (const Cell& cell : cells) {
    if (cell.recovery) recoveries.push_back(*cell.recovery);
  }
  std::ranges::sort(recoveries);
  std::printf(
      "%zu cells, %u as expected, %u false valid, %u cached unavailable; recovered: %zu, median %s, longest "
      "%s\n",
      cells.size(), as_expected, false_valid, remembered, recoveries.size(),
      recoveries.empty() ? "-" : milliseconds_text(recoveries[recoveries.size() / 2]).c_str(),
      recoveries.empty() ? "-" : milliseconds_text(recoveries.back()).c_str());
  std::fflush(stdout);
}

}  // namespace authcache_test
