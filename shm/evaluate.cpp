#include "shm/evaluate.hpp"

#include "shm/facts.hpp"
#include "shm/profile_directory.hpp"
#include "shm/text.hpp"

namespace authcache::shm {
namespace {

enum class Met : std::uint8_t { kYes, kNo, kNeedsText };

// One branch for all bytes: the time does not tell how many of them matched.
bool same_thumbprint(const Thumbprint& asked, std::string_view field) {
  if (field.size() != 1 + kThumbprintBytes) return false;
  auto difference = static_cast<unsigned>(static_cast<std::uint8_t>(field[0])) ^ asked.kind;
  for (std::size_t i = 0; i < kThumbprintBytes; ++i) {
    difference |= static_cast<unsigned>(asked.bytes[i] ^ static_cast<std::uint8_t>(field[1 + i]));
  }
  return difference == 0;
}

// A record may carry more than one confirmation; then the request must have proved each, and with one
// thumbprint it can't have.
bool confirms(const Thumbprint& asked, std::string_view text) {
  TextCursor cursor(text);
  bool any = false;
  while (const auto item = cursor.next()) {
    if (item->field != TextField::kConfirmation) continue;
    if (!same_thumbprint(asked, item->value)) return false;
    any = true;
  }
  return any && cursor.whole();
}

Met confirmation(bool record_is_bound, const Asked& asked, std::optional<std::string_view> text) {
  if (!record_is_bound) {
    // A DPoP proof vouches for the token that names its key; for one that names none it vouches for nothing.
    const bool proved_for_nothing =
        asked.thumbprint != nullptr && asked.thumbprint->kind == kThumbprintJkt;
    return proved_for_nothing ? Met::kNo : Met::kYes;
  }
  if (asked.thumbprint == nullptr) return Met::kNo;
  if (!text) return Met::kNeedsText;
  return confirms(*asked.thumbprint, *text) ? Met::kYes : Met::kNo;
}

bool any_audience_in(const Asked& asked, std::string_view text) {
  for (const std::string& audience : asked.audiences) {
    if (text_holds(text, TextField::kAudience, audience)) return true;
  }
  if (!asked.audiences.empty()) return false;
  for (std::uint32_t i = 0; i < asked.defaults.count; ++i) {
    char buffer[256];
    const std::string_view audience =
        profile_audience(*asked.defaults.view, asked.defaults.config, asked.defaults.entry, i, buffer);
    if (text_holds(text, TextField::kAudience, audience)) return true;
  }
  return false;
}

Met audience(std::uint16_t bits, bool more_in_text, const Terms& terms, const Asked& asked,
             std::optional<std::string_view> text) {
  if (!terms.audience_asked || (bits & terms.audiences) != 0) return Met::kYes;
  if (!more_in_text || !terms.audience_without_bit) return Met::kNo;
  if (!text) return Met::kNeedsText;
  return any_audience_in(asked, *text) ? Met::kYes : Met::kNo;
}

// Scopes or permissions: all of them.
struct Grants {
  std::uint64_t asked_bits;
  bool without_bit;
  std::span<const std::string> asked;
  TextField field;
};
Met grants(std::uint64_t bits, bool more_in_text, const Grants& wanted,
           std::optional<std::string_view> text) {
  if ((wanted.asked_bits & ~bits) != 0) return Met::kNo;
  if (!wanted.without_bit) return Met::kYes;
  if (!more_in_text) return Met::kNo;
  if (!text) return Met::kNeedsText;
  for (const std::string& grant : wanted.asked) {
    if (!text_holds(*text, wanted.field, grant)) return Met::kNo;
  }
  return Met::kYes;
}

}  // namespace

Evaluation evaluate(const HotRecord& record, const Terms& terms, const Asked& asked,
                    std::optional<std::string_view> text) noexcept {
  const Facts facts = unpack_facts(record.facts);
  if (facts.verdict == Verdict::kInvalid) return {Verdict::kInvalid, facts.reason};
  if (facts.verdict != Verdict::kValid) return {Verdict::kUnavailable, Reason::kProtocol};
  const Principals principals = unpack_principals(record.principals);
  const bool grants_in_text = (facts.flags & kGrantsInText) != 0;

  struct Check {
    Met met;
    Verdict otherwise;
    Reason reason;
  };
  const Check checks[] = {
      {confirmation((facts.flags & kHasConfirmation) != 0, asked, text), Verdict::kForbidden,
       Reason::kConfirmationRequired},
      {audience(principals.audiences, (facts.flags & kAudienceInText) != 0, terms, asked, text),
       Verdict::kInvalid, Reason::kAudience},
      {grants(record.grants, grants_in_text,
              {terms.scopes, terms.scope_without_bit, asked.scopes, TextField::kScopes}, text),
       Verdict::kForbidden, Reason::kScope},
      {grants(
           record.grants, grants_in_text,
           {terms.permissions, terms.permission_without_bit, asked.permissions, TextField::kPermissions},
           text),
       Verdict::kForbidden, Reason::kPermission},
  };
  for (const Check& check : checks) {
    if (check.met == Met::kNeedsText) return {Verdict::kUnavailable, Reason::kOverloaded, true};
    if (check.met == Met::kNo) return {check.otherwise, check.reason};
  }
  return {Verdict::kValid, Reason::kNone};
}

}  // namespace authcache::shm
