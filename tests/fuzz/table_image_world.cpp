#include "tests/fuzz/table_image_world.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "shm/checksum.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/digest.hpp"
#include "shm/table_writer.hpp"
#include "shm/text.hpp"

namespace authcache_fuzz {

using namespace authcache::shm;

namespace {

constexpr std::uint64_t kDayNs = 86'400 * kNsPerSecond;  // a campaign's table must not go stale
constexpr std::uint64_t kFixedHeaderBytes = 104;         // what is written before publication and never after
constexpr std::uint64_t kHotHeader = 1024;

TableSpec world_spec() {
  TableSpec spec = authcache_test::small_table_spec();
  spec.heartbeat_timeout_ns = kDayNs;
  return spec;
}

}  // namespace

TableWorld::TableWorld() : table_(world_spec()), file_(::open(table_.file().c_str(), O_RDWR | O_CLOEXEC)) {
  table_.writer().set_profiles({{.name = "main", .id = kMainId, .audience = {}},
                                {.name = "other", .id = kOtherId, .audience = {"other-api"}}});
  for (std::size_t record = 0; record < kRecords; ++record) admit(record);
  const auto bytes = table_.view().geometry.file_bytes;
  pristine_.assign(reinterpret_cast<const char*>(table_.view().base), bytes);
  if (!file_) throw std::runtime_error("cannot open the table");
}

void TableWorld::admit(std::size_t record) {
  const std::string confirmation = '\1' + std::string(32, 'c');
  std::vector<std::string> scopes, permissions, audience;
  if (record == 1) scopes = {"read", "write"};
  if (record == 2) permissions = {"orders:list"};
  if (record == 5) {
    for (int i = 0; i < 70; ++i) scopes.push_back("s" + std::to_string(i));
  }
  if (record == 6) audience = {"other-api"};
  TextBuilder text;
  text.add(TextField::kSubject, "subject-" + std::to_string(record));
  for (const auto& scope : scopes) text.add(TextField::kScopes, scope);
  for (const auto& permission : permissions) text.add(TextField::kPermissions, permission);
  for (const auto& each : audience) text.add(TextField::kAudience, each);
  if (record == 2) text.add(TextField::kConfirmation, confirmation);
  std::vector<std::string> role_grants;
  if (record == 1 || record == 5) role_grants = {"documents/*:read", "reports.read"};
  for (const auto& grant : role_grants) {
    if (!table_.writer().intern_role_grant(grant)) text.add(TextField::kRoleGrant, grant);
  }
  const std::string bytes(record == 7 ? std::string_view() : text.bytes());
  const std::uint64_t now_ns = coarse_now_ns();
  RecordSpec spec;
  spec.key = key_of(token_digest(profile_of(record), token(record)));
  spec.token = spec.key;
  spec.deadline = now_ns + kDayNs;
  spec.epoch = table_.writer().epoch();
  spec.verdict = record == 3 ? Verdict::kInvalid : Verdict::kValid;
  spec.reason = record == 3 ? Reason::kRevoked : Reason::kNone;
  spec.has_confirmation = record == 2;
  spec.text_too_large = record == 7;
  if (record == 4) {
    spec.issuer = PrincipalId{1, 2, 3, 4};
    spec.signing_key = PrincipalId{5, 6, 7, 8};
  }
  spec.scopes = scopes;
  spec.permissions = permissions;
  spec.role_grants = role_grants;
  spec.audience = audience;
  spec.text = bytes;
  spec.profile_id = profile_of(record);
  places_[record] = table_.writer().insert(spec, now_ns).value();
}

std::uint64_t TableWorld::take_value(Bytes& bytes) const {
  const std::uint8_t kind = bytes.byte();
  switch (kind % 6) {
    case 0: return bytes.take<std::uint64_t>();
    case 1: return bytes.byte();
    case 2: return ~std::uint64_t{bytes.byte()};
    case 3:
      return coarse_now_ns() +
             static_cast<std::uint64_t>(std::int64_t{bytes.take<std::int32_t>()} * 1'000'000);
    case 4: return std::uint64_t{1} << (bytes.byte() % 64);
    default: return (std::uint64_t{1} << (bytes.byte() % 64)) - 1;
  }
}

void TableWorld::store(BentTable& table, std::uint64_t offset, std::uint64_t value) {
  if (offset + 8 > image_bytes_) return;
  if (offset < kFixedHeaderBytes) table.pristine_header = false;
  std::memcpy(image_.get() + offset, &value, sizeof value);
}

// The file that table_ maps may be shorter by now: nothing but its geometry is read there.
TableView TableWorld::image_view() const {
  TableView view = table_.view();
  view.base = image_.get();
  return view;
}

// As a writer would have computed it over the words that stand there now.
void TableWorld::mend_checksum(std::size_t record) {
  TableView view = image_view();
  std::memcpy(view.secret.data(), image_.get() + 512, sizeof view.secret);
  const std::uint64_t slot = places_[record].slot;
  HotRecord hot{};
  for (std::size_t i = 0; i < 3; ++i) hot.key[i] = StdAtomics::load_relaxed(view.slot(slot).key[i]);
  hot.facts = StdAtomics::load_relaxed(view.slot(slot).facts);
  hot.principals = StdAtomics::load_relaxed(view.slot(slot).principals);
  hot.grants = StdAtomics::load_relaxed(view.slot(slot).grants);
  const ColdRecord cold = load_cold(view.cold(slot));
  if (!text_in_bounds(view.geometry, cold)) return;
  const auto* text =
      reinterpret_cast<const char*>(image_.get() + view.geometry.text + cold.text_unit * kTextUnitBytes);
  const std::uint64_t sum = record_checksum(hot, cold, {text, cold.text_bytes}, view.secret);
  StdAtomics::store_relaxed(view.cold(slot).checksum, sum);
}

void TableWorld::step(Bytes& bytes, BentTable& table) {
  const Geometry& g = table_.view().geometry;
  const std::uint8_t kind = bytes.byte();
  const std::size_t record = bytes.byte() % kRecords;
  const std::uint64_t slot = places_[record].slot;
  switch (kind % 11) {
    case 0: return store(table, bytes.take<std::uint32_t>() % (g.file_bytes / 8) * 8, take_value(bytes));
    case 1: return store(table, g.hot + slot * 64 + bytes.byte() % 8 * 8, take_value(bytes));
    case 2: return store(table, g.cold + slot * 64 + bytes.byte() % 8 * 8, take_value(bytes));
    case 3: return store(table, kHotHeader + bytes.byte() % 35 * 8, take_value(bytes));
    case 4: return store(table, bytes.byte() % 16 * 8, take_value(bytes));
    case 5: {  // a byte of a text
      const std::uint64_t unit = load_cold(image_view().cold(slot)).text_unit & 0xffff;
      const std::uint64_t at = g.text + unit * kTextUnitBytes + bytes.take<std::uint16_t>() % 1024;
      if (at < image_bytes_) image_[at] = std::byte{bytes.byte()};
      return;
    }
    case 6: {
      const std::uint64_t entry = bytes.byte() % (kGrantBits + kAudienceBits);
      return store(table, g.dictionary + entry * sizeof(DictionaryEntry) + bytes.byte() % 33 * 8,
                   take_value(bytes));
    }
    case 7: {
      const std::uint64_t entry = bytes.byte() % 2 * kProfilesMax + bytes.byte() % 3;
      return store(table, g.profiles + entry * sizeof(ProfileEntry) + std::uint64_t{bytes.byte()} * 8,
                   take_value(bytes));
    }
    case 8: {  // the record a second time, somewhere else
      const std::uint64_t other = bytes.take<std::uint16_t>() % g.slots;
      std::memcpy(image_.get() + g.hot + other * 64, image_.get() + g.hot + slot * 64, 64);
      std::memcpy(image_.get() + g.cold + other * 64, image_.get() + g.cold + slot * 64, 64);
      return;
    }
    case 9: return mend_checksum(record);
    default: {  // issuer and key epochs, issuers, keys
      const std::uint64_t starts[] = {g.issuer_epochs, g.key_epochs, g.issuers, g.keys};
      return store(table, starts[bytes.byte() % 4] + bytes.byte() % 16 * 8, take_value(bytes));
    }
  }
}

BentTable TableWorld::bend(Bytes& bytes) {
  BentTable table;
  // A size that a header may explain after all, or a crooked one.
  const std::uint8_t resize = bytes.byte();
  std::uint64_t size = pristine_.size();
  if ((resize & 0xf0) == 0xf0)
    size +=
        static_cast<std::uint64_t>(std::int64_t{bytes.take<std::int16_t>()} * ((resize & 1) != 0 ? 4096 : 1));
  size = std::max<std::uint64_t>(std::min<std::uint64_t>(size, 4 * pristine_.size()), 1);
  table.file_bytes = size;
  table.pristine_header = size == pristine_.size();
  const std::uint64_t wanted = round_up(std::max(size, std::uint64_t{pristine_.size()}), kPageBytes);
  if (image_bytes_ != wanted) {
    image_.reset(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, wanted)));
    image_bytes_ = wanted;
    std::memset(image_.get(), 0, wanted);
  }
  std::memcpy(image_.get(), pristine_.data(), pristine_.size());
  // A day is shorter than a campaign with breaks.
  const std::uint64_t now_ns = coarse_now_ns();
  std::memcpy(image_.get() + 1032, &now_ns, sizeof now_ns);
  for (std::size_t steps = bytes.byte() % 24; steps > 0 && !bytes.empty(); --steps) step(bytes, table);
  table.image = image_.get();
  return table;
}

Result<TableFile> TableWorld::open(const BentTable& table, bool writable) {
  if (::ftruncate(file_.get(), static_cast<off_t>(table.file_bytes)) != 0 ||
      ::pwrite(file_.get(), table.image, std::min<std::uint64_t>(table.file_bytes, sizeof(Header)), 0) <= 0) {
    throw std::runtime_error("cannot write the table");
  }
  auto file = open_table(table_.file(), {.writable = writable});
  if (file) file->view.base = table.image;
  return file;
}

}  // namespace authcache_fuzz
