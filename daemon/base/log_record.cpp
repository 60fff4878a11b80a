#include "daemon/base/log_record.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace authcached {
namespace {

constexpr char32_t kReplacement = 0xfffd;

constexpr std::string_view kSecretKeys[] = {"token",  "authorization", "client_secret", "secret", "password",
                                            "cookie", "assertion",     "dsn",           "bearer"};

void append_unit(std::string& line, char32_t unit) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(unit));
  line += text.data();
}

void append_code_point(std::string& line, char32_t point) {
  if (point == '"' || point == '\\') {
    line.push_back('\\');
    line.push_back(static_cast<char>(point));
  } else if (point >= 0x20 && point < 0x7f) {
    line.push_back(static_cast<char>(point));
  } else if (point == '\n') {
    line += "\\n";
  } else if (point == '\r') {
    line += "\\r";
  } else if (point == '\t') {
    line += "\\t";
  } else if (point < 0x10000) {
    append_unit(line, point);
  } else {
    append_unit(line, 0xd800 + ((point - 0x10000) >> 10));
    append_unit(line, 0xdc00 + ((point - 0x10000) & 0x3ff));
  }
}

// The code point at the front of text and the bytes it takes; one byte of U+FFFD where text is not UTF-8.
struct Decoded {
  char32_t point;
  std::size_t bytes;
};

Decoded decode(std::string_view text) {
  constexpr Decoded kInvalid{kReplacement, 1};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return kInvalid;
  char32_t point = lead & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return kInvalid;
    point = point << 6 | (byte(i) & 0x3fU);
  }
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (point < kSmallest[bytes] || point > 0x10ffff || surrogate) return kInvalid;
  return {point, bytes};
}

}  // namespace

void append_json_text(std::string& line, std::string_view text) {
  line.push_back('"');
  std::string_view rest = text.substr(0, kLogValueBytesMax);
  while (!rest.empty()) {
    const Decoded next = decode(rest);
    append_code_point(line, next.point);
    rest.remove_prefix(next.bytes);
  }
  if (text.size() > kLogValueBytesMax) {
    line += "... (" + std::to_string(text.size() - kLogValueBytesMax) + " bytes more)";
  }
  line.push_back('"');
}

void LogValue::append_json(std::string& line) const {
  std::visit(
      [&line]<class T>(const T& value) {
        if constexpr (std::is_same_v<T, std::string_view>) {
          append_json_text(line, value);
        } else if constexpr (std::is_same_v<T, bool>) {
          line += value ? "true" : "false";
        } else {
          line += std::to_string(value);
        }
      },
      value_);
}

void append_json_field(std::string& line, const LogField& field) {
  line.push_back(',');
  append_json_text(line, field.key);
  line.push_back(':');
  if (std::ranges::find(kSecretKeys, field.key) != std::end(kSecretKeys)) {
    line += "\"[redacted]\"";
  } else {
    field.value.append_json(line);
  }
}

std::string format_wall_time(std::int64_t wall_ns) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  std::int64_t fraction_ns = wall_ns % kNsPerSecond;
  std::time_t second = wall_ns / kNsPerSecond;
  if (fraction_ns < 0) {
    fraction_ns += kNsPerSecond;
    --second;
  }
  std::tm parts{};
  if (::gmtime_r(&second, &parts) == nullptr) return std::to_string(wall_ns);
  std::array<char, 32> date{};
  std::array<char, 16> fraction{};
  if (std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
    return std::to_string(wall_ns);
  std::snprintf(fraction.data(), fraction.size(), ".%06uZ", static_cast<unsigned>(fraction_ns / 1'000));
  return std::string(date.data()) + fraction.data();
}

}  // namespace authcached
