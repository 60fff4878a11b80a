#include "libclient/permissions_held.hpp"

#include "shm/evaluate.hpp"
#include "shm/facts.hpp"

namespace authcache::client {
namespace {

using A = shm::StdAtomics;
using shm::HeldBy;
using shm::Reason;
using shm::Verdict;

constexpr std::uint64_t all_of(std::size_t count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// What the kept places leave open. Apart, so that what bits decide never touches this many pages of stack.
[[gnu::noinline]] void judge_rest(const Attachment& table, const Requirement& requirement, std::uint64_t dictionary,
                                  std::uint64_t open, Answer& answer, std::uint64_t& held) noexcept {
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  std::optional<std::string_view> text;
  for (; open != 0; open &= open - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(open));
    const std::string_view permission = requirement.permissions()[i];
    const shm::PermissionBits bits = shm::permission_bits_of(table.view, dictionary, permission);
    HeldBy how = shm::how_held(answer.found.record, bits, permission, text);
    if (how == HeldBy::kNeedsText) {
      if ((shm::unpack_facts(answer.found.record.facts).flags & shm::kTextOnSocket) != 0) {
        answer = answer_without_record(Verdict::kUnavailable, Reason::kOverloaded);
        return;
      }
      shm::ColdRecord cold;
      text = shm::read_text(table.view, answer.found.slot, answer.found.record.control, buffer, cold);
      if (!text) {
        answer = answer_without_record(Verdict::kMiss, Reason::kNone);
        return;
      }
      how = shm::how_held(answer.found.record, bits, permission, text);
    }
    if (how == HeldBy::kBits || how == HeldBy::kText) held |= std::uint64_t{1} << i;
  }
}

// The dictionary word is loaded after the record's words: lookup_steps.hpp says why.
void judge_each(const Attachment& table, const Requirement& requirement, Answer& answer, std::uint64_t& held) noexcept {
  const std::uint64_t dictionary = A::load_acquire(table.view.header().dictionary);
  const PermissionPlaces places = requirement.permission_places(table, dictionary);
  const shm::HotRecord& record = answer.found.record;
  const std::uint16_t flags = shm::unpack_facts(record.facts).flags;
  std::uint64_t open = 0;
  for (std::size_t i = 0; i < requirement.permissions().size(); ++i) {
    const std::uint8_t place = places[i];
    const bool has = place != kPlaceNone && (record.grants >> (place & kPlaceBit) & 1) != 0;
    const std::uint16_t more = place == kPlaceNone ? shm::kGrantsInText : shm::kPatternsInText;
    held |= std::uint64_t{has} << i;
    open |= std::uint64_t{!has && ((flags & more) != 0 || (place & kPlacePatternsToo) != 0)} << i;
  }
  if (open != 0) judge_rest(table, requirement, dictionary, open, answer, held);
}

}  // namespace

void look_at_permissions(const Attachment& table, const Question& question, const shm::Key& key, const shm::Place& place,
                         Answer& answer, std::uint64_t& held) noexcept {
  held = 0;
  look_at_key(table, question, key, place, answer);
  if (answer.verdict == Verdict::kValid) {
    held = all_of(question.requirement->permissions().size());
    return;
  }
  // Permissions are judged last: everything else that was asked is met.
  if (answer.verdict != Verdict::kForbidden || answer.reason != Reason::kPermission) return;
  answer.verdict = Verdict::kValid;
  answer.reason = Reason::kNone;
  judge_each(table, *question.requirement, answer, held);
  // A range given up under any of these loads reads as zeros from then on.
  if (!shm::still_serving(table.view)) answer = answer_without_record(Verdict::kMiss, Reason::kNone);
  if (answer.verdict != Verdict::kValid) held = 0;
}

}  // namespace authcache::client
