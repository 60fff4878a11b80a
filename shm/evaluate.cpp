#include "shm/evaluate.hpp"

#include "shm/facts.hpp"
#include "shm/permission_pattern.hpp"
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

Met scopes(std::uint64_t bits, bool more_in_text, const Terms& terms, const Asked& asked,
           std::optional<std::string_view> text) {
  if ((terms.scopes & ~bits) != 0) return Met::kNo;
  if (!terms.scope_without_bit) return Met::kYes;
  if (!more_in_text) return Met::kNo;
  if (!text) return Met::kNeedsText;
  for (const std::string& scope : asked.scopes) {
    if (!text_holds(*text, TextField::kScopes, scope)) return Met::kNo;
  }
  return Met::kYes;
}

bool permission_in_text(std::string_view text, std::string_view permission) {
  TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    if (item->field == TextField::kPermissions && item->value == permission) return true;
    if (item->field == TextField::kRoleGrant && covers_permission(item->value, permission)) return true;
  }
  return false;
}

Met permissions(const HotRecord& record, std::uint16_t flags, const Terms& terms, const Asked& asked,
                std::optional<std::string_view> text) {
  const bool lacks_bits = (terms.permissions & ~record.grants) != 0;
  if (!lacks_bits && !terms.permission_without_bit) return Met::kYes;
  // A bit that is missing settles it, unless another bit or the text may say the same.
  if (lacks_bits && !terms.permission_by_pattern && (flags & kPatternsInText) == 0) return Met::kNo;
  if (terms.permission_without_bit && (flags & kGrantsInText) == 0) return Met::kNo;
  bool needs_text = false;
  for (const std::string& permission : asked.permissions) {
    const PermissionBits bits =
        asked.view == nullptr ? PermissionBits{} : permission_bits_of(*asked.view, terms.dictionary, permission);
    switch (how_held(record, bits, permission, text)) {
      case HeldBy::kNothing: return Met::kNo;
      case HeldBy::kNeedsText: needs_text = true; break;
      case HeldBy::kBits:
      case HeldBy::kText: break;
    }
  }
  return needs_text ? Met::kNeedsText : Met::kYes;
}

}  // namespace

HeldBy how_held(const HotRecord& record, const PermissionBits& bits, std::string_view permission,
                std::optional<std::string_view> text) noexcept {
  if ((bits.any() & record.grants) != 0) return HeldBy::kBits;
  // What has a bit of its own stands in the text alone only as part of a pattern.
  const std::uint16_t flag = bits.exact != 0 ? kPatternsInText : kGrantsInText;
  if ((unpack_facts(record.facts).flags & flag) == 0) return HeldBy::kNothing;
  if (!text) return HeldBy::kNeedsText;
  return permission_in_text(*text, permission) ? HeldBy::kText : HeldBy::kNothing;
}

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
      {scopes(record.grants, grants_in_text, terms, asked, text), Verdict::kForbidden, Reason::kScope},
      {permissions(record, facts.flags, terms, asked, text), Verdict::kForbidden, Reason::kPermission},
  };
  for (const Check& check : checks) {
    if (check.met == Met::kNeedsText) return {Verdict::kUnavailable, Reason::kOverloaded, true};
    if (check.met == Met::kNo) return {check.otherwise, check.reason};
  }
  return {Verdict::kValid, Reason::kNone};
}

}  // namespace authcache::shm
