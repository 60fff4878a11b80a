// HTTP/2 frames by hand, for servers that break its rules: RFC 9113 section 4, and as much of RFC 7541 as an
// answer needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace authcached::testing::http2 {

enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9
};
inline constexpr std::uint8_t kEndStream = 1;  // of DATA and HEADERS
inline constexpr std::uint8_t kAck = 1;        // of SETTINGS and PING
inline constexpr std::uint8_t kEndHeaders = 4;
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::size_t kHeadBytes = 9;

inline std::string number(std::uint32_t value, int bytes = 4) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes) & 0xff);
  return text;
}

inline std::string frame(Type type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) {
  return number(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(type) +
         static_cast<char>(flags) + number(stream) + std::string(payload);
}

inline std::string setting(std::uint16_t id, std::uint32_t value) { return number(id, 2) + number(value); }
inline constexpr std::uint16_t kMaxConcurrentStreams = 3;

// A literal field that is not indexed; both texts shorter than 127 bytes, or the value up to 16 KiB.
inline std::string field(std::string_view name, std::string_view value) {
  std::string text(1, '\0');
  text += static_cast<char>(name.size());
  text += name;
  if (value.size() < 127) return text + static_cast<char>(value.size()) + std::string(value);
  std::size_t rest = value.size() - 127;
  text += '\x7f';
  for (; rest >= 128; rest /= 128) text += static_cast<char>(rest % 128 + 128);
  return text + static_cast<char>(rest) + std::string(value);
}
inline const std::string kStatus200 = "\x88";

inline std::string goaway(std::uint32_t last_stream, std::uint32_t error = 0) {
  return frame(kGoaway, 0, 0, number(last_stream) + number(error));
}
inline std::string reset(std::uint32_t stream, std::uint32_t error) {
  return frame(kReset, 0, stream, number(error));
}
inline std::string whole_answer(std::uint32_t stream, std::string_view body) {
  return frame(kHeaders, kEndHeaders, stream, kStatus200) + frame(kData, kEndStream, stream, body);
}

struct Seen {
  Type type;
  std::uint8_t flags;
  std::uint32_t stream;
  std::string payload;
};

// Takes whole frames from the front of bytes, and the client's preface before them.
inline std::vector<Seen> take_frames(std::string& bytes) {
  if (bytes.starts_with(kPreface)) bytes.erase(0, kPreface.size());
  std::vector<Seen> seen;
  const auto byte = [&](std::size_t at) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at]));
  };
  while (bytes.size() >= kHeadBytes && !kPreface.starts_with(bytes.substr(0, kHeadBytes))) {
    const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() < kHeadBytes + size) break;
    const std::uint32_t stream = (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fffffff;
    seen.push_back({static_cast<Type>(byte(3)), static_cast<std::uint8_t>(byte(4)), stream,
                    bytes.substr(kHeadBytes, size)});
    bytes.erase(0, kHeadBytes + size);
  }
  return seen;
}

}  // namespace authcached::testing::http2
