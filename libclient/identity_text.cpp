#include "libclient/identity_text.hpp"

#include <cstring>
#include <utility>

#include "shm/role_granted.hpp"
#include "shm/table_reader.hpp"

namespace authcache::client {
namespace {

using A = shm::StdAtomics;
using shm::TextField;

// Counts everything and writes what has room; one byte is kept for the NUL.
class Output {
 public:
  Output(char* buffer, std::size_t size)
      : buffer_(buffer), room_(size == 0 ? 0 : size - 1), has_buffer_(size > 0) {}

  void put(std::string_view bytes) {
    if (length_ + bytes.size() <= room_) std::memcpy(buffer_ + length_, bytes.data(), bytes.size());
    length_ += bytes.size();
  }
  // A part of a text is never shown: a cut subject could be another one.
  std::size_t finish() {
    if (has_buffer_) buffer_[length_ <= room_ ? length_ : 0] = '\0';
    return length_;
  }

 private:
  char* buffer_;
  std::size_t room_;
  bool has_buffer_;
  std::size_t length_ = 0;
};

void put_json_string(Output& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out.put("\"");
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      const char escaped[] = {'\\', c};
      out.put({escaped, sizeof escaped});
    } else if (byte < 0x20) {
      const char escaped[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 0xf]};
      out.put({escaped, sizeof escaped});
    } else {
      out.put({&c, 1});
    }
  }
  out.put("\"");
}

bool is_list(TextField field) { return field == TextField::kScopes || field == TextField::kPermissions; }

}  // namespace

bool still_there(const Attachment& table, const shm::Place& place) noexcept {
  if (place.slot >= table.view.geometry.slots || place.sequence == 0) return false;
  const std::uint64_t control = shm::make_control(place.sequence, shm::SlotState::kLive);
  return A::load_acquire(table.view.slot(place.slot).control) == control;
}

TextRead read_record_text(const Attachment& table, const shm::Place& place, std::uint64_t* buffer,
                          std::string_view& text) noexcept {
  if (!still_there(table, place)) return TextRead::kGone;
  shm::prefetch_text(table.view, place.slot);
  const shm::Slot& slot = table.view.slot(place.slot);
  const std::uint64_t control = shm::make_control(place.sequence, shm::SlotState::kLive);
  const shm::Facts facts = shm::unpack_facts(A::load_acquire(slot.facts));
  if ((facts.flags & shm::kTextOnSocket) != 0) {
    return shm::still_live(slot, control) ? TextRead::kOnSocket : TextRead::kGone;
  }
  shm::ColdRecord cold;
  const auto read = shm::read_text(table.view, place.slot, control, buffer, cold);
  if (!read) return TextRead::kGone;
  text = *read;
  return TextRead::kRead;
}

RoleGrants role_grants_at(const Attachment& table, const shm::Place& place) noexcept {
  if (!still_there(table, place)) return {};
  const shm::Slot& slot = table.view.slot(place.slot);
  const std::uint64_t bits = A::load_acquire(slot.grants);
  const RoleGrants roles{&table, A::load_acquire(table.view.header().dictionary), bits};
  return shm::still_live(slot, shm::make_control(place.sequence, shm::SlotState::kLive)) ? roles : RoleGrants{};
}

std::size_t shape_field(std::string_view text, TextField field, char* buffer, std::size_t size,
                        const RoleGrants& roles) noexcept {
  Output out(buffer, size);
  const bool json = field == TextField::kAudience;
  if (json) out.put("[");
  shm::TextCursor cursor(text);
  bool first = true;
  while (const auto item = cursor.next()) {
    if (item->field != field) continue;
    if (!first) {
      if (!json && !is_list(field)) break;
      out.put(json ? "," : " ");
    }
    first = false;
    if (json) {
      put_json_string(out, item->value);
    } else {
      out.put(item->value);
    }
  }
  if (field == TextField::kPermissions && roles.table != nullptr) {
    shm::each_role_grant(roles.table->view, roles.dictionary, roles.bits, text, [&](std::string_view grant) {
      if (!std::exchange(first, false)) out.put(" ");
      out.put(grant);
    });
  }
  if (json) out.put("]");
  return out.finish();
}

}  // namespace authcache::client
