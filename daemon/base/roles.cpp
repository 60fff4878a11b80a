#include "daemon/base/roles.hpp"

#include <algorithm>
#include <deque>

#include "shm/permission_pattern.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

using ByName = std::map<std::string, const RoleConfig*, std::less<>>;

class Judge {
 public:
  explicit Judge(const std::vector<RoleConfig>& roles) {
    for (const RoleConfig& role : roles) by_name_.emplace(role.name, &role);
  }

  std::vector<RoleFault> run() {
    if (by_name_.size() > kRolesMax) {
      fault(by_name_.begin()->first, "is one of " + std::to_string(by_name_.size()) + " roles",
            "define at most " + std::to_string(kRolesMax));
      return std::move(faults_);
    }
    for (const auto& [name, role] : by_name_) judge(name, *role);
    if (faults_.empty()) {
      for (const auto& [name, role] : by_name_) follow(name);
    }
    count_grants();
    return std::move(faults_);
  }

 private:
  void fault(const std::string& role, std::string what, std::string remedy) {
    faults_.push_back({role, "role." + role + " " + std::move(what), std::move(remedy)});
  }

  void judge(const std::string& name, const RoleConfig& role) {
    if (role.inherits.size() > kRoleInheritsMax) {
      fault(name, "inherits from " + std::to_string(role.inherits.size()) + " roles",
            "name at most " + std::to_string(kRoleInheritsMax) + "; put roles that always come together into one");
    }
    for (const std::string& below : role.inherits) {
      if (!by_name_.contains(below)) {
        fault(name, "inherits from a role that is not defined", "write a section [role.NAME] for each role that is inherited");
      }
    }
    for (const std::string& permission : role.permissions) judge_permission(name, permission);
  }

  void judge_permission(const std::string& name, std::string_view permission) {
    if (permission.starts_with(kRolePrefix)) {
      return fault(name, "grants a permission that begins with \"role:\", which is how roles themselves are written",
                   "name the role in inherits");
    }
    const auto is_plain = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; };
    if (permission.size() > kRolePermissionBytesMax || !std::ranges::all_of(permission, is_plain)) {
      return fault(name, "grants a permission that is too long, or has a blank in it",
                   "write at most " + std::to_string(kRolePermissionBytesMax) + " bytes such as \"documents/*:read\"");
    }
    if (permission == "*") {
      return fault(name, "grants \"*\", which covers only permissions of one segment",
                   "write each segment, as in \"*:*\" or \"documents/*:*\", or name the permissions");
    }
    for (std::string_view rest = permission;;) {
      const std::string_view segment = shm::permission_pattern::take_segment(rest);
      if (segment.empty()) {
        return fault(name, "grants a permission with an empty segment", "write something between '/' and ':'");
      }
      if (segment.size() > 1 && segment.contains('*')) {
        return fault(name, "grants a permission with a '*' beside other characters",
                     "a '*' stands for a whole segment between '/' and ':', as in \"documents/*:read\"");
      }
      if (rest.empty()) return;
      rest.remove_prefix(1);
    }
  }

  // How many roles the longest way down from this one passes, itself counted; SIZE_MAX: it goes in a circle.
  std::size_t depth_of(const std::string& name, std::set<std::string>& on_the_way) {
    if (const auto known = depths_.find(name); known != depths_.end()) return known->second;
    if (!on_the_way.insert(name).second) return SIZE_MAX;
    std::size_t depth = 1;
    for (const std::string& below : by_name_.find(name)->second->inherits) {
      const std::size_t under = depth_of(below, on_the_way);
      depth = under == SIZE_MAX ? SIZE_MAX : std::max(depth, under + 1);
      if (depth == SIZE_MAX || depth > kRoleDepthMax) break;
    }
    on_the_way.erase(name);
    depths_[name] = depth;
    return depth;
  }

  void follow(const std::string& name) {
    std::set<std::string> on_the_way;
    const std::size_t depth = depth_of(name, on_the_way);
    if (depth == SIZE_MAX) {
      fault(name, "leads into a circle of roles that inherit from one another", "take one of the names on the way round out of inherits");
    } else if (depth > kRoleDepthMax) {
      fault(name, "stands above more than " + std::to_string(kRoleDepthMax) + " levels of roles",
            "name the lower roles directly");
    }
  }

  void count_grants() {
    std::set<std::string_view> grants;
    for (const auto& [name, role] : by_name_) {
      const std::size_t before = grants.size();
      grants.insert(role->permissions.begin(), role->permissions.end());
      if (before <= kRoleGrantsMax && grants.size() > kRoleGrantsMax) {
        fault(name, "brings the different permissions of all roles to more than " + std::to_string(kRoleGrantsMax),
              "use patterns such as \"documents/*:read\", or fewer permissions that say more: each takes one of a record's 64 bits");
      }
    }
  }

  ByName by_name_;
  std::map<std::string, std::size_t> depths_;
  std::vector<RoleFault> faults_;
};

}  // namespace

void add_roles(const std::vector<std::string>& roles, std::vector<std::string>& permissions) {
  std::erase_if(permissions, [](const std::string& permission) { return permission.starts_with(kRolePrefix); });
  for (const std::string& role : roles) permissions.push_back(std::string(kRolePrefix) + role);
}

std::vector<RoleFault> judge_roles(const std::vector<RoleConfig>& roles) { return Judge(roles).run(); }

RoleBook::RoleBook(const std::vector<RoleConfig>& roles) {
  std::set<std::string> all;
  for (const RoleConfig& role : roles) {
    roles_.emplace(role.name, Role{role.inherits, role.permissions, {}});
    all.insert(role.permissions.begin(), role.permissions.end());
  }
  all_.assign(all.begin(), all.end());
  for (auto& [name, role] : roles_) {
    std::set<std::string> seen, granted;
    collect(name, seen, granted);
    for (const std::string& each : all_) {
      const auto covers = [&](const std::string& grant) { return shm::covers_permission(grant, each); };
      if (std::ranges::any_of(granted, covers)) role.granted.push_back(each);
    }
  }
}

void RoleBook::collect(const std::string& name, std::set<std::string>& seen, std::set<std::string>& granted) const {
  const auto role = roles_.find(name);
  if (role == roles_.end() || !seen.insert(name).second) return;
  granted.insert(role->second.own.begin(), role->second.own.end());
  for (const std::string& below : role->second.inherits) collect(below, seen, granted);
}

void RoleBook::expand(const std::vector<std::string>& taken, std::span<const std::string> permissions,
                      std::vector<std::string>& granted) const {
  if (taken.empty() || roles_.empty()) return;
  for (const std::string& permission : permissions) {
    if (!permission.starts_with(kRolePrefix)) continue;
    const std::string_view name = std::string_view(permission).substr(kRolePrefix.size());
    const auto role = roles_.find(name);
    if (role == roles_.end() || std::ranges::find(taken, name) == taken.end()) continue;
    granted.insert(granted.end(), role->second.granted.begin(), role->second.granted.end());
  }
  std::ranges::sort(granted);
  granted.erase(std::ranges::unique(granted).begin(), granted.end());
}

std::vector<std::string> RoleBook::names() const {
  std::vector<std::string> names;
  for (const auto& [name, role] : roles_) names.push_back(name);
  return names;
}

std::vector<std::string> RoleBook::path(std::string_view from, std::string_view permission) const {
  std::map<std::string, std::string, std::less<>> above;  // each role, and the one that led to it
  std::deque<std::string> to_see{std::string(from)};
  above.emplace(from, "");
  for (; !to_see.empty(); to_see.pop_front()) {
    const std::string& name = to_see.front();
    const auto role = roles_.find(name);
    if (role == roles_.end()) continue;
    const auto covers = [&](const std::string& grant) { return shm::covers_permission(grant, permission); };
    if (const auto grant = std::ranges::find_if(role->second.own, covers); grant != role->second.own.end()) {
      std::vector<std::string> way{*grant};
      for (std::string at = name; !at.empty(); at = above.find(at)->second) way.push_back(at);
      std::ranges::reverse(way);
      return way;
    }
    for (const std::string& below : role->second.inherits) {
      if (above.emplace(below, name).second) to_see.push_back(below);
    }
  }
  return {};
}

std::set<std::string> RoleBook::differences(const RoleBook& other) const {
  std::set<std::string> names;
  const auto add = [&](const RoleBook& one, const RoleBook& two) {
    for (const auto& [name, role] : one.roles_) {
      const auto same = two.roles_.find(name);
      if (same == two.roles_.end() || same->second.granted != role.granted) names.insert(name);
    }
  };
  add(*this, other);
  add(other, *this);
  return names;
}

}  // namespace authcached
