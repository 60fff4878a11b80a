// authctl permissions explain: what it asks, what it makes of the answer, and its exit codes.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "tests/unit/tools/authctl/fake_control_server.hpp"
#include "tests/unit/tools/authctl/whole_program.hpp"

namespace authctl {
namespace {

struct Explained {
  testing::Ran ran;
  std::string asked;
};

Explained explain(const std::string& reply, std::vector<std::string> more = {}) {
  Explained explained;
  {
    const testing::FakeControlServer server([&](int connection) {
      const auto asked = testing::read_request(connection);
      explained.asked = asked.text;
      testing::send_bytes(connection, testing::reply_frame(asked.id, reply));
    });
    std::vector<std::string> line{"permissions", "explain", "alice", "documents/42:read"};
    line.insert(line.end(), more.begin(), more.end());
    explained.ran = testing::run_authctl(line, "", server.directory());
  }
  return explained;
}

TEST(PermissionsExplain, NamesEachWayAndExitsWithYes) {
  const auto done = explain(R"({"ok":true,"held":true,"records":2,"ways":[
    {"profile":"web","records":2,"by":"role","grant":"documents/*:read","path":["editor","viewer"]},
    {"profile":"api","records":1,"by":"token"}],"roles_held":["editor"],"not_taken":[],"granting_roles":["editor","viewer"]})");
  EXPECT_EQ(boost::json::parse(done.asked),
            boost::json::parse(R"({"verb":"explain_permission","subject":"alice","permission":"documents/42:read"})"));
  EXPECT_EQ(done.ran.exit, Exit::kYes);
  EXPECT_EQ(done.ran.out,
            "held: by role editor -> viewer, which grants documents/*:read (profile web, 2 records)\n"
            "held: the token or session itself says so (profile api, 1 records)\n"
            "roles that grant it: editor viewer\n");
}

TEST(PermissionsExplain, SaysWhyNotAndExitsWithNo) {
  const auto none = explain(R"({"ok":true,"held":false,"records":1,"ways":[],"roles_held":[],"not_taken":[],"granting_roles":[]})");
  EXPECT_EQ(none.ran.exit, Exit::kNo);
  EXPECT_EQ(none.ran.out, "not held: the subject has 1 records, with roles: none\nno role grants it\n");
  const auto other = explain(R"({"ok":true,"held":false,"records":1,"ways":[],"roles_held":["admin"],
    "not_taken":[{"profile":"partner","role":"admin"}],"granting_roles":["admin"]})");
  EXPECT_EQ(other.ran.exit, Exit::kNo);
  EXPECT_TRUE(other.ran.out.contains("profile partner does not take that role")) << other.ran.out;
  const auto unknown = explain(R"({"ok":true,"held":false,"records":0,"ways":[],"roles_held":[],"not_taken":[],"granting_roles":[]})");
  EXPECT_EQ(unknown.ran.exit, Exit::kNo);
  EXPECT_TRUE(unknown.ran.out.contains("not known")) << unknown.ran.out;
}

TEST(PermissionsExplain, JsonIsTheReplyAndTheExitTheSame) {
  const std::string reply = R"({"ok":true,"held":false,"records":0})";
  const auto done = explain(reply, {"--json"});
  EXPECT_EQ(done.ran.out, reply + "\n");
  EXPECT_EQ(done.ran.exit, Exit::kNo);
}

}  // namespace
}  // namespace authctl
