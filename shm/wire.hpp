// The frames of both sockets (WIRE.md). Pure: encoding into and decoding from bytes, no I/O. Decoders check every
// length before they use it and return views into their input.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shm/digest.hpp"
#include "shm/place.hpp"
#include "shm/slot.hpp"
#include "shm/verdict.hpp"

namespace authcache::shm::wire {

inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kHeadBytes = 16;
inline constexpr std::size_t kTokenMax = 16 * 1024;        // longer ones are refused by length alone, on both sides
inline constexpr std::size_t kMissPayloadMax = 20 * 1024;  // a token, a profile name and slack for later members
// Of a DPoP proof and the request it is for. Servers take a header line and a request line of 8 KiB; a method is a word.
inline constexpr std::size_t kProofBytesMax = 8 * 1024;
inline constexpr std::size_t kUrlBytesMax = 8 * 1024;
inline constexpr std::size_t kMethodBytesMax = 32;
inline constexpr std::size_t kNonceBytesMax = 256;
static_assert(kProofBytesMax + kUrlBytesMax + kMethodBytesMax + kNonceBytesMax + 64 <= kMissPayloadMax);
inline constexpr std::size_t kControlRequestMax = 1 << 20;
inline constexpr std::size_t kControlReplyMax = 4 << 20;
inline constexpr std::size_t kPlacesMax = 2;               // a current generation and its successor

inline constexpr const char* kMissSocket = "authcached.sock";
inline constexpr const char* kControlSocket = "control.sock";

enum class Type : std::uint16_t {
  kHello = 1,
  kHelloReply = 2,
  kValidate = 3,
  kValidateReply = 4,
  kText = 5,
  kTextReply = 6,
  kError = 7,
  kWatch = 8,
  kUnwatch = 9,
  kWatchEnded = 10,
  kProve = 11,
  kProveReply = 12,
  kControl = 16,
  kControlReply = 17,
};

struct Head {
  std::uint32_t size = 0;
  std::uint16_t version = kVersion;
  Type type = Type::kError;
  std::uint64_t request_id = 0;
};
[[nodiscard]] Head decode_head(const char (&bytes)[kHeadBytes]);
// Appends a whole frame.
void append_frame(std::string& out, Type type, std::uint64_t request_id, std::string_view payload);

struct Validate {
  std::uint32_t timeout_ms = 0;
  std::string_view profile;
  std::string_view token;
};
void append_validate(std::string& out, std::uint64_t request_id, const Validate& validate);
[[nodiscard]] std::optional<Validate> decode_validate(std::string_view payload);

struct ValidateReply {
  Digest digest{};
  Verdict verdict = Verdict::kUnavailable;
  Reason reason = Reason::kNone;
  std::uint64_t newest_generation = 0;
  std::uint8_t place_count = 0;
  std::array<Place, kPlacesMax> places{};
};
void append_validate_reply(std::string& out, std::uint64_t request_id, const ValidateReply& reply);
[[nodiscard]] std::optional<ValidateReply> decode_validate_reply(std::string_view payload);

void append_text_request(std::string& out, std::uint64_t request_id, const Place& place);
[[nodiscard]] std::optional<Place> decode_text_request(std::string_view payload);

struct HelloReply {
  std::uint64_t generation = 0;
  std::uint64_t recency_bytes = 0;
};
void append_hello(std::string& out, std::uint64_t request_id);
void append_hello_reply(std::string& out, std::uint64_t request_id, const HelloReply& reply);
[[nodiscard]] std::optional<HelloReply> decode_hello_reply(std::string_view payload);

// The request id of these three names the watch, on its connection.
void append_watch(std::string& out, std::uint64_t watch, const Key& key);
[[nodiscard]] std::optional<Key> decode_watch(std::string_view payload);
void append_unwatch(std::string& out, std::uint64_t watch);  // no payload

struct WatchEnded {
  Verdict verdict = Verdict::kUnavailable;  // never kValid, never kForbidden
  Reason reason = Reason::kNone;
};
void append_watch_ended(std::string& out, std::uint64_t watch, const WatchEnded& ended);
[[nodiscard]] std::optional<WatchEnded> decode_watch_ended(std::string_view payload);

// Whether a DPoP proof is good for one request, and used for the first time. The access token itself stays where it is: its
// hash is all that a proof names.
struct Prove {
  std::uint32_t timeout_ms = 0;
  bool nonce_asked = false;
  Digest token{};  // SHA-256 of the access token
  std::string_view method;
  std::string_view url;
  std::string_view nonce;
  std::string_view proof;
};
void append_prove(std::string& out, std::uint64_t request_id, const Prove& prove);
[[nodiscard]] std::optional<Prove> decode_prove(std::string_view payload);

struct ProveReply {
  Digest question{};  // SHA-256 of the payload that this answers
  Verdict verdict = Verdict::kUnavailable;  // kValid, kInvalid or kUnavailable
  Reason reason = Reason::kNone;
  Digest thumbprint{};  // kValid only: RFC 7638, of the proof's key; else zeros
};
void append_prove_reply(std::string& out, std::uint64_t request_id, const ProveReply& reply);
[[nodiscard]] std::optional<ProveReply> decode_prove_reply(std::string_view payload);

}  // namespace authcache::shm::wire
