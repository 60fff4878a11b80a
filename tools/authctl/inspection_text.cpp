#include "tools/authctl/inspection_text.hpp"

#include <array>
#include <boost/json/array.hpp>
#include <cstdio>

#include "tools/authctl/printable.hpp"
#include "tools/authctl/reply_text.hpp"

namespace authctl {
namespace json = boost::json;
namespace {

using namespace authcache::shm;

std::string json_safe(const std::string& text) { return is_utf8(text) ? text : printable(text); }

json::array json_safe(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(json_safe(text));
  return out;
}

// In memory order, as the daemon prints them.
std::string id_text(std::uint64_t id) {
  std::string text;
  for (int byte = 0; byte < 8; ++byte) {
    std::array<char, 4> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", static_cast<unsigned>((id >> (8 * byte)) & 0xff));
    text += digits.data();
  }
  return text;
}

std::string kind_text(DictionaryKind kind) {
  switch (kind) {
    case DictionaryKind::kScope: return "scope";
    case DictionaryKind::kPermission: return "permission";
    case DictionaryKind::kPattern: return "pattern";
    case DictionaryKind::kAudience: return "audience";
  }
  return "unknown";
}

json::object table_object(const TableSummary& s) {
  return {{"generation", s.generation},
          {"state", table_state_name(s.state)},
          {"heartbeat_age_ns", s.heartbeat_age_ns},
          {"heartbeat_timeout_ns", s.heartbeat_timeout_ns},
          {"capacity", s.geometry.capacity},
          {"negative_max", s.negative_max},
          {"buckets", s.geometry.buckets},
          {"slots", s.geometry.slots},
          {"file_bytes", s.geometry.file_bytes},
          {"hot_offset", s.geometry.hot},
          {"cold_offset", s.geometry.cold},
          {"text_offset", s.geometry.text},
          {"text_bytes", s.geometry.text_bytes},
          {"text_used_bytes", s.text_used_bytes},
          {"epoch_counter", s.epoch_counter},
          {"all_epoch", s.all_epoch},
          {"issuer_epochs_raised", s.issuer_epochs_raised},
          {"key_epochs_raised", s.key_epochs_raised},
          {"durable_change", s.durable_change},
          {"database_uuid", s.database_uuid}};
}

// Single texts that the upstream did not state are left out; lists are always there.
json::object identity_object(const RecordText& text) {
  json::object identity;
  const auto add = [&identity](const char* member, const std::string& value) {
    if (!value.empty()) identity[member] = json_safe(value);
  };
  add("subject", text.subject);
  add("issuer", text.issuer);
  add("client_id", text.client_id);
  add("sid", text.sid);
  add("jti", text.jti);
  add("claims", text.claims);
  add("confirmation", text.confirmation);
  identity["scopes"] = json_safe(text.scopes);
  identity["permissions"] = json_safe(text.permissions);
  identity["audience"] = json_safe(text.audience);
  return identity;
}

}  // namespace

json::object summary_object(const TableSummary& summary, const std::map<std::string, std::uint64_t>& slots) {
  json::object counts;
  for (const auto& [state, count] : slots) counts[state] = count;
  json::array profiles;
  for (const auto& profile : summary.profiles) {
    profiles.push_back(
        json::object{{"name", json_safe(profile.name)},
                     {"id", id_text(profile.id)},
                     {"state", profile.state == ProfileState::kCurrent ? "current" : "unavailable"},
                     {"audience", json_safe(profile.audience)}});
  }
  json::array dictionary;
  for (const auto& entry : summary.dictionary) {
    dictionary.push_back(json::object{{"kind", kind_text(entry.kind)}, {"text", json_safe(entry.text)}});
  }
  return {{"ok", true},
          {"table", table_object(summary)},
          {"slots", counts},
          {"profiles", profiles},
          {"dictionary", dictionary}};
}

std::string summary_text(const json::object& summary) {
  std::string text = "Table\n" + fields_text(object_in(summary, "table")) + "\nSlots by state\n" +
                     fields_text(object_in(summary, "slots"));
  const std::string profiles = rows_text(array_in(summary, "profiles"), {"name", "id", "state", "audience"});
  text += "\nProfiles\n" + (profiles.empty() ? "none\n" : profiles);
  const std::string dictionary = rows_text(array_in(summary, "dictionary"), {"kind", "text"});
  return text + "\nDictionary\n" + (dictionary.empty() ? "none\n" : dictionary);
}

json::object record_object(const RecordView& record) {
  json::object object{{"digest", record.digest},
                      {"generation", record.generation},
                      {"slot", record.slot},
                      {"sequence", record.sequence},
                      {"verdict", verdict_name(record.verdict)},
                      {"reason", reason_name(record.reason)},
                      {"current", record.current},
                      {"epoch", record.epoch},
                      {"remaining_ns", record.remaining_ns},
                      {"expires_wall_ns", record.expires_wall_ns}};
  object["issued_wall_ns"] =
      record.issued_wall_ns ? json::value(*record.issued_wall_ns) : json::value(nullptr);
  object["profile"] = json_safe(record.profile);
  object["profile_id"] = id_text(record.profile_id);
  object["text_on_socket"] = record.text_on_socket;
  object["text_damaged"] = record.text_damaged;
  object["identity"] = identity_object(record.text);
  return object;
}

std::string record_text(const json::object& record) {
  json::object flat = record;
  flat.erase("identity");
  for (const auto& [member, value] : object_in(record, "identity")) flat[member] = value;
  return fields_text(flat);
}

}  // namespace authctl
