#include "tools/authctl/table_inspection.hpp"

#include <array>
#include <cstring>

#include "shm/table_reader.hpp"
#include "shm/text.hpp"

namespace authctl {
namespace {

using namespace authcache::shm;
using A = StdAtomics;

constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string hex_of(const void* bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<const std::uint8_t*>(bytes)[i];
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 0xf];
  }
  return text;
}

std::string slot_state_name(SlotState state) {
  switch (state) {
    case SlotState::kEmpty: return "empty";
    case SlotState::kBusy: return "busy";
    case SlotState::kLive: return "live";
    case SlotState::kRevoked: return "dead_revoked";
    case SlotState::kExpired: return "dead_expired";
    case SlotState::kEvicted: return "dead_evicted";
    case SlotState::kMoved: return "dead_moved";
  }
  return "unknown";
}

// The first byte names the kind of thumbprint (shm/text.hpp), the rest is the thumbprint.
std::string confirmation_text(std::string_view value) {
  constexpr std::size_t kThumbprintBytes = 32;
  if (value.size() != 1 + kThumbprintBytes || (value[0] != 1 && value[0] != 2))
    return "unknown " + hex_of(value.data(), value.size());
  return (value[0] == 1 ? "jkt " : "x5t#S256 ") + hex_of(value.data() + 1, kThumbprintBytes);
}

void add_field(RecordText& text, const TextCursor::Item& item) {
  switch (item.field) {
    case TextField::kSubject: text.subject = item.value; break;
    case TextField::kIssuer: text.issuer = item.value; break;
    case TextField::kClientId: text.client_id = item.value; break;
    case TextField::kSid: text.sid = item.value; break;
    case TextField::kJti: text.jti = item.value; break;
    case TextField::kScopes: text.scopes.emplace_back(item.value); break;
    case TextField::kPermissions: text.permissions.emplace_back(item.value); break;
    case TextField::kAudience: text.audience.emplace_back(item.value); break;
    case TextField::kClaims: text.claims = item.value; break;
    case TextField::kConfirmation: text.confirmation = confirmation_text(item.value); break;
    case TextField::kRoleGrant: text.permissions.emplace_back(item.value); break;
  }
}

// True if every byte belonged to a field.
bool read_fields(std::string_view bytes, RecordText& text) {
  TextCursor cursor(bytes);
  while (const auto item = cursor.next()) add_field(text, *item);
  return cursor.whole();
}

std::int64_t relative(std::uint64_t time_ns, std::uint64_t now_ns) {
  return static_cast<std::int64_t>(time_ns - now_ns);
}

// Nothing if the record is gone by the time its cold part was read.
std::optional<RecordView> view_of(const TableView& view, const std::vector<ProfileDescription>& profiles,
                                  const HotRecord& hot, std::uint64_t slot, std::uint64_t now_ns) {
  const Facts facts = unpack_facts(hot.facts);
  RecordView record{.generation = view.generation,
                    .slot = slot,
                    .sequence = hot.sequence(),
                    .digest = hex_of(hot.key.data(), sizeof hot.key),
                    .verdict = facts.verdict,
                    .reason = facts.reason,
                    .current = is_current(view, hot, now_ns),
                    .remaining_ns = relative(hot.deadline, now_ns),
                    .epoch = facts.epoch};
  alignas(8) std::array<std::uint64_t, kTextMax / 8> buffer{};
  ColdRecord cold;
  const auto text = read_text(view, slot, hot.control, buffer.data(), cold);
  if (!still_live(view.slot(slot), hot.control)) return std::nullopt;
  record.text_damaged = !text || !read_fields(*text, record.text);
  record.text_on_socket = (facts.flags & kTextOnSocket) != 0;
  record.profile_id = cold.profile_id;
  record.expires_wall_ns = cold.expires_wall_ns;
  if (cold.issued_wall_ns != INT64_MIN) record.issued_wall_ns = cold.issued_wall_ns;
  for (const auto& profile : profiles) {
    if (profile.id == cold.profile_id) record.profile = profile.name;
  }
  return record;
}

}  // namespace

TableSummary summarize(const TableView& view, std::uint64_t now_ns) {
  const Header& header = view.header();
  TableSummary summary{.generation = view.generation,
                       .state = A::load_acquire(header.state),
                       .geometry = view.geometry,
                       .heartbeat_timeout_ns = view.heartbeat_timeout_ns,
                       .heartbeat_age_ns = relative(now_ns, A::load_acquire(header.heartbeat_ns)),
                       .all_epoch = A::load_acquire(header.all_epoch),
                       .epoch_counter = A::load_acquire(header.epoch_counter),
                       .durable_change = A::load_acquire(header.durable_change),
                       .negative_max = A::load_acquire(header.negative_max),
                       .text_used_bytes = A::load_acquire(header.text_used_bytes)};
  for (std::uint32_t i = 0; i < kIssuersMax; ++i)
    summary.issuer_epochs_raised += A::load_acquire(view.issuer_epoch(i)) != 0 ? 1 : 0;
  for (std::uint32_t i = 0; i < kKeysMax; ++i)
    summary.key_epochs_raised += A::load_acquire(view.key_epoch(i)) != 0 ? 1 : 0;
  const std::array<std::uint64_t, 2> uuid{A::load_acquire(header.database_uuid[0]),
                                          A::load_acquire(header.database_uuid[1])};
  summary.database_uuid = hex_of(uuid.data(), sizeof uuid);
  summary.profiles = read_profiles(view);
  const DictionarySizes sizes = unpack_dictionary(A::load_acquire(header.dictionary));
  for (std::uint32_t bit = 0; bit < sizes.grants; ++bit)
    summary.dictionary.push_back(dictionary_text(view, false, bit));
  for (std::uint32_t bit = 0; bit < sizes.audiences; ++bit)
    summary.dictionary.push_back(dictionary_text(view, true, bit));
  return summary;
}

std::string_view table_state_name(std::uint64_t state) {
  switch (static_cast<TableState>(state)) {
    case TableState::kRetired: return "retired";
    case TableState::kLive: return "live";
    case TableState::kMoving: return "moving";
  }
  return "?";
}

std::map<std::string, std::uint64_t> count_slots(const TableView& view) {
  std::array<std::uint64_t, 1 << kStateBits> by_state{};
  for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
    ++by_state[A::load_relaxed(view.slot(slot).control) & 0xff];
  }
  std::map<std::string, std::uint64_t> counts;
  for (std::size_t state = 0; state < by_state.size(); ++state) {
    if (by_state[state] > 0) counts[slot_state_name(static_cast<SlotState>(state))] += by_state[state];
  }
  return counts;
}

void for_each_record(const TableView& view, std::uint64_t now_ns, const RecordSink& sink) {
  const auto profiles = read_profiles(view);
  for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
    const auto& word = view.slot(slot);
    if (control_state(A::load_acquire(word.control)) != SlotState::kLive) continue;
    const Key key{A::load_acquire(word.key[0]), A::load_acquire(word.key[1]), A::load_acquire(word.key[2])};
    HotRecord hot;
    if (read_slot(word, key, hot) != SlotRead::kRead) continue;
    if (const auto record = view_of(view, profiles, hot, slot, now_ns)) sink(*record);
  }
}

std::optional<RecordView> find_record(const TableView& view, const Key& key, std::uint64_t now_ns) {
  Found found;
  const BucketPair pair = buckets_of(key, view.secret.data(), view.geometry.buckets);
  if (!find(view, key, pair, likely_slot(view, key, pair), found)) return std::nullopt;
  return view_of(view, read_profiles(view), found.record, found.slot, now_ns);
}

std::optional<Key> parse_digest(std::string_view hex) {
  constexpr std::size_t kLeast = 2 * sizeof(Key);
  constexpr std::size_t kMost = 2 * sizeof(Digest);
  if (hex.size() < kLeast || hex.size() > kMost || hex.size() % 2 != 0) return std::nullopt;
  std::array<std::uint8_t, sizeof(Digest)> bytes{};
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const char lower = hex[i] >= 'A' && hex[i] <= 'F' ? static_cast<char>(hex[i] - 'A' + 'a') : hex[i];
    const std::size_t digit = kHexDigits.find(lower);
    if (digit == std::string_view::npos) return std::nullopt;
    bytes[i / 2] = static_cast<std::uint8_t>((bytes[i / 2] << 4) | digit);
  }
  Key key;
  std::memcpy(key.data(), bytes.data(), sizeof key);
  return key;
}

}  // namespace authctl
