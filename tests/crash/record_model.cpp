#include "tests/crash/record_model.hpp"

#include <algorithm>
#include <bit>

#include "shm/dictionary.hpp"
#include "shm/digest.hpp"

namespace crash {

using A = shm::StdAtomics;

namespace {

constexpr std::uint64_t kEpochBeginNs = std::uint64_t{1} << 50;  // versions count from here; above any tick
constexpr std::uint64_t kLongText = 9'000;                       // more than half the units of a page

std::string name_of(std::string_view what, std::uint64_t number) {
  return std::string(what) + std::to_string(number);
}

std::vector<std::string> some_of(std::string_view what, std::uint64_t count, std::uint64_t most,
                                 std::uint64_t seed) {
  std::vector<std::string> names;
  const std::uint64_t wanted = seed % (most + 1);
  for (std::uint64_t i = 0; i < wanted; ++i) {
    std::string name = name_of(what, mix(seed, i) % count);
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

shm::PrincipalId id_of(std::uint64_t kind, std::uint64_t number) {
  return {mix(kind, number) | 1, mix(number, kind), number + 1, kind};
}

// The names behind the bits must be the model's; without the flag they must be all of the model's.
bool names_agree(std::vector<std::string> expected, std::vector<std::string> seen, bool rest_in_text) {
  std::ranges::sort(expected);
  std::ranges::sort(seen);
  return rest_in_text ? std::ranges::includes(expected, seen) : expected == seen;
}

std::vector<std::string> names_of_bits(const shm::TableView& view, bool audience, std::uint64_t bits) {
  std::vector<std::string> names;
  for (; bits != 0; bits &= bits - 1) {
    names.push_back(
        shm::dictionary_text(view, audience, static_cast<std::uint32_t>(std::countr_zero(bits))).text);
  }
  return names;
}

bool principal_agrees(const shm::PrincipalEntry& entry, const shm::PrincipalId& id) {
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (A::load_acquire(entry.id[i]) != id[i]) return false;
  }
  return true;
}

std::uint16_t flags_of(std::uint64_t number, std::uint64_t version) {
  const std::uint64_t m = mix(number, version);
  return static_cast<std::uint16_t>(((m >> 40 & 1) != 0 ? shm::kHasConfirmation : 0) |
                                    ((m >> 41 & 1) != 0 ? shm::kIsJws : 0));
}

shm::Reason reason_of(std::uint64_t number, std::uint64_t version) {
  return is_negative(number, version) ? static_cast<shm::Reason>(1 + (mix(number, version) >> 32) % 200)
                                      : shm::Reason::kNone;
}

}  // namespace

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9e37'79b9'7f4a'7c15 + b + 0x1234'5678'9abc'def1;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31);
}

shm::Key key_of_token(std::uint64_t number) {
  return shm::key_of(shm::token_digest(7, name_of("token-", number)));
}

std::uint64_t time_of(std::uint64_t version) { return kEpochBeginNs + version * kVersionStepNs; }
std::uint64_t deadline_of(std::uint64_t version, std::uint64_t extension) {
  return time_of(version + kLifeVersions) + extension;
}
std::uint64_t version_of(std::uint64_t deadline) {
  return (deadline - kEpochBeginNs) / kVersionStepNs - kLifeVersions;
}

bool is_negative(std::uint64_t number, std::uint64_t version) { return mix(number, version) % 10 == 0; }

std::uint64_t issuer_number(std::uint64_t number, std::uint64_t version) {
  const std::uint64_t m = mix(version, number);
  return m % 48 == 0 ? kOftenUsed + (m >> 8) % kSeldomIssuers : (m >> 8) % kOftenUsed;
}
std::uint64_t key_number(std::uint64_t number, std::uint64_t version) {
  const std::uint64_t m = mix(version + 1, number);
  return m % 48 == 0 ? kOftenUsed + (m >> 8) % kSeldomKeys : (m >> 8) % kOftenUsed;
}

shm::PrincipalId issuer_id(std::uint64_t issuer) { return id_of(1, issuer); }
shm::PrincipalId signing_key_id(std::uint64_t key) { return id_of(2, key); }

std::vector<std::string> grants_of(std::uint64_t number, std::uint64_t version) {
  return some_of("scope-", kGrantNames, 6, mix(number, version + 2));
}
std::vector<std::string> audience_of(std::uint64_t number, std::uint64_t version) {
  return some_of("https://audience.example/", kAudienceNames, 2, mix(number, version + 3));
}

std::string text_of(std::uint64_t number, std::uint64_t version) {
  const std::uint64_t m = mix(number, version + 4);
  const std::uint64_t length = m % 64 == 0 ? kLongText : m % 3 == 0 ? 0 : (m >> 8) % 700;
  std::string text(length, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(mix(m, i / 8) >> (i % 8 * 8));
  return text;
}

ModelRecord::ModelRecord(std::uint64_t number, std::uint64_t version, std::uint64_t epoch,
                         std::uint64_t tick_ns)
    : grants(grants_of(number, version)),
      audience(audience_of(number, version)),
      text(text_of(number, version)) {
  spec.key = key_of_token(number);
  spec.deadline = deadline_of(version, 0) + tick_ns;
  spec.epoch = epoch;
  spec.verdict = is_negative(number, version) ? shm::Verdict::kInvalid : shm::Verdict::kValid;
  spec.reason = reason_of(number, version);
  spec.has_confirmation = (flags_of(number, version) & shm::kHasConfirmation) != 0;
  spec.is_jws = (flags_of(number, version) & shm::kIsJws) != 0;
  spec.issuer = issuer_id(issuer_number(number, version));
  spec.signing_key = signing_key_id(key_number(number, version));
  spec.scopes = grants;
  spec.audience = audience;
  spec.text = text;
  spec.expires_wall_ns = static_cast<std::int64_t>(version);
  spec.issued_wall_ns = -static_cast<std::int64_t>(version);
  spec.profile_id = mix(number, 5);
  spec.token = {mix(number, version), number, version};
}

std::string hot_fault(const shm::TableView& view, std::uint64_t number, const shm::HotRecord& hot) {
  const std::uint64_t version = version_of(hot.deadline);
  const shm::Facts facts = shm::unpack_facts(hot.facts);
  const shm::Principals principals = shm::unpack_principals(hot.principals);
  constexpr std::uint16_t kModelled = shm::kHasConfirmation | shm::kIsJws;
  if (hot.deadline - deadline_of(version, 0) > kExtensionsMax) return "deadline";
  if ((facts.verdict == shm::Verdict::kInvalid) != is_negative(number, version)) return "verdict";
  if (facts.reason != reason_of(number, version)) return "reason";
  if ((facts.flags & kModelled) != flags_of(number, version)) return "flags";
  if (!names_agree(grants_of(number, version), names_of_bits(view, false, hot.grants),
                   (facts.flags & shm::kGrantsInText) != 0)) {
    return "grants";
  }
  if (!names_agree(audience_of(number, version), names_of_bits(view, true, principals.audiences),
                   (facts.flags & shm::kAudienceInText) != 0)) {
    return "audience";
  }
  if (!principal_agrees(view.issuer(principals.issuer), issuer_id(issuer_number(number, version))))
    return "issuer";
  if (!principal_agrees(view.key(principals.key), signing_key_id(key_number(number, version))))
    return "signing key";
  return "";
}

std::string cold_fault(std::uint64_t number, const shm::HotRecord& hot, const shm::ColdRecord& cold,
                       std::string_view text) {
  const std::uint64_t version = version_of(hot.deadline);
  const bool elsewhere = (shm::unpack_facts(hot.facts).flags & shm::kTextOnSocket) != 0;
  if (cold.expires_wall_ns != static_cast<std::int64_t>(version)) return "expires";
  if (cold.issued_wall_ns != -static_cast<std::int64_t>(version)) return "issued";
  if (cold.profile_id != mix(number, 5)) return "profile id";
  if (cold.token != shm::Key{mix(number, version), number, version}) return "token";
  if (elsewhere ? !text.empty() : text != text_of(number, version)) return "text";
  return "";
}

std::vector<shm::ProfileDescription> profiles_of(std::uint64_t config) {
  std::vector<shm::ProfileDescription> profiles;
  for (std::uint64_t i = 0; i < 1 + mix(config, 6) % kProfileNames; ++i) {
    shm::ProfileDescription profile{
        name_of("profile-", i), mix(config, 100 + i) | 1, shm::ProfileState::kCurrent, {}};
    for (std::uint64_t a = 0; a < mix(config, i) % 4; ++a) {
      profile.audience.push_back(
          name_of("https://audience.example/", mix(config, 200 + i * 10 + a) % kAudienceNames));
    }
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

std::string directory_fault(const shm::TableView& view) {
  const std::uint64_t config = A::load_acquire(view.header().config);
  const auto expected = profiles_of(config);
  std::string fault;
  for (std::uint64_t i = 0; i < kProfileNames && fault.empty(); ++i) {
    const auto found = shm::find_profile(view, config, name_of("profile-", i));
    if (found.has_value() != (i < expected.size())) fault = "a profile is missing, or one too many is there";
    if (!found || !fault.empty()) continue;
    if (found->id != expected[i].id) fault = "profile id";
    if (found->audience_count != expected[i].audience.size()) fault = "count of audiences";
    for (std::uint32_t a = 0; a < found->audience_count && fault.empty(); ++a) {
      char buffer[256];
      if (shm::profile_audience(view, config, found->entry, a, buffer) != expected[i].audience[a])
        fault = "profile audience";
    }
  }
  return A::load_acquire(view.header().config) == config ? fault : "";
}

}  // namespace crash
