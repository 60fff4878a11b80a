#include "daemon/token/json.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>

namespace authcached {
namespace {

namespace json = boost::json;
namespace shm = authcache::shm;
using shm::ErrorCode;

// Builds the value as Boost's own parser does, and counts. Boost keeps the last of two equal members without
// a word: a value that holds fewer members than were read had a duplicate. Only the escaped and the plain
// spelling of a name meet in the same member, so the comparison needs no rules of its own.
class CountingHandler {
 public:
  // Lengths are bounded by the text's own.
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  explicit CountingHandler(std::size_t values_max) : values_max_(values_max) { stack_.reset(); }

  [[nodiscard]] json::value release() { return stack_.release(); }
  [[nodiscard]] std::size_t members_read() const { return members_read_; }
  [[nodiscard]] const char* refusal() const { return refusal_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& ec) { return count(ec); }
  bool on_object_end(std::size_t n, json::error_code&) {
    stack_.push_object(n);
    return true;
  }
  bool on_array_begin(json::error_code& ec) { return count(ec); }
  bool on_array_end(std::size_t n, json::error_code&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    ++members_read_;
    stack_.push_key(part);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code& ec) {
    stack_.push_string(part);
    return count(ec);
  }
  bool on_number_part(json::string_view part, json::error_code& ec) {
    number_chars_ += part.size();
    return number_chars_ <= kJsonNumberCharsMax || refuse(ec, "a number has too many digits");
  }
  bool on_int64(std::int64_t number, json::string_view text, json::error_code& ec) {
    stack_.push_int64(number);
    return end_number(text, ec);
  }
  bool on_uint64(std::uint64_t number, json::string_view text, json::error_code& ec) {
    stack_.push_uint64(number);
    return end_number(text, ec);
  }
  bool on_double(double number, json::string_view text, json::error_code& ec) {
    if (!std::isfinite(number)) return refuse(ec, "a number is beyond a double");
    stack_.push_double(number);
    return end_number(text, ec);
  }
  bool on_bool(bool value, json::error_code& ec) {
    stack_.push_bool(value);
    return count(ec);
  }
  bool on_null(json::error_code& ec) {
    stack_.push_null();
    return count(ec);
  }
  bool on_comment_part(json::string_view, json::error_code& ec) { return refuse(ec, "it has a comment"); }
  bool on_comment(json::string_view, json::error_code& ec) { return refuse(ec, "it has a comment"); }

 private:
  bool count(json::error_code& ec) {
    return ++values_read_ <= values_max_ || refuse(ec, "it has too many values");
  }

  bool end_number(json::string_view last_part, json::error_code& ec) {
    const std::size_t chars = number_chars_ + last_part.size();
    number_chars_ = 0;
    if (chars > kJsonNumberCharsMax) return refuse(ec, "a number has too many digits");
    return count(ec);
  }

  bool refuse(json::error_code& ec, const char* why) {
    refusal_ = why;
    ec = json::error::syntax;
    return false;
  }

  json::value_stack stack_;
  std::size_t values_max_;
  std::size_t values_read_ = 0;
  std::size_t members_read_ = 0;
  std::size_t number_chars_ = 0;
  const char* refusal_ = nullptr;
};

// Recursion ends at kJsonDepthMax: the parser refused anything deeper.
std::size_t members_held(const json::value& value) {
  std::size_t held = 0;
  if (const json::array* array = value.if_array()) {
    for (const json::value& element : *array) held += members_held(element);
  } else if (const json::object* object = value.if_object()) {
    held += object->size();
    for (const auto& member : *object) held += members_held(member.value());
  }
  return held;
}

}  // namespace

shm::Result<json::value> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    return shm::fail(ErrorCode::kRefused, "The JSON text is " + std::to_string(text.size()) +
                                              " bytes long; at most " + std::to_string(limits.bytes) +
                                              " are read.");
  }
  json::parse_options options;  // its defaults are strict: no comments, no trailing commas, valid UTF-8 only
  options.max_depth = kJsonDepthMax;
  json::basic_parser<CountingHandler> parser(options, limits.values);
  json::error_code ec;
  const std::size_t consumed = parser.write_some(false, text.data(), text.size(), ec);
  if (ec) {
    const char* refusal = parser.handler().refusal();
    return shm::fail(ErrorCode::kRefused,
                     "The JSON text is refused at byte " + std::to_string(consumed) + ": " +
                         (refusal != nullptr ? std::string(refusal) : ec.message()) + ".");
  }
  if (consumed != text.size()) {
    return shm::fail(ErrorCode::kRefused,
                     "The JSON text goes on after its value, at byte " + std::to_string(consumed) + ".");
  }
  json::value value = parser.handler().release();
  if (members_held(value) != parser.handler().members_read()) {
    return shm::fail(ErrorCode::kRefused, "The JSON text names a member twice in one object.");
  }
  return value;
}

bool read_string(const json::object& object, std::string_view name, std::optional<std::string_view>& out) {
  out.reset();
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return true;
  const json::string* text = value->if_string();
  if (text == nullptr) return false;
  out.emplace(text->data(), text->size());
  return true;
}

bool read_strings(const json::object& object, std::string_view name,
                  std::optional<std::vector<std::string>>& out) {
  out.reset();
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return true;
  out = strings_of(*value);
  return out.has_value();
}

std::optional<std::vector<std::string>> strings_of(const json::value& value) {
  const json::array* array = value.if_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> strings;
  strings.reserve(array->size());
  for (const json::value& element : *array) {
    const json::string* text = element.if_string();
    if (text == nullptr) return std::nullopt;
    strings.emplace_back(text->data(), text->size());
  }
  return strings;
}

}  // namespace authcached
