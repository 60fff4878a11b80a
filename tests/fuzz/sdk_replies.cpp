// The SDK's end of the miss socket: a daemon that answers one question by any bytes, with any descriptors.
// Nothing is valid but what the table holds, nothing invalid but what a reply to this question and this token
// said, and every call ends.
//
// First byte: which token is asked about. Then a run of steps that make up the answer: 0 raw bytes, 1 a reply
// frame (flags say which of its parts are right), 2 a greeting with a descriptor, 3 a refusal.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "libclient/miss_path.hpp"
#include "shm/coarse_clock.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temp_table.hpp"

namespace {

using namespace authcache;
using authcache_fuzz::Bytes;
using shm::Reason;
using shm::Verdict;
using shm::wire::Type;

constexpr std::uint64_t kProfileId = 0x1111;
constexpr int kTimeoutMs = 10'000;  // never reached: the daemon closes after its answer
constexpr int kFilesMax = 16;  // descriptors in one answer: more messages than that may not fit into a socket
constexpr std::uint64_t kLifeNs = 86'400 * shm::kNsPerSecond;

enum Token : std::size_t { kGood = 0, kKilled = 1, kNeverSeen = 2, kWithoutScope = 3 };
constexpr std::string_view kTokens[] = {"good", "killed", "never seen", "without scope"};

// What the daemon in the other thread does with the question that comes next.
struct Answer {
  std::string steps;
  std::size_t token = 0;
  std::optional<shm::wire::ValidateReply> counts;  // the reply that the SDK must believe, if any
};

class World {
 public:
  World() {
    auto& writer = table_.writer();
    writer.set_profiles({{.name = "main", .id = kProfileId, .audience = {}}});
    for (std::size_t i = 0; i < std::size(kTokens); ++i) places_[i] = admit(i);
    writer.kill(key_of(kKilled), shm::SlotState::kRevoked);
    writer.kill(key_of(kNeverSeen), shm::SlotState::kEvicted);
    listener_ = shm::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (table_.dir() / shm::wire::kMissSocket).c_str());
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 8) != 0) {
      throw std::runtime_error("cannot listen");
    }
    guard_ = std::move(client::ForkGuard::create().value());
    attacher_ =
        std::make_unique<client::Attacher>(table_.dir(), static_cast<uid_t>(-1), *guard_, last_error_);
    if (!attacher_->attach()) throw std::runtime_error("cannot attach");
    daemon_ = std::thread([this] { serve(); });
  }
  ~World() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    daemon_.join();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  client::Answer ask(Answer& answer) {
    table_.writer().beat(shm::coarse_now_ns());
    {
      const std::lock_guard lock(mutex_);
      answer_ = &answer;
    }
    client::MissPath path(*attacher_, *guard_, last_error_, true);
    client::Requirement requirement(nullptr, "main");
    if (answer.token == kWithoutScope) requirement.add(shm::DictionaryKind::kScope, "write");
    const auto got =
        path.ask({.token = kTokens[answer.token], .requirement = &requirement, .thumbprint = nullptr},
                 client::Deadline::in_ms(kTimeoutMs));
    const std::lock_guard lock(mutex_);
    answer_ = nullptr;
    return got;
  }
  [[nodiscard]] const shm::Place& place(std::size_t token) const { return places_[token]; }
  [[nodiscard]] std::uint64_t generation() const { return table_.view().generation; }

 private:
  static shm::Key key_of(std::size_t token) {
    return shm::key_of(shm::token_digest(kProfileId, kTokens[token]));
  }

  shm::Place admit(std::size_t token) {
    shm::RecordSpec spec;
    spec.key = key_of(token);
    const std::uint64_t now_ns = shm::coarse_now_ns();
    spec.deadline = now_ns + kLifeNs;
    spec.epoch = table_.writer().epoch();
    spec.profile_id = kProfileId;
    return table_.writer().insert(spec, now_ns).value();
  }

  void serve() {
    for (;;) {
      shm::UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
      if (!peer) return;
      std::uint64_t hello_id = 0, request_id = 0;
      if (!read_frame(peer, hello_id) || !read_frame(peer, request_id)) continue;
      const std::lock_guard lock(mutex_);
      if (answer_ != nullptr) play(peer, hello_id, request_id);
    }
  }

  static bool read_frame(const shm::UniqueFd& peer, std::uint64_t& id) {
    char bytes[shm::wire::kHeadBytes];
    if (::recv(peer.get(), bytes, sizeof bytes, MSG_WAITALL) != static_cast<ssize_t>(sizeof bytes))
      return false;
    const auto head = shm::wire::decode_head(bytes);
    id = head.request_id;
    std::string payload(head.size, '\0');
    return ::recv(peer.get(), payload.data(), payload.size(), MSG_WAITALL) ==
           static_cast<ssize_t>(payload.size());
  }

  void play(const shm::UniqueFd& peer, std::uint64_t hello_id, std::uint64_t request_id);
  std::string reply_frame(Bytes& bytes, std::uint64_t request_id) const;
  static void send(const shm::UniqueFd& peer, std::string_view bytes, int fd);

  authcache_test::TempTable table_;
  shm::Place places_[std::size(kTokens)];
  shm::UniqueFd listener_;
  client::LastError last_error_;
  std::unique_ptr<client::ForkGuard> guard_;
  std::unique_ptr<client::Attacher> attacher_;
  std::mutex mutex_;
  Answer* answer_ = nullptr;
  std::thread daemon_;
};

std::string World::reply_frame(Bytes& bytes, std::uint64_t request_id) const {
  const std::uint8_t flags = bytes.byte();
  shm::wire::ValidateReply reply;
  reply.digest = shm::token_digest(kProfileId, kTokens[answer_->token]);
  if ((flags & 1) != 0)
    reply.digest[bytes.byte() % reply.digest.size()] ^= static_cast<std::uint8_t>(bytes.byte() | 1);
  reply.verdict = static_cast<Verdict>(bytes.byte() % 6);
  reply.reason = static_cast<Reason>(bytes.byte());
  reply.newest_generation = (flags & 2) != 0 ? bytes.take<std::uint64_t>() : generation();
  reply.place_count = static_cast<std::uint8_t>(bytes.byte() % (shm::wire::kPlacesMax + 1));
  for (std::size_t i = 0; i < reply.place_count; ++i) {
    reply.places[i] = places_[bytes.byte() % std::size(kTokens)];
    const std::uint8_t bent = bytes.byte();
    if ((bent & 1) != 0) reply.places[i].generation = bytes.take<std::uint64_t>();
    if ((bent & 2) != 0) reply.places[i].slot = bytes.take<std::uint64_t>();
    if ((bent & 4) != 0) reply.places[i].sequence = bytes.take<std::uint64_t>();
  }
  std::string frame;
  shm::wire::append_validate_reply(frame, (flags & 4) != 0 ? request_id + bytes.byte() : request_id, reply);
  return frame;
}

// A descriptor goes beside the first byte.
void World::send(const shm::UniqueFd& peer, std::string_view bytes, int fd) {
  if (bytes.empty()) return;
  iovec range{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &range;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  }
  (void)::sendmsg(peer.get(), &message, MSG_NOSIGNAL);
}

// The reply that counts, by the rules of WIRE.md: one greeting of ours may come first, then this question's
// answer.
std::optional<shm::wire::ValidateReply> believed(std::string_view stream, std::uint64_t hello_id,
                                                 std::uint64_t request_id) {
  bool greeted = false;
  while (stream.size() >= shm::wire::kHeadBytes) {
    char bytes[shm::wire::kHeadBytes];
    std::memcpy(bytes, stream.data(), sizeof bytes);
    const auto head = shm::wire::decode_head(bytes);
    if (head.version != shm::wire::kVersion || head.size > shm::wire::kMissPayloadMax) return std::nullopt;
    if (stream.size() - sizeof bytes < head.size) return std::nullopt;
    if (head.type == Type::kValidateReply && head.request_id == request_id) {
      return shm::wire::decode_validate_reply(stream.substr(sizeof bytes, head.size));
    }
    if (head.type != Type::kHelloReply || head.request_id != hello_id || greeted) return std::nullopt;
    greeted = true;
    stream.remove_prefix(sizeof bytes + head.size);
  }
  return std::nullopt;
}

void World::play(const shm::UniqueFd& peer, std::uint64_t hello_id, std::uint64_t request_id) {
  Bytes bytes(answer_->steps);
  std::string stream;
  std::string waiting;  // sent with the next descriptor or at the end: each message takes room in the socket
  int files = 0;
  while (!bytes.empty()) {
    std::string frame;
    shm::UniqueFd file;
    switch (bytes.byte() % 4) {
      case 0: frame = bytes.take_counted(); break;
      case 1: frame = reply_frame(bytes, request_id); break;
      case 2: {
        const std::uint8_t how = bytes.byte();
        const std::uint64_t size = bytes.take<std::uint16_t>();
        shm::wire::append_hello_reply(frame, (how & 1) != 0 ? bytes.byte() : hello_id, {generation(), size});
        if ((how & 2) == 0 || ++files > kFilesMax) break;
        file = shm::UniqueFd(::memfd_create("hints", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        (void)!::ftruncate(file.get(),
                           static_cast<off_t>((how & 4) != 0 ? size : bytes.take<std::uint16_t>()));
        (void)::fcntl(file.get(), F_ADD_SEALS,
                      (how & 8) != 0 ? F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL : bytes.byte() & 7);
        break;
      }
      default:
        shm::wire::append_frame(frame, Type::kError, (bytes.byte() & 1) != 0 ? request_id : 0,
                                bytes.take_counted());
    }
    stream += frame;
    waiting += frame;
    if (!file) continue;
    send(peer, waiting.substr(0, waiting.size() - frame.size()), -1);
    send(peer, frame, file.get());
    waiting.clear();
  }
  send(peer, waiting, -1);
  answer_->counts = believed(stream, hello_id, request_id);
}

// What a reply that counts must lead to.
void require_reply(const World& world, const Answer& answer, const client::Answer& got) {
  const shm::wire::ValidateReply& reply = *answer.counts;
  if (reply.verdict == Verdict::kUnavailable) {
    FUZZ_REQUIRE(got.verdict == Verdict::kUnavailable && got.reason == reply.reason);
    return;
  }
  if (reply.digest != shm::token_digest(kProfileId, kTokens[answer.token])) {
    FUZZ_REQUIRE(got.verdict == Verdict::kUnavailable && got.reason == Reason::kProtocol);
    return;
  }
  if (reply.verdict == Verdict::kInvalid) {
    FUZZ_REQUIRE(got.verdict == Verdict::kInvalid && got.reason == reply.reason);
    return;
  }
  const shm::Place* named = nullptr;
  for (std::size_t i = reply.place_count; i > 0; --i) {
    if (reply.places[i - 1].generation == world.generation()) named = &reply.places[i - 1];
  }
  const bool right_place =
      reply.verdict == Verdict::kValid && named != nullptr && *named == world.place(answer.token);
  if (right_place && answer.token == kGood) {
    FUZZ_REQUIRE(got.verdict == Verdict::kValid && got.has_record);
  } else if (right_place && answer.token == kWithoutScope) {
    FUZZ_REQUIRE(got.verdict == Verdict::kForbidden && got.reason == Reason::kScope);
  } else {
    FUZZ_REQUIRE(got.verdict == Verdict::kUnavailable);
  }
}

}  // namespace

FUZZ_TARGET(sdk_replies) {
  static World world;
  if (input.size() > 16 * 1024) return;  // more than fits into a socket's buffer would wait for a reader
  Bytes bytes(input);
  Answer answer;
  answer.token = bytes.byte() % std::size(kTokens);
  answer.steps = bytes.rest();
  const client::Answer got = world.ask(answer);
  if (answer.counts) return require_reply(world, answer, got);
  FUZZ_REQUIRE(got.verdict == Verdict::kUnavailable);
}
