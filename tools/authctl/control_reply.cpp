#include "tools/authctl/control_reply.hpp"

#include <boost/json/parse.hpp>
#include <string>

#include "tools/authctl/printable.hpp"

namespace authctl {

namespace json = boost::json;

Outcome<json::object> parse_reply(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* ok = object == nullptr ? nullptr : object->if_contains("ok");
  if (ok == nullptr || !ok->is_bool()) {
    return failure(Exit::kCannotTell,
                   "the daemon's answer is not a control reply; install matching authcached and authctl");
  }
  if (ok->get_bool()) return std::move(value.as_object());
  const json::value* sentence = object->if_contains("error");
  const json::value* code = object->if_contains("code");
  const std::string_view code_text =
      code != nullptr && code->is_string() ? std::string_view(code->get_string()) : "";
  const bool worded = sentence != nullptr && sentence->is_string();
  return failure(exit_of_reply_code(code_text),
                 worded ? std::string(sentence->get_string())
                        : "the daemon refused without saying why; its log has more");
}

json::object failure_object(const Failure& failure) {
  return {{"ok", false}, {"error", failure.sentence}, {"code", code_of_exit(failure.exit)}};
}

}  // namespace authctl
