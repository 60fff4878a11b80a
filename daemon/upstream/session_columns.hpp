// The columns by which a query on another program's database says what a session is, and how one row of them
// is judged: the same for every kind of database. Pure; any thread.
//
// A row counts only if every column that it names is of a known kind and (where the query returns token_key)
// the stored key equals the one asked for byte by byte: a column that ignores case or compares numbers would
// otherwise give one session many tokens, and a revocation names one of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/proof.hpp"
#include "daemon/upstream/session_values.hpp"
#include "shm/result.hpp"

namespace authcached {

enum class SessionColumn : std::uint8_t {
  kSubject,
  kClientId,
  kSid,
  kJti,
  kIssuer,
  kScopes,
  kRoles,
  kPermissions,
  kAudience,
  kCreated,
  kCreatedNs,
  kExpires,
  kExpiresNs,
  kRevoked,
  kTokenKey,
  kCount
};

// What values of a column are.
enum class SessionColumnKind : std::uint8_t { kText, kList, kTime, kTimeNs, kRevoked, kKey };
[[nodiscard]] SessionColumnKind kind_of(SessionColumn column);
[[nodiscard]] std::optional<SessionColumn> session_column(std::string_view name);

// Where each column stands in a row.
class SessionColumns {
 public:
  SessionColumns() { places_.fill(-1); }
  // By the names of the row's columns, in their order. Refuses an unknown one, one that stands twice, a row
  // without a subject, and one moment in two units.
  [[nodiscard]] static authcache::shm::Result<SessionColumns> of(std::span<const std::string_view> names);

  // -1: the query does not return it.
  [[nodiscard]] int place(SessionColumn column) const { return places_[static_cast<std::size_t>(column)]; }

 private:
  std::array<int, static_cast<std::size_t>(SessionColumn::kCount)> places_;
};

// One row, as its database gives it. Columns by their place.
class SessionValues {
 public:
  virtual ~SessionValues() = default;
  [[nodiscard]] virtual TextColumn text(int place) const = 0;
  [[nodiscard]] virtual TimeColumn time(int place, TimeUnit unit) const = 0;
  [[nodiscard]] virtual bool revoked(int place) const = 0;
  [[nodiscard]] virtual bool is_key(int place, std::string_view key) const = 0;
  // Nothing if it is no list.
  [[nodiscard]] virtual std::optional<std::vector<std::string>> list(int place) const {
    const TextColumn read = text(place);
    return read.sound ? session_list(read.text) : std::nullopt;
  }
};

// What the only row for this key says; kUnavailable if it cannot be understood.
[[nodiscard]] Proof judge_session(const SessionColumns& columns, const SessionValues& row,
                                  std::string_view key, std::int64_t wall_now_ns);

[[nodiscard]] Proof session_refusal(authcache::shm::Reason reason);

}  // namespace authcached
