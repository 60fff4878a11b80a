#include "daemon/base/config_changes.hpp"

#include <algorithm>

#include "daemon/base/postgres_conninfo.hpp"

namespace authcached {
namespace {

constexpr std::pair<std::string_view, ChangesKind> kKinds[] = {
    {"off", ChangesKind::kOff}, {"listen", ChangesKind::kListen}, {"stream", ChangesKind::kStream}};
constexpr std::pair<std::string_view, bool> kLost[] = {{"unavailable", false}, {"serve", true}};
constexpr std::size_t kTableBytesMax =
    40;  // PostgreSQL cuts names after 63, and those of the triggers are longer

// One that reads the same with quotes and without.
bool is_plain_name(std::string_view name) {
  const auto may = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  const bool digit_first = !name.empty() && name.front() >= '0' && name.front() <= '9';
  return !name.empty() && name.size() <= kTableBytesMax && !digit_first && std::ranges::all_of(name, may);
}

}  // namespace

void read_changes(KeyReader& key, ProfileConfig& profile) { key.choice(profile.changes.kind, kKinds); }

void read_changes_lost(KeyReader& key, ProfileConfig& profile) {
  key.choice(profile.changes.serve_when_lost, kLost);
}

void read_changes_table(KeyReader& key, ProfileConfig& profile) {
  std::string text;
  key.text(text, kChangesTableBytesMax);
  if (text.empty()) return;
  const std::size_t dot = text.find('.');
  const std::string_view table = std::string_view(text).substr(dot == std::string::npos ? 0 : dot + 1);
  const bool good_schema = dot == std::string::npos || is_plain_name(std::string_view(text).substr(0, dot));
  if (!good_schema || !is_plain_name(table)) {
    return key.fail(
        "is not a table's name",
        "write TABLE or SCHEMA.TABLE in lower-case letters, digits and '_', as authctl sql postgres "
        "made it");
  }
  profile.changes.table = std::move(text);
}

std::optional<ChangesFault> listen_fault(const ProfileConfig& profile) {
  if (profile.changes.kind == ChangesKind::kStream)
    return ChangesFault{"is a stream, which Redis has", "write changes = \"listen\""};
  if (profile.changes.kind == ChangesKind::kOff) return std::nullopt;
  const auto target = read_conninfo(profile.connection);
  if (!target || target->role == PostgresRole::kPrimary) return std::nullopt;
  // A name may lead to several servers too. One that lags behind the server that tells of a change would be
  // asked afterwards and bring back the old answer.
  const PostgresHost& host = target->hosts.front();
  if (target->hosts.size() == 1 && (host.is_local() || !host.hostaddr.empty())) return std::nullopt;
  return ChangesFault{"needs sessions to be asked of the very server that tells of their changes",
                      "write target_session_attrs=primary in connection; or name one server by its hostaddr"};
}

}  // namespace authcached
