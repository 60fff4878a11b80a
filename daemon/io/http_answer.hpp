// One HTTP answer, and its bytes. Pure. Nothing that is answered here may be kept by anybody in between, so
// every answer says no-store.
#pragma once

#include <string>
#include <string_view>

namespace authcached {

struct HttpAnswer {
  int status = 200;
  std::string fields;             // whole lines, each with its CRLF: see append_field
  std::string_view content_type;  // of the body; a constant
  std::string body;

  void clear() {
    status = 200;
    fields.clear();
    content_type = {};
    body.clear();
  }
};

// The value must be fit for a field line: see is_field_value.
void append_field(HttpAnswer& answer, std::string_view name, std::string_view value);

// Printable ASCII without white space at either end (RFC 9110 section 5.5, without its obsolete text):
// nothing in it can end a line or be read in two character sets.
[[nodiscard]] bool is_field_value(std::string_view value);

struct AnswerForm {
  bool is_http11 = true;
  bool keep_alive = true;
  bool without_body = false;  // HEAD: the length is told, the body is not
};
void append_answer(std::string& out, const HttpAnswer& answer, const AnswerForm& form);

}  // namespace authcached
