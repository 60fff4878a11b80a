// A mapped table as plain values, for `inspect` and `doctor`. Read-only and bounded by the geometry that the
// opener checked; every text is a private copy that may hold any bytes. The writer may go on writing
// meanwhile: a record that changes under the look is left out. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/dictionary.hpp"
#include "shm/digest.hpp"
#include "shm/profile_directory.hpp"
#include "shm/table_view.hpp"
#include "shm/verdict.hpp"

namespace authctl {

struct TableSummary {
  std::uint64_t generation = 0;
  std::uint64_t state = 0;
  authcache::shm::Geometry geometry;
  std::uint64_t heartbeat_timeout_ns = 0;
  std::int64_t heartbeat_age_ns =
      0;  // negative: later than this process's clock, so of another time namespace
  std::uint64_t all_epoch = 0;
  std::uint64_t epoch_counter = 0;
  std::uint64_t issuer_epochs_raised = 0;
  std::uint64_t key_epochs_raised = 0;
  std::uint64_t durable_change = 0;
  std::uint64_t negative_max = 0;
  std::uint64_t text_used_bytes = 0;
  std::string database_uuid{};
  std::vector<authcache::shm::ProfileDescription> profiles{};
  std::vector<authcache::shm::DictionaryText> dictionary{};
};
[[nodiscard]] TableSummary summarize(const authcache::shm::TableView& view, std::uint64_t now_ns);
[[nodiscard]] std::string_view table_state_name(std::uint64_t state);  // "?" for one that no version writes

// Slots by state ("live", "empty", "dead: revoked", ...).
[[nodiscard]] std::map<std::string, std::uint64_t> count_slots(const authcache::shm::TableView& view);

struct RecordText {
  std::string subject, issuer, client_id, sid, jti, claims, confirmation;
  std::vector<std::string> scopes, permissions, audience;
};

struct RecordView {
  std::uint64_t generation = 0;
  std::uint64_t slot = 0;
  std::uint64_t sequence = 0;
  std::string digest;  // the 48 digits that the table holds
  authcache::shm::Verdict verdict = authcache::shm::Verdict::kUnavailable;
  authcache::shm::Reason reason = authcache::shm::Reason::kNone;
  bool current = false;           // before its deadline, and under no raised epoch
  std::int64_t remaining_ns = 0;  // until its deadline; negative: past
  std::uint64_t epoch = 0;
  std::uint64_t profile_id = 0;
  std::string profile{};  // empty: not in the directory
  std::int64_t expires_wall_ns = 0;
  std::optional<std::int64_t> issued_wall_ns{};
  bool text_on_socket = false;
  bool text_damaged = false;  // points outside the file, or is no run of fields
  RecordText text{};
};

using RecordSink = std::function<void(const RecordView&)>;
void for_each_record(const authcache::shm::TableView& view, std::uint64_t now_ns, const RecordSink& sink);
[[nodiscard]] std::optional<RecordView> find_record(const authcache::shm::TableView& view,
                                                    const authcache::shm::Key& key, std::uint64_t now_ns);

// 48 to 64 hex digits, of which the table holds the first 48.
[[nodiscard]] std::optional<authcache::shm::Key> parse_digest(std::string_view hex);

}  // namespace authctl
