// One log record as one line of JSON. JSON rather than logfmt because every reader of logs already parses it
// and its escapes are defined: a value cannot end its own quotes, start a new line or move a terminal's
// cursor. The line is pure ASCII: letters beyond it appear as \u00e9, so neither C1 controls nor
// bidirectional overrides survive. Pure functions for any thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace authcached {

inline constexpr std::size_t kLogValueBytesMax = 256;  // a subject or path in full, a hostile kid not
inline constexpr std::size_t kLogFieldsMax =
    16;  // with the bound above, a line stays under journald's 48 KiB

class LogValue {
 public:
  LogValue(std::string_view text) : value_(text) {}
  LogValue(const std::string& text) : value_(std::string_view(text)) {}
  LogValue(const char* text) : value_(std::string_view(text)) {}
  LogValue(bool truth) : value_(truth) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) LogValue(T number) {
    if constexpr (std::is_signed_v<T>) {
      value_ = static_cast<std::int64_t>(number);
    } else {
      value_ = static_cast<std::uint64_t>(number);
    }
  }

  void append_json(std::string& line) const;

 private:
  std::variant<std::string_view, std::int64_t, std::uint64_t, bool> value_;
};

// Names borrow; they live until the call that takes them returns.
struct LogField {
  std::string_view key;
  LogValue value;
};
using LogFields = std::initializer_list<LogField>;

// Appends text as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD; what exceeds
// kLogValueBytesMax is cut and counted.
void append_json_text(std::string& line, std::string_view text);

// Appends ,"key":value. A key that names a secret (token, authorization, client_secret, password, cookie,
// assertion, dsn) has its value replaced: a seat belt, not a licence.
void append_json_field(std::string& line, const LogField& field);

// "2026-11-22T18:32:20.123456Z". Times outside the years 0000 to 9999 give the number itself.
[[nodiscard]] std::string format_wall_time(std::int64_t wall_ns);

}  // namespace authcached
