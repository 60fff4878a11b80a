// The C ABI's pins: a record held by its place in storage that is the caller's.
#include <cstring>
#include <type_traits>

#include "libclient/c_boundary.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/record_pin.hpp"

namespace {

using authcache::client::Answer;
using authcache::client::ask_by;
using authcache::client::Attachment;
using authcache::client::Question;
using authcache::client::usage;
namespace client = authcache::client;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

// What the caller's storage holds. All zeros: nothing is pinned.
struct [[gnu::may_alias]] Held {
  shm::Pin pin;
  const Attachment* table = nullptr;
  std::uint64_t slot = 0;
};
static_assert(std::is_trivially_copyable_v<Held> && alignof(Held) <= alignof(authcache_pinned));
static_assert(sizeof(Held) <= sizeof(authcache_pinned::words));

const Held& held_in(const authcache_pinned& storage) noexcept {
  return *reinterpret_cast<const Held*>(storage.words);
}

int answer(Verdict verdict, Reason why, int* reason) noexcept {
  if (reason != nullptr) *reason = static_cast<int>(why);
  return static_cast<int>(verdict);
}

[[gnu::noinline]] int say_loss(const Held& held, int* reason) noexcept {
  const shm::PinLoss loss = shm::why_lost(held.pin, shm::coarse_now_ns);
  return answer(loss.verdict, loss.reason, reason);
}

// The record judged anew, and held if it is valid. A directory that changed under it counts as gone: a lookup
// is cheap.
int pin_record(const Attachment& table, const Question& question, const authcache_identity& identity,
               Held& held) noexcept {
  const shm::Header& header = table.view.header();
  const std::uint64_t config = shm::StdAtomics::load_acquire(header.config);
  const std::uint32_t profile = question.requirement->packed_terms(table, config).profile_entry();
  const shm::Key key = {identity.key[0], identity.key[1], identity.key[2]};
  Answer now;
  client::look_at_key(table, question, key, {identity.generation, identity.slot, identity.sequence}, now);
  if (now.verdict == Verdict::kUnavailable && now.reason == Reason::kRetired) return AUTHCACHE_MISS;
  if (now.verdict != Verdict::kValid) return static_cast<int>(now.verdict);
  if (shm::StdAtomics::load_acquire(header.config) != config) return AUTHCACHE_MISS;
  held = {
      .pin = shm::make_pin(table.view, now.found, config, profile), .table = &table, .slot = now.found.slot};
  return AUTHCACHE_VALID;
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_pin(authcache_client* of, const authcache_identity* identity,
                                const authcache_requirement* requirement, authcache_pinned* pin) {
  if (pin == nullptr || pin->size < sizeof *pin)
    return usage(of, "the pin is NULL or its size is not set; begin with AUTHCACHE_PINNED_INIT");
  // A caller that overlooks a refusal below must not find an older pin in this storage.
  authcache_unpin(pin);
  Question question;
  if (const int error = ask_by(of, requirement, question)) return error;
  if (identity == nullptr || identity->size < sizeof *identity)
    return usage(of, "the identity is NULL or has no size");
  if (identity->verdict != AUTHCACHE_VALID || identity->sequence == 0)
    return usage(of, "only the record of a valid identity can be pinned");
  const Attachment* const table = of->attacher.of_generation(identity->generation);
  if (table == nullptr) return AUTHCACHE_MISS;
  Held held;
  const int verdict = pin_record(*table, question, *identity, held);
  if (verdict == AUTHCACHE_VALID) std::memcpy(pin->words, &held, sizeof held);
  return verdict;
}

AUTHCACHE_API int authcache_pin_check(const authcache_pinned* pin, int* reason) {
  if (pin == nullptr || pin->size < sizeof *pin) return AUTHCACHE_ERROR_USAGE;
  const Held& held = held_in(*pin);
  if (held.table == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (!shm::pin_holds(held.pin, shm::coarse_now_ns)) return say_loss(held, reason);
  held.table->recency.mark(held.slot);
  return answer(Verdict::kValid, Reason::kNone, reason);
}

AUTHCACHE_API void authcache_unpin(authcache_pinned* pin) {
  if (pin != nullptr) std::memset(pin->words, 0, sizeof pin->words);
}

}  // extern "C"
