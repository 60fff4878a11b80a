// The table under its readers and its next writer: any words where the daemon's should stand. Opening refuses
// or finds a geometry that fits; a lookup never leaves the file, ends in a bounded number of steps, and is
// `valid` only if the bytes, read a second time by the letter of the format, permit it; what adoption leaves
// is whole, single and counted, and can be written on.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "libclient/identity_text.hpp"
#include "libclient/lookup.hpp"
#include "shm/checksum.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/table_writer.hpp"
#include "tests/fuzz/table_image_oracle.hpp"
#include "tests/fuzz/table_image_world.hpp"
#include "tools/authctl/printable.hpp"
#include "tools/authctl/table_inspection.hpp"

namespace {

using namespace authcache;
using namespace authcache_fuzz;
using authcache_fuzz::Image;
using shm::StdAtomics;
using shm::Verdict;

// --- readers

struct Caller {
  std::unique_ptr<client::Requirement> requirement;
  Asked asked;
};

Caller caller(const std::string& profile, std::vector<std::string> scopes,
              std::vector<std::string> permissions, std::vector<std::string> audiences, char confirmation) {
  Caller made{std::make_unique<client::Requirement>(nullptr, profile), {}};
  for (const auto& scope : scopes) made.requirement->add(shm::DictionaryKind::kScope, scope);
  for (const auto& permission : permissions)
    made.requirement->add(shm::DictionaryKind::kPermission, permission);
  for (const auto& audience : audiences) made.requirement->add(shm::DictionaryKind::kAudience, audience);
  made.asked = {.profile = profile,
                .token = {},
                .scopes = std::move(scopes),
                .permissions = std::move(permissions),
                .audiences = std::move(audiences)};
  if (confirmation != 0) made.asked.confirmation = '\1' + std::string(32, confirmation);
  return made;
}

std::vector<Caller> callers() {
  std::vector<Caller> all;
  all.push_back(caller("main", {}, {}, {}, 0));
  all.push_back(caller("main", {"read"}, {}, {}, 0));
  all.push_back(caller("main", {"s1", "s69"}, {}, {}, 0));
  all.push_back(caller("main", {}, {"orders:list"}, {}, 'c'));
  all.push_back(caller("main", {}, {"documents/7:read", "reports.read"}, {}, 0));
  all.push_back(caller("main", {}, {}, {"main-api"}, 0));
  all.push_back(caller("other", {}, {}, {}, 0));
  return all;
}

client::Answer looked_up(const client::Attachment& table, const Caller& by, const std::string& token,
                         const shm::Place* place) {
  authcache_thumbprint thumbprint{};
  thumbprint.size = sizeof thumbprint;
  thumbprint.kind = AUTHCACHE_THUMBPRINT_JKT;
  if (!by.asked.confirmation.empty()) std::memcpy(thumbprint.bytes, by.asked.confirmation.data() + 1, 32);
  const client::Question question{token, by.requirement.get(),
                                  by.asked.confirmation.empty() ? nullptr : &thumbprint};
  client::Answer answer;
  const std::uint64_t from_ns = shm::coarse_now_ns();
  client::look(table, question, place, answer);
  FUZZ_REQUIRE(answer.verdict <= Verdict::kUnavailable);
  if (answer.verdict == Verdict::kValid) {
    Asked asked = by.asked;
    asked.token = token;
    FUZZ_REQUIRE(
        Image(table.view.base, table.view.geometry).permits_valid(asked, from_ns, shm::coarse_now_ns()));
    FUZZ_REQUIRE(answer.has_record && answer.found.slot < table.view.geometry.slots);
  }
  return answer;
}

// The text of whatever stands at a place, into room of exactly the size promised.
void require_text(const client::Attachment& table, const shm::Place& place) {
  static const auto buffer = std::make_unique<std::uint64_t[]>(shm::kTextMax / 8);
  std::string_view text;
  const auto read = client::read_record_text(table, place, buffer.get(), text);
  if (read != client::TextRead::kRead) return;
  FUZZ_REQUIRE(client::still_there(table, place) && text.size() <= shm::kTextMax);
  char shown[256];
  for (std::uint8_t field = 1; field <= 11; ++field) {
    (void)client::shape_field(text, static_cast<shm::TextField>(field), shown, sizeof shown);
    FUZZ_REQUIRE(std::memchr(shown, '\0', sizeof shown) != nullptr);
  }
}

void read_as_clients(TableWorld& world, const BentTable& bent, Bytes& bytes) {
  static std::uint64_t ordinal =
      0;  // as within a client, where what a requirement has compiled is kept by it
  auto file = world.open(bent, false);
  FUZZ_REQUIRE(file.has_value() || !bent.pristine_header);
  if (!file) {
    FUZZ_REQUIRE(!file.error().message.empty());
    return;
  }
  FUZZ_REQUIRE(file->view.geometry.file_bytes == bent.file_bytes);
  const client::Attachment table(shm::Mapping(), file->view, ++ordinal, nullptr);
  static const std::vector<Caller> all = callers();
  for (std::size_t record = 0; record < kRecords; ++record) {
    for (const Caller& by : all) {
      const auto answer = looked_up(table, by, TableWorld::token(record), nullptr);
      if (answer.has_record)
        require_text(table, {answer.generation, answer.found.slot, answer.found.record.sequence()});
    }
    shm::Place place = world.place(record);
    (void)looked_up(table, all[0], TableWorld::token(record), &place);
    const std::uint8_t bent_place = bytes.byte();
    if ((bent_place & 1) != 0) place.slot = bytes.take<std::uint64_t>();
    if ((bent_place & 2) != 0) place.sequence = bytes.take<std::uint64_t>();
    if ((bent_place & 4) != 0) place.generation = table.view.generation;
    (void)looked_up(table, all[0], TableWorld::token(record), &place);
    require_text(table, place);
  }
  (void)looked_up(table, all[0], "nobody's token", nullptr);
}

// --- authctl

void require_shown(const std::string& text) {
  const std::string shown = authctl::printable(text);
  FUZZ_REQUIRE(authctl::is_utf8(shown));
  FUZZ_REQUIRE(
      std::ranges::none_of(shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
}

void inspect(TableWorld& world, const BentTable& bent) {
  const auto file = world.open(bent, false);
  if (!file) return;
  const std::uint64_t now_ns = shm::coarse_now_ns();
  const auto summary = authctl::summarize(file->view, now_ns);
  FUZZ_REQUIRE(summary.profiles.size() <= shm::kProfilesMax);
  FUZZ_REQUIRE(summary.dictionary.size() <= shm::kGrantBits + shm::kAudienceBits);
  for (const auto& profile : summary.profiles) require_shown(profile.name);
  for (const auto& entry : summary.dictionary) require_shown(entry.text);
  std::uint64_t counted = 0;
  for (const auto& [state, count] : authctl::count_slots(file->view)) counted += count;
  FUZZ_REQUIRE(counted == file->view.geometry.slots);
  authctl::for_each_record(file->view, now_ns, [&](const authctl::RecordView& record) {
    FUZZ_REQUIRE(record.slot < file->view.geometry.slots && record.digest.size() == 48);
    require_shown(record.text.subject);
    require_shown(record.text.claims);
  });
  for (std::size_t record = 0; record < kRecords; ++record) {
    const auto key =
        shm::key_of(shm::token_digest(TableWorld::profile_of(record), TableWorld::token(record)));
    (void)authctl::find_record(file->view, key, now_ns);
  }
}

// --- the next writer

void require_sound(const shm::TableWriter& writer) {
  const shm::TableView& view = writer.view();
  std::uint64_t live = 0, negative = 0;
  std::set<shm::Key> keys;
  std::map<std::uint64_t, std::uint64_t> texts;  // first unit -> end
  alignas(8) static std::uint64_t buffer[shm::kTextMax / 8];
  for (std::uint64_t slot = 0; slot < view.geometry.slots; ++slot) {
    const shm::HotRecord hot = writer.peek(slot);
    FUZZ_REQUIRE(shm::control_state(hot.control) != shm::SlotState::kBusy);
    if (shm::control_state(hot.control) != shm::SlotState::kLive) continue;
    ++live;
    negative += shm::unpack_facts(hot.facts).verdict != Verdict::kValid ? 1 : 0;
    FUZZ_REQUIRE(keys.insert(hot.key).second);
    const auto pair = shm::buckets_of(hot.key, view.secret.data(), view.geometry.buckets);
    FUZZ_REQUIRE(slot / 2 == pair.first || slot / 2 == pair.second);
    shm::ColdRecord cold;
    const auto text = shm::read_text(view, slot, hot.control, buffer, cold);
    FUZZ_REQUIRE(text.has_value());
    FUZZ_REQUIRE(shm::record_checksum(hot, cold, *text, view.secret) == cold.checksum);
    if (cold.text_bytes > 0) {
      const std::uint64_t end =
          cold.text_unit + (cold.text_bytes + shm::kTextUnitBytes - 1) / shm::kTextUnitBytes;
      FUZZ_REQUIRE(texts.emplace(cold.text_unit, end).second);
    }
  }
  FUZZ_REQUIRE(live == writer.live() && negative == writer.negative());
  std::uint64_t before = 0;
  for (const auto& [unit, end] : texts) {
    FUZZ_REQUIRE(unit >= before);
    before = end;
  }
}

// No record may be found current that is older than any raise.
void require_all_void(const shm::TableWriter& writer) {
  for (std::uint64_t slot = 0; slot < writer.view().geometry.slots; ++slot) {
    const shm::HotRecord hot = writer.peek(slot);
    const bool live = shm::control_state(hot.control) == shm::SlotState::kLive;
    FUZZ_REQUIRE(!live || !shm::is_current(writer.view(), hot, 0));
  }
}

void write_on(shm::TableWriter& writer, Bytes& bytes, std::uint64_t now_ns) {
  for (int steps = 0; steps < 32 && !bytes.empty(); ++steps) {
    const std::uint8_t kind = bytes.byte();
    const std::uint64_t number = bytes.byte();
    const auto key =
        number < kRecords
            ? shm::key_of(shm::token_digest(TableWorld::profile_of(number), TableWorld::token(number)))
            : shm::Key{number, number, number};
    shm::Found found;
    switch (kind % 8) {
      case 0:
      case 1: {
        const std::string text(std::size_t{bytes.byte()} * 8, 't');
        const std::vector<std::string> scopes{"new-" + std::to_string(number)};
        shm::RecordSpec spec;
        spec.key = key;
        spec.deadline = now_ns + shm::kNsPerSecond;
        spec.epoch = writer.epoch();
        spec.verdict = kind % 8 == 0 ? Verdict::kValid : Verdict::kInvalid;
        spec.scopes = scopes;
        spec.text = text;
        if ((kind & 8) != 0) spec.issuer = shm::PrincipalId{number, 1, 1, 1};
        if ((kind & 16) != 0) spec.signing_key = shm::PrincipalId{number, 2, 2, 2};
        const auto place = writer.insert(spec, now_ns);
        FUZZ_REQUIRE(place.has_value() || spec.verdict == Verdict::kInvalid);
        FUZZ_REQUIRE(writer.find(key, found) == place.has_value());
        break;
      }
      case 2:
        writer.kill(key, shm::SlotState::kRevoked);
        FUZZ_REQUIRE(!writer.find(key, found));
        break;
      case 3:
        writer.raise_all();
        require_all_void(writer);
        break;
      case 4: writer.raise_issuer({number, 1, 1, 1}); break;
      case 5: writer.raise_key({5, 6, 7, 8}); break;
      case 6: (void)writer.sweep(now_ns, writer.view().geometry.slots); break;
      default:
        (void)writer.kill_negatives();
        FUZZ_REQUIRE(writer.negative() == 0);
        break;
    }
  }
}

void adopt(TableWorld& world, const BentTable& bent, Bytes& bytes) {
  auto file = world.open(bent, true);
  if (!file) return;
  const std::uint64_t now_ns = shm::coarse_now_ns();
  std::vector<std::uint64_t> before;
  shm::TableWriter writer(std::move(*file));
  for (std::uint64_t slot = 0; slot < writer.view().geometry.slots; ++slot)
    before.push_back(writer.peek(slot).control);
  const auto report =
      writer.adopt(now_ns, [](std::uint64_t, const shm::HotRecord&, const shm::ColdRecord& cold,
                              std::string_view) { return cold.profile_id == kMainId; });
  std::uint64_t met = 0;
  for (std::uint64_t slot = 0; slot < before.size(); ++slot) {
    const auto state = shm::control_state(before[slot]);
    met += state == shm::SlotState::kLive || state == shm::SlotState::kBusy ? 1 : 0;
    // A reader that looked before must never meet its control word on another record.
    FUZZ_REQUIRE(shm::control_sequence(writer.peek(slot).control) == shm::control_sequence(before[slot]));
  }
  FUZZ_REQUIRE(met == report.kept + report.dropped_busy + report.dropped_checksum + report.dropped_duplicate +
                          report.dropped_policy);
  FUZZ_REQUIRE(report.kept == writer.live());
  require_sound(writer);
  write_on(writer, bytes, now_ns);
  require_sound(writer);
}

}  // namespace

FUZZ_TARGET(table_image) {
  static TableWorld world;
  Bytes bytes(input);
  const BentTable bent = world.bend(bytes);
  // One kind of reader for most inputs: more of them in the same time.
  const unsigned who = input.empty() ? 0 : static_cast<std::uint8_t>(input[0]) >> 1 & 3;
  if (who == 0 || who == 1) read_as_clients(world, bent, bytes);
  if (who == 0 || who == 2) inspect(world, bent);
  if (who == 0 || who == 3) adopt(world, bent, bytes);
}
