// The C ABI's identities: their texts, and what they may do.
#include "libclient/c_boundary.hpp"
#include "libclient/identity_text.hpp"
#include "libclient/permissions_held.hpp"
#include "shm/text.hpp"

namespace {

using authcache::client::Attachment;
using authcache::client::Deadline;
using authcache::client::Exchanged;
using authcache::client::usage;
using authcache::client::without_exceptions;
namespace client = authcache::client;
namespace shm = authcache::shm;

constexpr int kTextTimeoutMs = 1000;  // a text the daemon has in memory; longer, and it is not serving

int fetched_text(authcache_client& of, const Attachment& table, const shm::Place& place, shm::TextField field,
                 char* buffer, std::size_t size) {
  std::string text;
  const Exchanged how = of.miss_path.fetch_text(place, Deadline::in_ms(kTextTimeoutMs), text);
  if (how != Exchanged::kReplied) return AUTHCACHE_ERROR_UNAVAILABLE;
  if (text.empty() || !client::still_there(table, place)) return AUTHCACHE_ERROR_GONE;
  return static_cast<int>(client::shape_field(text, field, buffer, size, client::role_grants_at(table, place)));
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_identity_text(authcache_client* of, const authcache_identity* identity,
                                          authcache_field field, char* buffer, size_t size) {
  if (buffer != nullptr && size > 0) buffer[0] = '\0';
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (identity == nullptr || identity->size < sizeof *identity)
    return usage(of, "the identity is NULL or has no size");
  if (identity->sequence == 0)
    return usage(of, "the identity has no record: its verdict was miss or unavailable");
  if (buffer == nullptr && size > 0) return usage(of, "the buffer is NULL and its size is not 0");
  const int number = static_cast<int>(field);
  if (number < AUTHCACHE_FIELD_SUBJECT || number > AUTHCACHE_FIELD_CLAIMS)
    return usage(of, "there is no such field");
  const shm::Place place{identity->generation, identity->slot, identity->sequence};
  const Attachment* const table = of->attacher.of_generation(place.generation);
  if (table == nullptr) return AUTHCACHE_ERROR_GONE;
  std::uint64_t words[shm::kTextMax / 8];
  std::string_view text;
  const auto wanted = static_cast<shm::TextField>(number);
  switch (client::read_record_text(*table, place, words, text)) {
    case client::TextRead::kRead: {
      const client::RoleGrants roles = client::role_grants_at(*table, place);
      if (wanted == shm::TextField::kPermissions && roles.table == nullptr) break;
      return static_cast<int>(client::shape_field(text, wanted, buffer, size, roles));
    }
    case client::TextRead::kOnSocket:
      return without_exceptions(of, [&] { return fetched_text(*of, *table, place, wanted, buffer, size); });
    case client::TextRead::kGone: break;
  }
  return AUTHCACHE_ERROR_GONE;
}

AUTHCACHE_API int authcache_identity_permissions(authcache_client* of, const authcache_identity* identity,
                                                 const authcache_requirement* requirement, uint64_t* held) {
  if (held == nullptr) return usage(of, "there is no place for what is held");
  *held = 0;
  client::Question question;
  if (const int error = client::ask_by(of, requirement, question)) return error;
  if (identity == nullptr || identity->size < sizeof *identity)
    return usage(of, "the identity is NULL or has no size");
  if (identity->sequence == 0)
    return usage(of, "the identity has no record: its verdict was miss or unavailable");
  const Attachment* const table = of->attacher.of_generation(identity->generation);
  if (table == nullptr) return AUTHCACHE_MISS;
  const shm::Key key = {identity->key[0], identity->key[1], identity->key[2]};
  client::Answer now;
  client::look_at_permissions(*table, question, key, {identity->generation, identity->slot, identity->sequence}, now, *held);
  if (now.verdict == shm::Verdict::kUnavailable && now.reason == shm::Reason::kRetired) return AUTHCACHE_MISS;
  client::mark_used(table, now);
  return static_cast<int>(now.verdict);
}

}  // extern "C"
