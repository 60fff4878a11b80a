// Why a subject holds a permission, or why it does not: from the facts in its records and the definitions in force.
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <map>
#include <set>
#include <tuple>

#include "daemon/control/control_handler.hpp"
#include "daemon/control/request_members.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

// More records of one subject say nothing new, and this runs between two turns of the loop.
constexpr std::size_t kRecordsLookedAt = 1'000;
constexpr std::uint64_t kLinksFollowed = 100'000;

// Ways that records of one profile hold the permission, each once, and how many records do.
using Way = std::tuple<std::string, std::vector<std::string>>;  // profile; roles and the grant, or nothing: the token says it

struct Explanation {
  std::uint64_t records = 0;
  bool more = false;
  std::map<Way, std::uint64_t> ways;
  std::set<std::string> roles;                               // that the subject holds
  std::set<std::pair<std::string, std::string>> not_taken;  // profile, role that would grant it
};

class Explainer {
 public:
  Explainer(const Services& services, const std::string& subject, const std::string& permission)
      : services_(services), subject_(subject), permission_(permission) {}

  Explanation run() {
    Generation& generation = services_.tables.newest();
    const NameIndex::WalkId walk = generation.names.begin_walk(NameKind::kSubject, subject_);
    std::uint64_t cost = 0;
    while (true) {
      const NameIndex::Step step = generation.names.step(walk, kLinksFollowed, cost);
      if (step.what != NameIndex::Step::What::kSlot) {
        told_.more = step.what == NameIndex::Step::What::kAgain;
        break;
      }
      if (told_.records == kRecordsLookedAt || cost > kLinksFollowed) {
        told_.more = true;
        break;
      }
      look_at(generation, step.slot);
    }
    generation.names.end_walk(walk);
    return std::move(told_);
  }

 private:
  void look_at(const Generation& generation, std::uint64_t slot) {
    const shm::TableView& view = generation.writer.view();
    const shm::HotRecord hot = generation.writer.peek(slot);
    if (!shm::is_current(view, hot, static_cast<std::uint64_t>(services_.clock.monotonic_ns()))) return;
    alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
    shm::ColdRecord cold;
    const auto beside = shm::read_text(view, slot, hot.control, buffer, cold);
    const bool elsewhere = (shm::unpack_facts(hot.facts).flags & shm::kTextOnSocket) != 0;
    const std::string_view text =
        elsewhere ? services_.texts.get({view.generation, slot, hot.sequence()}) : beside.value_or(std::string_view{});
    if (!shm::text_holds(text, shm::TextField::kSubject, subject_)) return;  // another name of the same hash
    for (const auto& profile : services_.profiles) {
      if (profile->id == cold.profile_id) judge(profile->config, text);
    }
  }

  void judge(const ProfileConfig& profile, std::string_view text) {
    ++told_.records;
    if (shm::text_holds(text, shm::TextField::kPermissions, permission_)) ++told_.ways[{profile.name, {}}];
    shm::TextCursor cursor(text);
    while (const auto item = cursor.next()) {
      if (item->field != shm::TextField::kPermissions || !item->value.starts_with(kRolePrefix)) continue;
      const std::string role(item->value.substr(kRolePrefix.size()));
      told_.roles.insert(role);
      std::vector<std::string> path = services_.admission.roles().path(role, permission_);
      if (path.empty()) continue;
      if (std::ranges::find(profile.roles, role) == profile.roles.end()) {
        told_.not_taken.emplace(profile.name, role);
      } else {
        ++told_.ways[{profile.name, std::move(path)}];
      }
    }
  }

  const Services& services_;
  const std::string& subject_;
  const std::string& permission_;
  Explanation told_;
};

json::object way_members(const Way& way, std::uint64_t records) {
  const auto& [profile, path] = way;
  json::object members{{"profile", profile}, {"records", records}, {"by", path.empty() ? "token" : "role"}};
  if (path.empty()) return members;
  members["grant"] = path.back();
  members["path"] = json::value_from(std::vector<std::string>(path.begin(), path.end() - 1));
  return members;
}

}  // namespace

void explain_permission_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const auto subject = string_member(request.members, "subject");
  if (!subject) return reply(control_error(subject.error()));
  const auto permission = string_member(request.members, "permission");
  if (!permission) return reply(control_error(permission.error()));
  const std::string of(*subject), asked(*permission);
  const Explanation told = Explainer(services, of, asked).run();
  json::array ways, not_taken, granting;
  for (const auto& [way, records] : told.ways) ways.push_back(way_members(way, records));
  for (const auto& [profile, role] : told.not_taken) not_taken.push_back({{"profile", profile}, {"role", role}});
  for (const std::string& role : services.admission.roles().names()) {
    if (!services.admission.roles().path(role, asked).empty()) granting.emplace_back(role);
  }
  reply({{"subject", of},
         {"permission", asked},
         {"held", !told.ways.empty()},
         {"records", told.records},
         {"more_records", told.more},
         {"ways", std::move(ways)},
         {"roles_held", json::value_from(std::vector<std::string>(told.roles.begin(), told.roles.end()))},
         {"not_taken", std::move(not_taken)},
         {"granting_roles", std::move(granting)}});
}

}  // namespace authcached
