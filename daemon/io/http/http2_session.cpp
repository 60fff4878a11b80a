// HTTP/2: many exchanges at once on one connection, in nghttp2. It checks framing, header rules,
// content-length against the data that came, and flow control; here is what one exchange means.
#include <malloc.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unordered_map>

#include "daemon/io/http/secret_text.hpp"
#include "daemon/io/http/session.hpp"

namespace authcached {

namespace {

// More on one connection than any server grants by default (nginx 128, most others 100 to 250).
constexpr std::size_t kStreamsMax = 256;
// Answers of many streams share it: large enough that they do not wait for each other. One stream keeps the
// protocol's 64 KiB, and none holds more than its own body's limit.
constexpr std::int32_t kConnectionWindow = 1 << 20;
constexpr std::size_t kOurSettingsEntries = 2;
// A server has six settings to say; one that sends more of them in one frame means to cost.
constexpr std::size_t kSettingsMax = 32;
// PING and SETTINGS that wait to be acknowledged: a server that floods with them and reads nothing ends the
// connection.
constexpr std::size_t kAcknowledgementsMax = 100;

// Headers and frames of a session hold secrets, so what it frees is overwritten first.
void free_wiped(void* memory, void*) {
  if (memory == nullptr) return;
  OPENSSL_cleanse(memory, ::malloc_usable_size(memory));
  std::free(memory);
}
void* allocate(std::size_t size, void*) { return std::malloc(size); }
void* allocate_zeroed(std::size_t count, std::size_t size, void*) { return std::calloc(count, size); }
void* reallocate_wiped(void* memory, std::size_t size, void*) {
  if (memory == nullptr) return std::malloc(size);
  void* larger = std::malloc(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, memory, std::min(size, ::malloc_usable_size(memory)));
  free_wiped(memory, nullptr);
  return larger;
}

nghttp2_nv pair_of(std::string_view name, std::string_view value, bool secret) {
  // Never indexed: a secret must stand neither in our table of the compression nor in that of a proxy on the
  // way.
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          static_cast<std::uint8_t>(secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)};
}

struct Stream {
  std::shared_ptr<Exchange> exchange;  // empty: cancelled, or finished already
  std::size_t body_sent = 0;
  std::size_t header_bytes = 0;
  unsigned interim = 0;
  bool head_done = false;  // what follows are trailers
  bool ended = false;      // the answer is whole
  std::optional<Failure> failure;
};

class Http2Session final : public Session {
 public:
  Http2Session();
  ~Http2Session() override {
    nghttp2_session_del(session_);
    wipe(data_frames_);
  }
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  std::size_t capacity() const override;
  std::size_t open() const override { return open_; }
  void start(std::shared_ptr<Exchange> exchange) override;
  void cancel(const Exchange& exchange) override;
  void receive(std::string_view bytes) override;
  void end(bool clean, const Failure& why) override;
  void retire() override { retired_ = true; }
  bool retired() const override { return retired_ || broken_ || closing(); }
  bool ping() override { return !broken_ && nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr) == 0; }
  void take_output(std::string& out, std::size_t room) override;
  bool over() const override { return open_ == 0 && retired(); }

 private:
  [[nodiscard]] bool closing() const {
    return nghttp2_session_check_request_allowed(session_) == 0 ||
           (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
  }
  Stream* find(std::int32_t id) {
    const auto at = streams_.find(id);
    return at == streams_.end() ? nullptr : &at->second;
  }
  // Ends a stream whose answer is of no use; it is reported when nghttp2 has closed it.
  int refuse(std::int32_t id, Stream& stream, Failure failure) {
    if (!stream.failure) stream.failure = std::move(failure);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    return 0;
  }
  void report(Stream& stream, std::optional<Failure> failure);
  int begin_headers(const nghttp2_frame& frame);
  int header(std::int32_t id, std::string_view name, std::string_view value);
  int frame_received(const nghttp2_frame& frame);
  int data(std::int32_t id, const std::uint8_t* bytes, std::size_t size);
  int closed(std::int32_t id, std::uint32_t error_code);
  static nghttp2_session_callbacks* callbacks();
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t*, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source*, void* self);
  static int send_body(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source*, void* self);

  nghttp2_session* session_ = nullptr;
  std::unordered_map<std::int32_t, Stream> streams_;
  std::size_t open_ = 0;     // streams with an exchange
  std::string data_frames_;  // written by send_body, in order with what mem_send gives
  std::uint64_t served_ = 0;
  bool retired_ = false;
  bool broken_ = false;  // the other side cannot be understood, or is gone
};

Http2Session::Http2Session() {
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) throw std::bad_alloc();
  nghttp2_option_set_max_settings(option, kSettingsMax);
  nghttp2_option_set_max_outbound_ack(option, kAcknowledgementsMax);
  nghttp2_option_set_max_send_header_block_length(option, 2 * kHeaderBytesMax);
  nghttp2_mem memory{nullptr, allocate, free_wiped, allocate_zeroed, reallocate_wiped};
  nghttp2_session_callbacks* const called = callbacks();
  const int made = nghttp2_session_client_new3(&session_, called, this, option, &memory);
  nghttp2_session_callbacks_del(called);
  nghttp2_option_del(option);
  if (made != 0) throw std::bad_alloc();
  const nghttp2_settings_entry settings[kOurSettingsEntries] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kHeaderBytesMax}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, kOurSettingsEntries);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

nghttp2_session_callbacks* Http2Session::callbacks() {
  nghttp2_session_callbacks* made = nullptr;
  if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      made, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
        return static_cast<Http2Session*>(self)->begin_headers(*frame);
      });
  nghttp2_session_callbacks_set_on_header_callback(
      made, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
               const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
        return static_cast<Http2Session*>(self)->header(frame->hd.stream_id,
                                                        {reinterpret_cast<const char*>(name), name_size},
                                                        {reinterpret_cast<const char*>(value), value_size});
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      made, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
        return static_cast<Http2Session*>(self)->frame_received(*frame);
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      made, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
               void* self) { return static_cast<Http2Session*>(self)->data(id, bytes, size); });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      made, [](nghttp2_session*, std::int32_t id, std::uint32_t code, void* self) {
        return static_cast<Http2Session*>(self)->closed(id, code);
      });
  nghttp2_session_callbacks_set_send_data_callback(made, send_body);
  return made;
}

std::size_t Http2Session::capacity() const {
  if (retired()) return 0;
  const std::size_t granted =
      nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  const std::size_t allowed = std::min(granted, kStreamsMax);
  // Cancelled streams count until their end is known on both sides.
  return allowed > streams_.size() ? allowed - streams_.size() : 0;
}

void Http2Session::start(std::shared_ptr<Exchange> exchange) {
  const HttpRequest& request = exchange->request;
  const std::string length = std::to_string(request.body.size());
  std::vector<std::string> names;
  names.reserve(request.headers.size());
  std::vector<nghttp2_nv> fields = {pair_of(":method", request.method, false),
                                    pair_of(":scheme", exchange->url.tls ? "https" : "http", false),
                                    pair_of(":authority", exchange->url.authority, false),
                                    pair_of(":path", exchange->url.target, true),
                                    pair_of("accept-encoding", "identity", false)};
  for (const HttpHeader& header : request.headers) {
    names.push_back(lower_case(header.name));
    // All that a caller adds, except the kinds of text that it sends and takes.
    fields.push_back(
        pair_of(names.back(), header.value,
                names.back() != "accept" && names.back() != "content-type" && names.back() != "user-agent"));
  }
  const bool has_body = !request.body.empty();
  if (has_body || (request.method != "GET" && request.method != "HEAD"))
    fields.push_back(pair_of("content-length", length, false));
  nghttp2_data_provider provider{};
  provider.read_callback = read_body;
  const std::int32_t id = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                                 has_body ? &provider : nullptr, nullptr);
  if (id < 0)
    return finish(std::move(exchange), {FailureKind::kNotTaken, "the connection takes no more streams"});
  ++open_;
  streams_[id].exchange = std::move(exchange);
}

void Http2Session::cancel(const Exchange& exchange) {
  const auto at = std::ranges::find_if(
      streams_, [&](const auto& entry) { return entry.second.exchange.get() == &exchange; });
  if (at == streams_.end()) return;
  at->second.exchange.reset();
  --open_;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, at->first, NGHTTP2_CANCEL);
}

void Http2Session::report(Stream& stream, std::optional<Failure> failure) {
  if (!stream.exchange) return;
  --open_;
  if (failure) {
    finish(std::exchange(stream.exchange, nullptr), std::move(*failure));
  } else {
    ++served_;
    finish(std::exchange(stream.exchange, nullptr));
  }
}

int Http2Session::begin_headers(const nghttp2_frame& frame) {
  // Forbidden by our settings, which the server may not have seen yet.
  if (frame.hd.type == NGHTTP2_PUSH_PROMISE) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  Stream* const stream = find(frame.hd.stream_id);
  if (stream == nullptr || !stream->exchange || stream->head_done) return 0;
  stream->exchange->answer_began = true;
  stream->exchange->response.headers.clear();
  stream->exchange->response.status = 0;
  return 0;
}

int Http2Session::header(std::int32_t id, std::string_view name, std::string_view value) {
  Stream* const stream = find(id);
  if (stream == nullptr || !stream->exchange || stream->failure) return 0;
  HttpResponse& response = stream->exchange->response;
  stream->header_bytes += name.size() + value.size() + 32;  // as the protocol counts a list of headers
  if (stream->header_bytes > kHeaderBytesMax || response.headers.size() == kHeadersMax) {
    return refuse(
        id, *stream,
        {FailureKind::kLimit, "the answer's headers have more than " + std::to_string(kHeaderBytesMax) +
                                  " bytes, or are more than " + std::to_string(kHeadersMax)});
  }
  if (stream->head_done) return 0;
  if (name == ":status") {
    // Three digits: nghttp2 has looked.
    response.status =
        static_cast<unsigned>((value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0'));
  } else {
    response.headers.push_back({std::string(name), std::string(value)});
  }
  return 0;
}

int Http2Session::frame_received(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return 0;
  Stream* const stream = find(frame.hd.stream_id);
  if (stream == nullptr || !stream->exchange || stream->failure) return 0;
  if (frame.hd.type == NGHTTP2_HEADERS && !stream->head_done) {
    const HttpResponse& response = stream->exchange->response;
    if (response.status < 200) {
      if (++stream->interim > kInterimMax)
        return refuse(frame.hd.stream_id, *stream,
                      {FailureKind::kLimit, "the server sends interim answers without end"});
      return 0;
    }
    stream->head_done = true;
    if (!is_plain_body(response))
      return refuse(frame.hd.stream_id, *stream,
                    {FailureKind::kMalformed, "the body has a Content-Encoding that was not asked for"});
    const auto length = response.header("content-length");
    // Digits, and the only ones: nghttp2 has looked. Too many digits is too large.
    if (length && stream->exchange->request.method != "HEAD" &&
        (length->size() > 18 ||
         std::strtoull(std::string(*length).c_str(), nullptr, 10) > stream->exchange->request.body_max)) {
      return refuse(frame.hd.stream_id, *stream, {FailureKind::kLimit, "the body is larger than asked for"});
    }
  }
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->ended = true;
  return 0;
}

int Http2Session::data(std::int32_t id, const std::uint8_t* bytes, std::size_t size) {
  Stream* const stream = find(id);
  if (stream == nullptr || !stream->exchange || stream->failure) return 0;
  std::string& body = stream->exchange->response.body;
  if (size > stream->exchange->request.body_max - body.size()) {
    return refuse(id, *stream, {FailureKind::kLimit, "the body is larger than asked for"});
  }
  body.append(reinterpret_cast<const char*>(bytes), size);
  return 0;
}

int Http2Session::closed(std::int32_t id, std::uint32_t error_code) {
  const auto at = streams_.find(id);
  if (at == streams_.end()) return 0;
  Stream stream = std::move(at->second);
  streams_.erase(at);
  if (stream.failure) {
    report(stream, std::move(stream.failure));
  } else if (stream.ended) {
    report(stream, std::nullopt);  // also if the server then gave up reading the question
  } else if (error_code == NGHTTP2_REFUSED_STREAM) {
    report(stream, Failure{FailureKind::kNotTaken, "the server did not take the request"});
  } else if (error_code == NGHTTP2_PROTOCOL_ERROR) {
    report(stream, Failure{FailureKind::kMalformed, "the answer breaks the rules of HTTP/2"});
  } else if (stream.exchange) {
    const Failure why{FailureKind::kLost, std::string("the server ended the stream (") +
                                              nghttp2_http2_strerror(error_code) + ")"};
    report(stream, lost(*stream.exchange, false, why));
  }
  return 0;
}

void Http2Session::receive(std::string_view bytes) {
  if (broken_) return;
  const ssize_t used =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (used < 0)
    end(false, {FailureKind::kMalformed, std::string("the server does not speak HTTP/2 (") +
                                             nghttp2_strerror(static_cast<int>(used)) + ")"});
}

void Http2Session::end(bool, const Failure& why) {
  broken_ = true;
  for (auto& [id, stream] : std::exchange(streams_, {})) {
    if (!stream.exchange) continue;
    // An answer that was whole before the end is whole.
    const bool whole = stream.ended && !stream.failure;
    report(stream, whole ? std::nullopt : std::optional(lost(*stream.exchange, served_ > 0, why)));
  }
}

void Http2Session::take_output(std::string& out, std::size_t room) {
  const std::size_t before = out.size();
  while (out.size() - before < room && !broken_) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0)
      return end(false, {FailureKind::kMalformed, std::string("the HTTP/2 session failed (") +
                                                      nghttp2_strerror(static_cast<int>(size)) + ")"});
    const bool wrote_data = !data_frames_.empty();
    append_secret(out, data_frames_);
    wipe(data_frames_);
    if (size == 0 && !wrote_data) break;
    append_secret(out, {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  }
  // After an error of the whole connection nghttp2 says goodbye, and then nothing more of the streams.
  const bool ended = nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
  if (ended && !broken_ && open_ > 0)
    end(false, {FailureKind::kMalformed, "the server breaks the rules of HTTP/2"});
}

// The bytes go from the request to the output in one step (send_body): no copy stays in nghttp2.
ssize_t Http2Session::read_body(nghttp2_session*, std::int32_t id, std::uint8_t*, std::size_t room,
                                std::uint32_t* flags, nghttp2_data_source*, void* self) {
  const Stream* const stream = static_cast<Http2Session*>(self)->find(id);
  if (stream == nullptr || !stream->exchange || stream->failure) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const std::size_t left = stream->exchange->request.body.size() - stream->body_sent;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (left <= room) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(std::min(left, room));
}

int Http2Session::send_body(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                            std::size_t size, nghttp2_data_source*, void* self) {
  auto& session = *static_cast<Http2Session*>(self);
  Stream* const stream = session.find(frame->hd.stream_id);
  if (stream == nullptr || !stream->exchange) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  constexpr std::size_t kFrameHeadBytes = 9;
  append_secret(session.data_frames_, {reinterpret_cast<const char*>(head), kFrameHeadBytes});
  append_secret(session.data_frames_,
                std::string_view(stream->exchange->request.body).substr(stream->body_sent, size));
  stream->body_sent += size;
  return 0;
}

}  // namespace

std::unique_ptr<Session> make_http2_session() { return std::make_unique<Http2Session>(); }

}  // namespace authcached
