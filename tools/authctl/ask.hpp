// What almost every verb does: ask the daemon, then print the answer for people or as JSON. One thread.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "tools/authctl/call.hpp"
#include "tools/authctl/control_client.hpp"
#include "tools/authctl/exit_code.hpp"

namespace authctl {

// {"verb": verb}, ready for its members.
[[nodiscard]] boost::json::object request(std::string_view verb);

[[nodiscard]] Outcome<boost::json::object> ask(ControlClient& client, const boost::json::object& request);
[[nodiscard]] Outcome<boost::json::object> ask(const Call& call, const boost::json::object& request);

// One JSON document and a newline.
void print_json(std::ostream& out, const boost::json::object& document);

// A failure: with --json the document on call.out, else the sentence on call.err.
Exit report(Call& call, const Failure& failure);

// A reply: with --json as it came, else what `render` makes of it.
using Render = std::function<std::string(const boost::json::object&)>;
Exit report(Call& call, const Outcome<boost::json::object>& reply, const Render& render);

// ask and report.
Exit answer(Call& call, const boost::json::object& request, const Render& render);

}  // namespace authctl
