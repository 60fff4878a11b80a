// The words of an identity: a record's text read whole, and one field of it shaped for a caller. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libclient/attachment.hpp"
#include "shm/place.hpp"
#include "shm/text.hpp"

namespace authcache::client {

enum class TextRead : std::uint8_t {
  kRead,
  kGone,      // the record is no longer there
  kOnSocket,  // it is, and its text is with the daemon
};

// The text of the record at this place, copied to `buffer` (shm::kTextMax bytes) and checked afterwards.
// Allocates nothing and makes no system call.
[[nodiscard]] TextRead read_record_text(const Attachment& table, const shm::Place& place,
                                        std::uint64_t* buffer, std::string_view& text) noexcept;

// What roles grant beside the text. Empty if the record is no longer there.
struct RoleGrants {
  const Attachment* table = nullptr;
  std::uint64_t dictionary = 0;
  std::uint64_t bits = 0;
};
[[nodiscard]] RoleGrants role_grants_at(const Attachment& table, const shm::Place& place) noexcept;

[[nodiscard]] bool still_there(const Attachment& table, const shm::Place& place) noexcept;

// Writes the field, NUL-terminated, if it fits; else an empty text. Returns its length either way.
[[nodiscard]] std::size_t shape_field(std::string_view text, shm::TextField field, char* buffer,
                                      std::size_t size, const RoleGrants& roles = {}) noexcept;

}  // namespace authcache::client
