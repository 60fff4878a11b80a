#include "shm/wire.hpp"

#include <bit>
#include <cstring>
#include <type_traits>

namespace authcache::shm::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are little-endian and copied as they lie");

template <class T>
void put(std::string& out, T value) {
  static_assert(std::is_integral_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

// Takes values off the front; after the first that does not fit, everything is refused.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  T take() {
    T value{};
    if (rest_.size() < sizeof(T)) {
      good_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }

  std::string_view take_bytes(std::size_t size) {
    if (rest_.size() < size) {
      good_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view take_rest() { return take_bytes(rest_.size()); }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool done() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

void append_head(std::string& out, Type type, std::uint64_t request_id, std::size_t payload_bytes) {
  put(out, static_cast<std::uint32_t>(payload_bytes));
  put(out, kVersion);
  put(out, static_cast<std::uint16_t>(type));
  put(out, request_id);
}

void put_place(std::string& out, const Place& place) {
  put(out, place.generation);
  put(out, place.slot);
  put(out, place.sequence);
}

Place take_place(Reader& reader) {
  Place place;
  place.generation = reader.take<std::uint64_t>();
  place.slot = reader.take<std::uint64_t>();
  place.sequence = reader.take<std::uint64_t>();
  return place;
}

std::string_view bytes_of(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

Digest take_digest(Reader& reader) {
  Digest digest{};
  const std::string_view bytes = reader.take_bytes(digest.size());
  if (reader.good()) std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

constexpr std::size_t kProveBytes = 44;  // without the texts
constexpr std::size_t kProveReplyBytes = 72;
constexpr std::uint8_t kNonceAsked = 1;
constexpr std::size_t kPlaceBytes = 24;
constexpr std::size_t kValidateReplyBytes = 48;  // without places
constexpr std::size_t kValidateBytes = 8;        // without name and token

}  // namespace

Head decode_head(const char (&bytes)[kHeadBytes]) {
  Reader reader({bytes, kHeadBytes});
  Head head;
  head.size = reader.take<std::uint32_t>();
  head.version = reader.take<std::uint16_t>();
  head.type = static_cast<Type>(reader.take<std::uint16_t>());
  head.request_id = reader.take<std::uint64_t>();
  return head;
}

void append_frame(std::string& out, Type type, std::uint64_t request_id, std::string_view payload) {
  append_head(out, type, request_id, payload.size());
  out.append(payload);
}

void append_validate(std::string& out, std::uint64_t request_id, const Validate& validate) {
  append_head(out, Type::kValidate, request_id, kValidateBytes + validate.profile.size() + validate.token.size());
  put(out, validate.timeout_ms);
  put(out, static_cast<std::uint16_t>(validate.profile.size()));
  put(out, std::uint16_t{0});
  out.append(validate.profile);
  out.append(validate.token);
}

std::optional<Validate> decode_validate(std::string_view payload) {
  Reader reader(payload);
  Validate validate;
  validate.timeout_ms = reader.take<std::uint32_t>();
  const auto profile_bytes = reader.take<std::uint16_t>();
  (void)reader.take<std::uint16_t>();
  validate.profile = reader.take_bytes(profile_bytes);
  validate.token = reader.take_rest();
  if (!reader.good()) return std::nullopt;
  return validate;
}

void append_validate_reply(std::string& out, std::uint64_t request_id, const ValidateReply& reply) {
  append_head(out, Type::kValidateReply, request_id, kValidateReplyBytes + reply.place_count * kPlaceBytes);
  out.append(reinterpret_cast<const char*>(reply.digest.data()), reply.digest.size());
  put(out, static_cast<std::uint8_t>(reply.verdict));
  put(out, static_cast<std::uint8_t>(reply.reason));
  put(out, reply.place_count);
  put(out, std::uint8_t{0});
  put(out, std::uint32_t{0});
  put(out, reply.newest_generation);
  for (std::size_t i = 0; i < reply.place_count; ++i) put_place(out, reply.places[i]);
}

std::optional<ValidateReply> decode_validate_reply(std::string_view payload) {
  Reader reader(payload);
  ValidateReply reply;
  const std::string_view digest = reader.take_bytes(reply.digest.size());
  if (!reader.good()) return std::nullopt;
  std::memcpy(reply.digest.data(), digest.data(), digest.size());
  reply.verdict = static_cast<Verdict>(reader.take<std::uint8_t>());
  reply.reason = static_cast<Reason>(reader.take<std::uint8_t>());
  reply.place_count = reader.take<std::uint8_t>();
  (void)reader.take<std::uint8_t>();
  (void)reader.take<std::uint32_t>();
  reply.newest_generation = reader.take<std::uint64_t>();
  if (!reader.good() || reply.place_count > kPlacesMax || reply.verdict > Verdict::kUnavailable) return std::nullopt;
  for (std::size_t i = 0; i < reply.place_count; ++i) reply.places[i] = take_place(reader);
  if (!reader.done()) return std::nullopt;
  return reply;
}

void append_text_request(std::string& out, std::uint64_t request_id, const Place& place) {
  append_head(out, Type::kText, request_id, kPlaceBytes);
  put_place(out, place);
}

std::optional<Place> decode_text_request(std::string_view payload) {
  Reader reader(payload);
  const Place place = take_place(reader);
  if (!reader.done()) return std::nullopt;
  return place;
}

void append_hello(std::string& out, std::uint64_t request_id) {
  append_head(out, Type::kHello, request_id, sizeof(std::uint32_t));
  put(out, std::uint32_t{0});
}

void append_hello_reply(std::string& out, std::uint64_t request_id, const HelloReply& reply) {
  append_head(out, Type::kHelloReply, request_id, 2 * sizeof(std::uint64_t));
  put(out, reply.generation);
  put(out, reply.recency_bytes);
}

std::optional<HelloReply> decode_hello_reply(std::string_view payload) {
  Reader reader(payload);
  HelloReply reply;
  reply.generation = reader.take<std::uint64_t>();
  reply.recency_bytes = reader.take<std::uint64_t>();
  if (!reader.done()) return std::nullopt;
  return reply;
}

void append_watch(std::string& out, std::uint64_t watch, const Key& key) {
  append_head(out, Type::kWatch, watch, sizeof(Key));
  for (const std::uint64_t word : key) put(out, word);
}

std::optional<Key> decode_watch(std::string_view payload) {
  Reader reader(payload);
  Key key;
  for (std::uint64_t& word : key) word = reader.take<std::uint64_t>();
  if (!reader.done()) return std::nullopt;
  return key;
}

void append_unwatch(std::string& out, std::uint64_t watch) { append_head(out, Type::kUnwatch, watch, 0); }

void append_watch_ended(std::string& out, std::uint64_t watch, const WatchEnded& ended) {
  append_head(out, Type::kWatchEnded, watch, 2);
  put(out, static_cast<std::uint8_t>(ended.verdict));
  put(out, static_cast<std::uint8_t>(ended.reason));
}

std::optional<WatchEnded> decode_watch_ended(std::string_view payload) {
  Reader reader(payload);
  WatchEnded ended;
  ended.verdict = static_cast<Verdict>(reader.take<std::uint8_t>());
  ended.reason = static_cast<Reason>(reader.take<std::uint8_t>());
  const bool known = ended.verdict == Verdict::kMiss || ended.verdict == Verdict::kInvalid || ended.verdict == Verdict::kUnavailable;
  if (!reader.done() || !known) return std::nullopt;
  return ended;
}

void append_prove(std::string& out, std::uint64_t request_id, const Prove& prove) {
  append_head(out, Type::kProve, request_id,
              kProveBytes + prove.method.size() + prove.url.size() + prove.nonce.size() + prove.proof.size());
  put(out, prove.timeout_ms);
  put(out, static_cast<std::uint8_t>(prove.nonce_asked ? kNonceAsked : 0));
  put(out, static_cast<std::uint8_t>(prove.method.size()));
  put(out, static_cast<std::uint16_t>(prove.url.size()));
  put(out, static_cast<std::uint16_t>(prove.nonce.size()));
  put(out, std::uint16_t{0});
  out.append(bytes_of(prove.token));
  out.append(prove.method);
  out.append(prove.url);
  out.append(prove.nonce);
  out.append(prove.proof);
}

std::optional<Prove> decode_prove(std::string_view payload) {
  Reader reader(payload);
  Prove prove;
  prove.timeout_ms = reader.take<std::uint32_t>();
  const auto flags = reader.take<std::uint8_t>();
  const auto method_bytes = reader.take<std::uint8_t>();
  const auto url_bytes = reader.take<std::uint16_t>();
  const auto nonce_bytes = reader.take<std::uint16_t>();
  (void)reader.take<std::uint16_t>();
  prove.token = take_digest(reader);
  prove.nonce_asked = (flags & kNonceAsked) != 0;
  prove.method = reader.take_bytes(method_bytes);
  prove.url = reader.take_bytes(url_bytes);
  prove.nonce = reader.take_bytes(nonce_bytes);
  prove.proof = reader.take_rest();
  const bool sound = reader.good() && flags <= kNonceAsked && prove.method.size() <= kMethodBytesMax &&
                     prove.url.size() <= kUrlBytesMax && prove.nonce.size() <= kNonceBytesMax &&
                     prove.proof.size() <= kProofBytesMax && (prove.nonce_asked || prove.nonce.empty());
  if (!sound) return std::nullopt;
  return prove;
}

void append_prove_reply(std::string& out, std::uint64_t request_id, const ProveReply& reply) {
  append_head(out, Type::kProveReply, request_id, kProveReplyBytes);
  out.append(bytes_of(reply.question));
  put(out, static_cast<std::uint8_t>(reply.verdict));
  put(out, static_cast<std::uint8_t>(reply.reason));
  put(out, std::uint16_t{0});
  put(out, std::uint32_t{0});
  out.append(bytes_of(reply.thumbprint));
}

std::optional<ProveReply> decode_prove_reply(std::string_view payload) {
  Reader reader(payload);
  ProveReply reply;
  reply.question = take_digest(reader);
  reply.verdict = static_cast<Verdict>(reader.take<std::uint8_t>());
  reply.reason = static_cast<Reason>(reader.take<std::uint8_t>());
  (void)reader.take<std::uint16_t>();
  (void)reader.take<std::uint32_t>();
  reply.thumbprint = take_digest(reader);
  const bool known = reply.verdict == Verdict::kValid || reply.verdict == Verdict::kInvalid || reply.verdict == Verdict::kUnavailable;
  if (!reader.done() || !known) return std::nullopt;
  return reply;
}

}  // namespace authcache::shm::wire
