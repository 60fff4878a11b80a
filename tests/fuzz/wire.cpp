// The frames of both sockets, as pure functions: what a decoder takes is what an encoder writes, and what an
// encoder writes is taken again, the same.
#include "shm/wire.hpp"

#include "tests/fuzz/fuzz_target.hpp"

namespace {

namespace wire = authcache::shm::wire;
using authcache::shm::Place;
using authcache_fuzz::Bytes;

// The payload of one whole frame, whose head must say so.
std::string payload_of(const std::string& frame, wire::Type type, std::uint64_t request_id) {
  FUZZ_REQUIRE(frame.size() >= wire::kHeadBytes);
  char bytes[wire::kHeadBytes];
  std::memcpy(bytes, frame.data(), sizeof bytes);
  const wire::Head head = wire::decode_head(bytes);
  FUZZ_REQUIRE(head.version == wire::kVersion && head.type == type && head.request_id == request_id);
  FUZZ_REQUIRE(head.size == frame.size() - wire::kHeadBytes);
  return frame.substr(wire::kHeadBytes);
}

void require_validate(std::string_view payload, std::uint64_t id) {
  const auto decoded = wire::decode_validate(payload);
  FUZZ_REQUIRE(decoded.has_value() || payload.size() < 8 || payload.size() - 8 < 0xffff);
  if (!decoded) return;
  FUZZ_REQUIRE(8 + decoded->profile.size() + decoded->token.size() == payload.size());
  std::string frame;
  wire::append_validate(frame, id, *decoded);
  std::string wanted(payload);
  wanted[6] = wanted[7] = '\0';  // reserved
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kValidate, id) == wanted);
}

void require_validate_reply(std::string_view payload, std::uint64_t id) {
  const auto decoded = wire::decode_validate_reply(payload);
  if (!decoded) return;
  FUZZ_REQUIRE(decoded->place_count <= wire::kPlacesMax);
  FUZZ_REQUIRE(decoded->verdict <= authcache::shm::Verdict::kUnavailable);
  std::string frame;
  wire::append_validate_reply(frame, id, *decoded);
  std::string wanted(payload);
  for (std::size_t reserved = 35; reserved < 40; ++reserved) wanted[reserved] = '\0';
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kValidateReply, id) == wanted);
}

void require_text_request(std::string_view payload, std::uint64_t id) {
  const auto place = wire::decode_text_request(payload);
  FUZZ_REQUIRE(place.has_value() == (payload.size() == 24));
  if (!place) return;
  std::string frame;
  wire::append_text_request(frame, id, *place);
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kText, id) == payload);
}

void require_hello_reply(std::string_view payload, std::uint64_t id) {
  const auto hello = wire::decode_hello_reply(payload);
  FUZZ_REQUIRE(hello.has_value() == (payload.size() == 16));
  if (!hello) return;
  std::string frame;
  wire::append_hello_reply(frame, id, *hello);
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kHelloReply, id) == payload);
}

void require_watch(std::string_view payload, std::uint64_t id) {
  const auto key = wire::decode_watch(payload);
  FUZZ_REQUIRE(key.has_value() == (payload.size() == sizeof(authcache::shm::Key)));
  if (!key) return;
  std::string frame;
  wire::append_watch(frame, id, *key);
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kWatch, id) == payload);
  std::string unwatch;
  wire::append_unwatch(unwatch, id);
  FUZZ_REQUIRE(payload_of(unwatch, wire::Type::kUnwatch, id).empty());
}

void require_watch_ended(std::string_view payload, std::uint64_t id) {
  const auto ended = wire::decode_watch_ended(payload);
  if (!ended) return;
  using authcache::shm::Verdict;
  FUZZ_REQUIRE(ended->verdict == Verdict::kMiss || ended->verdict == Verdict::kInvalid || ended->verdict == Verdict::kUnavailable);
  std::string frame;
  wire::append_watch_ended(frame, id, *ended);
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kWatchEnded, id) == payload);
}

void require_prove(std::string_view payload, std::uint64_t id) {
  const auto prove = wire::decode_prove(payload);
  if (!prove) return;
  FUZZ_REQUIRE(prove->proof.size() <= wire::kProofBytesMax && prove->url.size() <= wire::kUrlBytesMax);
  FUZZ_REQUIRE(prove->method.size() <= wire::kMethodBytesMax && prove->nonce.size() <= wire::kNonceBytesMax);
  FUZZ_REQUIRE(prove->nonce_asked || prove->nonce.empty());
  std::string frame;
  wire::append_prove(frame, id, *prove);
  std::string wanted(payload);
  wanted[10] = wanted[11] = '\0';  // reserved
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kProve, id) == wanted);
}

void require_prove_reply(std::string_view payload, std::uint64_t id) {
  const auto reply = wire::decode_prove_reply(payload);
  if (!reply) return;
  using authcache::shm::Verdict;
  FUZZ_REQUIRE(reply->verdict == Verdict::kValid || reply->verdict == Verdict::kInvalid || reply->verdict == Verdict::kUnavailable);
  std::string frame;
  wire::append_prove_reply(frame, id, *reply);
  std::string wanted(payload);
  for (std::size_t reserved = 34; reserved < 40; ++reserved) wanted[reserved] = '\0';
  FUZZ_REQUIRE(payload_of(frame, wire::Type::kProveReply, id) == wanted);
}

void require_any_frame(std::string_view payload, std::uint64_t id) {
  Bytes bytes(payload);
  const auto type = static_cast<wire::Type>(bytes.take<std::uint16_t>());
  const std::string_view rest = bytes.rest();
  std::string frame;
  wire::append_frame(frame, type, id, rest);
  FUZZ_REQUIRE(payload_of(frame, type, id) == rest);
}

// A reply of any fields, encoded by the daemon's side and read by the client's.
void require_reply_of_any_fields(std::string_view payload, std::uint64_t id) {
  Bytes bytes(payload);
  wire::ValidateReply reply;
  reply.verdict = static_cast<authcache::shm::Verdict>(bytes.byte() % 5);
  reply.reason = static_cast<authcache::shm::Reason>(bytes.byte());
  reply.place_count = static_cast<std::uint8_t>(bytes.byte() % (wire::kPlacesMax + 1));
  for (auto& byte : reply.digest) byte = bytes.byte();
  reply.newest_generation = bytes.take<std::uint64_t>();
  for (std::size_t i = 0; i < reply.place_count; ++i) {
    reply.places[i] =
        Place{bytes.take<std::uint64_t>(), bytes.take<std::uint64_t>(), bytes.take<std::uint64_t>()};
  }
  std::string frame;
  wire::append_validate_reply(frame, id, reply);
  const auto decoded = wire::decode_validate_reply(payload_of(frame, wire::Type::kValidateReply, id));
  FUZZ_REQUIRE(decoded.has_value());
  FUZZ_REQUIRE(decoded->verdict == reply.verdict && decoded->reason == reply.reason);
  FUZZ_REQUIRE(decoded->digest == reply.digest && decoded->newest_generation == reply.newest_generation);
  FUZZ_REQUIRE(decoded->place_count == reply.place_count && decoded->places == reply.places);
}

}  // namespace

FUZZ_TARGET(wire) {
  Bytes bytes(input);
  const std::uint8_t kind = bytes.byte();
  const auto id = bytes.take<std::uint64_t>();
  const std::string_view payload = bytes.rest();
  // The first kinds keep their bytes, so that what was found for them stays what it was.
  if (kind == 252) return require_prove(payload, id);
  if (kind == 253) return require_prove_reply(payload, id);
  if (kind == 254) return require_watch(payload, id);
  if (kind == 255) return require_watch_ended(payload, id);
  switch (kind % 6) {
    case 0: return require_validate(payload, id);
    case 1: return require_validate_reply(payload, id);
    case 2: return require_text_request(payload, id);
    case 3: return require_hello_reply(payload, id);
    case 4: return require_any_frame(payload, id);
    default: return require_reply_of_any_fields(payload, id);
  }
}
