// authctl permissions explain: by which roles a subject holds a permission, or why it does not.
#include <boost/json/object.hpp>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

struct Options {
  std::string subject;
  std::string permission;
};

std::string way_text(const boost::json::object& way) {
  const std::string of = " (profile " + text_in(way, "profile") + ", " + text_in(way, "records") + " records)\n";
  if (text_in(way, "by") == "token") return "held: the token or session itself says so" + of;
  std::string roles;
  for (const auto& role : array_in(way, "path")) roles += (roles.empty() ? "" : " -> ") + member_text("role", role);
  return "held: by role " + roles + ", which grants " + text_in(way, "grant") + of;
}

std::string why_not(const boost::json::object& reply) {
  if (text_in(reply, "records") == "0") {
    return "not known: the table has no record of this subject now; it has once one of its tokens is used\n";
  }
  std::string text = "not held: the subject has " + text_in(reply, "records") + " records, with roles: " +
                     (array_in(reply, "roles_held").empty() ? "none" : text_in(reply, "roles_held")) + "\n";
  for (const auto& each : array_in(reply, "not_taken")) {
    if (!each.is_object()) continue;
    text += "role " + text_in(each.get_object(), "role") + " would grant it, but profile " +
            text_in(each.get_object(), "profile") + " does not take that role (profile.NAME.roles)\n";
  }
  return text;
}

std::string render(const boost::json::object& reply) {
  std::string text;
  for (const auto& way : array_in(reply, "ways")) {
    if (way.is_object()) text += way_text(way.get_object());
  }
  if (text.empty()) text = why_not(reply);
  const auto& granting = array_in(reply, "granting_roles");
  return text + (granting.empty() ? "no role grants it\n" : "roles that grant it: " + text_in(reply, "granting_roles") + "\n");
}

bool is_held(const boost::json::object& reply) {
  const auto* held = reply.if_contains("held");
  return held != nullptr && held->is_bool() && held->get_bool();
}

}  // namespace

void declare_permissions(Command command) {
  command.require_child();
  Command explain = command.child("explain", "by which roles a subject holds a permission, or why it does not",
                                  "authctl permissions explain alice documents/42:read");
  const auto options = std::make_shared<Options>();
  explain.text("subject", options->subject, "SUBJECT", "the subject, as its tokens name it");
  explain.text("permission", options->permission, "PERMISSION", "the permission, as an application asks for it");
  explain.require("subject");
  explain.require("permission");
  explain.action([options](Call& call) {
    boost::json::object question = request("explain_permission");
    question["subject"] = options->subject;
    question["permission"] = options->permission;
    const auto reply = ask(call, question);
    const Exit exit = report(call, reply, render);
    return exit == Exit::kYes && !is_held(*reply) ? Exit::kNo : exit;
  });
}

}  // namespace authctl
