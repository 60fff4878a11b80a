#include "tools/authctl/ask.hpp"

#include <strings.h>

#include <boost/json/serialize.hpp>
#include <ostream>

#include "tools/authctl/control_reply.hpp"
#include "tools/authctl/printable.hpp"

namespace authctl {

namespace json = boost::json;

json::object request(std::string_view verb) { return {{"verb", verb}}; }

Outcome<json::object> ask(ControlClient& client, const json::object& request) {
  std::string text = json::serialize(request);
  const auto reply = client.exchange(text);
  ::explicit_bzero(text.data(), text.size());  // it may hold a token
  if (!reply) return std::unexpected(reply.error());
  return parse_reply(*reply);
}

Outcome<json::object> ask(const Call& call, const json::object& request) {
  auto client = ControlClient::connect(call.settings.runtime_dir, call.settings.timeout);
  if (!client) return std::unexpected(client.error());
  return ask(*client, request);
}

void print_json(std::ostream& out, const json::object& document) {
  out << printable_json(json::serialize(document)) << '\n';
}

Exit report(Call& call, const Failure& failure) {
  if (call.settings.json) {
    print_json(call.out, failure_object(failure));
  } else {
    call.err << "authctl: " << printable(failure.sentence) << '\n';
  }
  return failure.exit;
}

Exit report(Call& call, const Outcome<json::object>& reply, const Render& render) {
  if (!reply) return report(call, reply.error());
  if (call.settings.json) {
    print_json(call.out, *reply);
  } else {
    call.out << render(*reply);
  }
  return Exit::kYes;
}

Exit answer(Call& call, const json::object& request, const Render& render) {
  return report(call, ask(call, request), render);
}

}  // namespace authctl
