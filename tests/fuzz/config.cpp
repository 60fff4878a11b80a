// The configuration: a text is either refused with faults that a person can act on, or means one
// configuration, which says the same again when it is written out; and what was taken is within the bounds
// that the rest relies on.
#include <algorithm>
#include <set>

#include "daemon/base/config_parse.hpp"
#include "daemon/base/config_ranges.hpp"
#include "daemon/base/config_text.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using namespace authcached;

template <class T>
bool within(const T& value, const ConfigRange<T>& range) {
  return value >= range.low && value <= range.high;
}

void require_fault(const ConfigFault& fault, std::string_view text) {
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  FUZZ_REQUIRE(fault.line <= lines + 1);
  FUZZ_REQUIRE(!fault.message.empty() && !fault.remedy.empty());
  for (const std::string* sentence : {&fault.message, &fault.remedy}) {
    FUZZ_REQUIRE(std::ranges::none_of(
        *sentence, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
  }
}

void require_profile(const ProfileConfig& profile) {
  FUZZ_REQUIRE(!profile.name.empty() && profile.name.size() <= kProfileNameBytesMax);
  FUZZ_REQUIRE(profile.audience.size() <= kAudiencesMax);
  for (const auto& audience : profile.audience) {
    FUZZ_REQUIRE(!audience.empty() && audience.size() <= kAudienceBytesMax);
  }
  FUZZ_REQUIRE(within(profile.ttl_max, kTtlMaxRange) && within(profile.negative_ttl, kNegativeTtlRange));
  FUZZ_REQUIRE(within(profile.max_token_lifetime, kMaxTokenLifetimeRange) &&
               within(profile.leeway, kLeewayRange));
  FUZZ_REQUIRE(profile.id() != 0);
  if (profile.upstream != UpstreamKind::kJwks) return;
  FUZZ_REQUIRE(!profile.audience.empty() && !profile.issuer.empty() && !profile.algorithms.empty());
  FUZZ_REQUIRE(profile.jwks_file.is_absolute());
}

}  // namespace

FUZZ_TARGET(config) {
  const ParsedConfig parsed = parse_config(input, "fuzz.toml");
  for (const ConfigFault& fault : parsed.faults) require_fault(fault, input);
  FUZZ_REQUIRE(std::ranges::is_sorted(parsed.faults, {}, &ConfigFault::line));
  if (!parsed.faults.empty()) return;
  const Config& config = parsed.config;
  FUZZ_REQUIRE(!config.profiles.empty() && config.profiles.size() <= kProfilesMax);
  FUZZ_REQUIRE(config.runtime_dir.is_absolute() && config.state_dir.is_absolute());
  FUZZ_REQUIRE(within(config.table.capacity, kCapacityRange));
  FUZZ_REQUIRE(within(config.table.heartbeat_timeout, kHeartbeatTimeoutRange));
  FUZZ_REQUIRE(within(config.limits.rules, kRulesRange));
  std::set<std::string> names;
  std::set<std::uint64_t> ids;
  for (const ProfileConfig& profile : config.profiles) {
    require_profile(profile);
    FUZZ_REQUIRE(names.insert(profile.name).second && ids.insert(profile.id()).second);
  }
  const std::string written = config_text(config);
  const ParsedConfig again = parse_config(written, "written.toml");
  FUZZ_REQUIRE(again.faults.empty());
  FUZZ_REQUIRE(again.config.profiles == config.profiles && again.config.table == config.table &&
               again.config.limits == config.limits);
  FUZZ_REQUIRE(config_text(again.config) == written);
}
