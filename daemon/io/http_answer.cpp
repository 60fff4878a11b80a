#include "daemon/io/http_answer.hpp"

#include <algorithm>
#include <charconv>

namespace authcached {

namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "";
  }
}

void append_number(std::string& out, std::size_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

}  // namespace

void append_field(HttpAnswer& answer, std::string_view name, std::string_view value) {
  answer.fields.append(name).append(": ").append(value).append("\r\n");
}

bool is_field_value(std::string_view value) {
  if (value.empty()) return true;
  if (value.front() == ' ' || value.back() == ' ') return false;
  return std::ranges::all_of(value, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

void append_answer(std::string& out, const HttpAnswer& answer, const AnswerForm& form) {
  out.append(form.is_http11 ? "HTTP/1.1 " : "HTTP/1.0 ");
  append_number(out, static_cast<std::size_t>(answer.status));
  out.append(" ").append(reason_phrase(answer.status)).append("\r\nCache-Control: no-store\r\n");
  out.append(answer.fields);
  if (!answer.content_type.empty()) out.append("Content-Type: ").append(answer.content_type).append("\r\n");
  out.append("Content-Length: ");
  append_number(out, answer.body.size());
  if (!form.keep_alive) {
    out.append("\r\nConnection: close");
  } else if (!form.is_http11) {
    out.append("\r\nConnection: keep-alive");
  }
  out.append("\r\n\r\n");
  if (!form.without_body) out.append(answer.body);
}

}  // namespace authcached
