#include "daemon/base/roles.hpp"

#include <gtest/gtest.h>

#include "daemon/base/config_text.hpp"

namespace {

using namespace authcached;
using Strings = std::vector<std::string>;

RoleBook book_of(const std::vector<RoleConfig>& roles) {
  const auto faults = judge_roles(roles);
  EXPECT_TRUE(faults.empty()) << faults.front().message;
  return RoleBook(roles);
}

Strings granted(const RoleBook& book, const Strings& roles, Strings taken = {}) {
  if (taken.empty()) taken = book.names();
  Strings permissions{"other"}, all;
  for (const std::string& role : roles) permissions.push_back("role:" + role);
  book.expand(taken, permissions, all);
  return all;
}

std::string only_fault(const std::vector<RoleConfig>& roles) {
  const auto faults = judge_roles(roles);
  EXPECT_EQ(faults.size(), 1u);
  return faults.empty() ? "" : faults.front().message + "; " + faults.front().remedy;
}

TEST(Roles, ARoleGrantsItsOwnAndEverythingBelowIt) {
  const RoleBook book = book_of({{"admin", {"editor"}, {"users.delete"}},
                                 {"editor", {"viewer", "writer"}, {}},
                                 {"viewer", {}, {"documents.read"}},
                                 {"writer", {}, {"documents.write"}}});
  EXPECT_EQ(granted(book, {"admin"}), (Strings{"documents.read", "documents.write", "users.delete"}));
  EXPECT_EQ(granted(book, {"editor"}), (Strings{"documents.read", "documents.write"}));
  EXPECT_EQ(granted(book, {"viewer", "writer"}), (Strings{"documents.read", "documents.write"}));
  EXPECT_EQ(granted(book, {"stranger"}), Strings{});
}

TEST(Roles, OnlyRolesThatTheProfileTakesGrant) {
  const RoleBook book = book_of({{"admin", {"viewer"}, {"all.delete"}}, {"viewer", {}, {"all.read"}}});
  EXPECT_EQ(granted(book, {"admin", "viewer"}, {"viewer"}), Strings{"all.read"});
  EXPECT_EQ(granted(book, {"admin"}, {"viewer"}), Strings{});
  Strings all;
  book.expand({}, Strings{"role:admin"}, all);
  EXPECT_EQ(all, Strings{}) << "a profile that takes none";
  book.expand({"admin"}, Strings{"admin"}, all);
  EXPECT_EQ(all, Strings{}) << "a permission is no role";
}

TEST(Roles, AmongASessionsPermissionsOnlyItsRolesAreRoles) {
  Strings permissions{"own", "role:admin"};
  add_roles({"viewer"}, permissions);
  EXPECT_EQ(permissions, (Strings{"own", "role:viewer"}));
}

// So that a check for what some role names is one bit test also for who holds it through a pattern.
TEST(Roles, APatternBringsWhatItCoversOfAllThatRolesName) {
  const RoleBook book = book_of({{"reader", {}, {"documents/*:read"}}, {"clerk", {}, {"documents/42:read", "documents/42:write"}}});
  EXPECT_EQ(granted(book, {"reader"}), (Strings{"documents/*:read", "documents/42:read"}));
  EXPECT_EQ(granted(book, {"clerk"}), (Strings{"documents/42:read", "documents/42:write"}));
}

TEST(Roles, TheShortestWayToAPermissionIsTold) {
  const RoleBook book = book_of({{"admin", {"editor", "viewer"}, {}},
                                 {"editor", {"viewer"}, {"documents/*:write"}},
                                 {"viewer", {}, {"documents/*:read"}}});
  EXPECT_EQ(book.path("admin", "documents/7:read"), (Strings{"admin", "viewer", "documents/*:read"}));
  EXPECT_EQ(book.path("admin", "documents/7:write"), (Strings{"admin", "editor", "documents/*:write"}));
  EXPECT_EQ(book.path("viewer", "documents/7:write"), Strings{});
  EXPECT_EQ(book.path("nobody", "documents/7:write"), Strings{});
}

TEST(Roles, DifferencesReachEveryRoleAboveTheOneThatChanged) {
  const RoleBook before = book_of({{"admin", {"viewer"}, {}}, {"viewer", {}, {"a"}}, {"clerk", {}, {"b"}}});
  const RoleBook after = book_of({{"admin", {"viewer"}, {}}, {"viewer", {}, {"c"}}, {"clerk", {}, {"b"}}, {"new", {}, {"b"}}});
  EXPECT_EQ(before.differences(after), (std::set<std::string>{"admin", "new", "viewer"}));
  EXPECT_EQ(after.differences(before), (std::set<std::string>{"admin", "new", "viewer"}));
  EXPECT_TRUE(before.differences(before).empty());
}

TEST(Roles, ACircleIsAFaultOfEachRoleThatLeadsIntoIt) {
  EXPECT_TRUE(only_fault({{"a", {"a"}, {}}}).contains("circle"));
  const auto faults = judge_roles({{"a", {"b"}, {}}, {"b", {"c"}, {}}, {"c", {"a"}, {}}, {"d", {}, {"x"}}});
  ASSERT_EQ(faults.size(), 3u);
  for (const RoleFault& fault : faults) EXPECT_TRUE(fault.message.contains("circle")) << fault.message;
  RoleBook book({{"a", {"b"}, {"x"}}, {"b", {"a"}, {"y"}}});  // what was not judged must still end
  EXPECT_EQ(granted(book, {"a"}), (Strings{"x", "y"}));
}

TEST(Roles, WhatCannotBeMeantIsAFaultWithARemedy) {
  EXPECT_TRUE(only_fault({{"a", {"b"}, {}}}).contains("not defined"));
  EXPECT_TRUE(only_fault({{"a", {}, {"role:b"}}}).contains("inherits"));
  EXPECT_TRUE(only_fault({{"a", {}, {"two words"}}}).contains("blank"));
  EXPECT_TRUE(only_fault({{"a", {}, {"*"}}}).contains("*:*"));
  EXPECT_TRUE(only_fault({{"a", {}, {"doc*:read"}}}).contains("whole segment"));
  EXPECT_TRUE(only_fault({{"a", {}, {"documents//x"}}}).contains("empty segment"));
  EXPECT_TRUE(only_fault({{"a", {}, {"documents/"}}}).contains("empty segment"));
  EXPECT_TRUE(only_fault({{"a", {}, {std::string(kRolePermissionBytesMax + 1, 'x')}}}).contains("too long"));
  EXPECT_TRUE(judge_roles({{"a", {}, {std::string(kRolePermissionBytesMax, 'x')}}}).empty());
}

TEST(Roles, NoMoreGrantsThanHaveBitsAreDefined) {
  std::vector<RoleConfig> roles;
  for (std::size_t i = 0; i < kRoleGrantsMax; ++i) roles.push_back({"r" + std::to_string(100 + i), {}, {"p" + std::to_string(i)}});
  EXPECT_TRUE(judge_roles(roles).empty());
  roles.push_back({"again", {}, {"p0"}});
  EXPECT_TRUE(judge_roles(roles).empty());
  roles.push_back({"z", {}, {"one more"}});
  roles.back().permissions = {"one.more"};
  EXPECT_TRUE(only_fault(roles).contains("64 bits"));
}

TEST(Roles, InheritanceIsAsDeepAsOneCanFollow) {
  std::vector<RoleConfig> roles;
  for (std::size_t i = 1; i <= kRoleDepthMax; ++i) {
    roles.push_back({"r" + std::to_string(i), {}, {"p"}});
    if (i > 1) roles.back().inherits = {"r" + std::to_string(i - 1)};
  }
  EXPECT_TRUE(judge_roles(roles).empty());
  roles.push_back({"top", {"r" + std::to_string(kRoleDepthMax)}, {}});
  EXPECT_TRUE(only_fault(roles).contains("levels"));
}

const std::string kRoles =
    "[role.admin]\ninherits = [\"viewer\"]\npermissions = [\"users.delete\"]\n"
    "[role.\"Document Viewer\"]\npermissions = [\"documents/*:read\"]\n"
    "[role.viewer]\npermissions = [\"reports.read\"]\n";
const std::string kTaken = "[profile.web]\nupstream = \"sqlite\"\nroles = [\"admin\", \"Document Viewer\"]\n";

std::string faults_of(const std::string& text) {
  std::string all;
  for (const ConfigFault& fault : parse_config(text, "test").faults) {
    all += std::to_string(fault.line) + ": " + fault.message + "; " + fault.remedy + "\n";
  }
  return all;
}

TEST(RoleSections, AreReadAndShownAsTheyAre) {
  const ParsedConfig parsed = parse_config(kRoles + kTaken, "test");
  EXPECT_EQ(faults_of(kRoles + kTaken), "");
  ASSERT_EQ(parsed.config.roles.size(), 3u);
  EXPECT_EQ(parsed.config.profiles.at(0).roles, (Strings{"admin", "Document Viewer"}));
  const ParsedConfig again = parse_config(config_text(parsed.config), "shown");
  EXPECT_TRUE(again.faults.empty());
  EXPECT_EQ(again.config.roles, parsed.config.roles);
  EXPECT_EQ(again.config.profiles, parsed.config.profiles);
}

TEST(RoleSections, FaultsNameTheLineAndTheRemedy) {
  EXPECT_EQ(faults_of("[role.a]\ninherits = [\"b\"]\n" + kTaken).substr(0, 3), "1: ");
  EXPECT_TRUE(faults_of("[role.admin]\npermissions = [\"a\"]\n" + kTaken).contains("5: profile.web.roles"));
  EXPECT_TRUE(faults_of(kRoles + "[profile.web]\nupstream = \"sqlite\"\n").contains("into the profile"))
      << faults_of(kRoles + "[profile.web]\nupstream = \"sqlite\"\n");
  EXPECT_TRUE(faults_of(kRoles + "[profile.web]\nupstream = \"sqlite\"\nroles = [\"admi\"]\n").contains("did you mean \"admin\""));
  EXPECT_TRUE(faults_of("[role.a]\n" + kTaken).contains("grants nothing"));
  EXPECT_TRUE(faults_of("role = 1\n" + kTaken).contains("[role.NAME]"));
  EXPECT_TRUE(faults_of("[role]\na = 1\n" + kTaken).contains("[role.NAME]"));
  EXPECT_TRUE(faults_of("[role.a]\npermission = [\"x\"]\n" + kTaken).contains("permissions"));
}

}  // namespace
