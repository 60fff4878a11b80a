// What roles grant: definitions with inheritance, judged and compiled. A token proves that its subject has a role; what
// that role grants is ours to say and to change, so the two are kept apart: the record holds the role as a fact, and
// whoever admits a record asks a RoleBook what comes with it.
//
// Where definitions come from is nothing to a RoleBook: today the configuration; a database could as well, judged by the
// same judge_roles. A book never changes; a change of definitions is another book. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"

namespace authcached {

// How a role stands among the permissions of an identity (daemon/token/grants.hpp).
inline constexpr std::string_view kRolePrefix = "role:";

// A session's roles among its permissions. What is spelled as a role there and is none goes: only who may give roles may
// give what they grant.
void add_roles(const std::vector<std::string>& roles, std::vector<std::string>& permissions);

inline constexpr std::size_t kRolesMax = 1'024;           // a hundred times those that one can still tell apart
inline constexpr std::size_t kRoleNameBytesMax = 128;     // with its prefix it must fit an entry of the dictionary
inline constexpr std::size_t kRoleInheritsMax = 64;
inline constexpr std::size_t kRolePermissionBytesMax = 255;  // kDictionaryTextMax
// Roles above roles. Every path is walked once for each role when a book is made, and a person has to follow it.
inline constexpr std::size_t kRoleDepthMax = 16;
// Different permissions and patterns of all roles together. Each takes one of the 64 bits that a record has for scopes
// and permissions; the rest is left to what tokens bring of their own.
inline constexpr std::size_t kRoleGrantsMax = 48;

struct RoleFault {
  std::string role;
  std::string message;  // what is wrong, beginning with the role
  std::string remedy;
};

// Everything wrong with these definitions: unknown roles, cycles, too much of anything, patterns that cover nothing.
[[nodiscard]] std::vector<RoleFault> judge_roles(const std::vector<RoleConfig>& roles);

class RoleBook {
 public:
  RoleBook() = default;
  explicit RoleBook(const std::vector<RoleConfig>& roles);  // which judge_roles finds nothing wrong with

  // What the roles among these permissions grant, without repetitions, in an order that depends on the definitions alone.
  // taken: the roles that the profile takes from its tokens; others are names and grant nothing.
  void expand(const std::vector<std::string>& taken, std::span<const std::string> permissions,
              std::vector<std::string>& granted) const;
  // Everything that any role grants, for the dictionary.
  [[nodiscard]] const std::vector<std::string>& all_grants() const { return all_; }
  [[nodiscard]] bool defines(std::string_view role) const { return roles_.contains(role); }
  [[nodiscard]] std::vector<std::string> names() const;

  // The shortest way from this role to what covers the permission: the roles on it, this one first, then the grant. Empty:
  // the role does not grant it.
  [[nodiscard]] std::vector<std::string> path(std::string_view role, std::string_view permission) const;

  // The roles that grant something else here than there, or exist only in one of the two.
  [[nodiscard]] std::set<std::string> differences(const RoleBook& other) const;

 private:
  struct Role {
    std::vector<std::string> inherits;
    std::vector<std::string> own;
    std::vector<std::string> granted;  // by itself and by all below it, and whatever that covers of all_
  };
  void collect(const std::string& name, std::set<std::string>& seen, std::set<std::string>& granted) const;

  std::map<std::string, Role, std::less<>> roles_;
  std::vector<std::string> all_;
};

}  // namespace authcached
