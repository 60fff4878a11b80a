// The C ABI's texts: an identity's fields.
#include "libclient/c_boundary.hpp"
#include "libclient/identity_text.hpp"
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
  return static_cast<int>(client::shape_field(text, field, buffer, size));
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
    case client::TextRead::kRead: return static_cast<int>(client::shape_field(text, wanted, buffer, size));
    case client::TextRead::kOnSocket:
      return without_exceptions(of, [&] { return fetched_text(*of, *table, place, wanted, buffer, size); });
    case client::TextRead::kGone: break;
  }
  return AUTHCACHE_ERROR_GONE;
}

}  // extern "C"
