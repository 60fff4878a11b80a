#include "daemon/io/redis/redis_reply.hpp"

#include <hiredis/hiredis.h>

#include <vector>

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;

namespace {

using Node = RedisReply::Node;
using Kind = RedisReply::Kind;

// Around a text: the line with its length, and its end.
constexpr std::size_t kFrameBytes = 32;
// Room that stays between replies. hiredis' own default is less than what one read of a socket takes, so that it
// would be given back and asked for again with each.
constexpr std::size_t kBufferKept = 64 * 1024;

// What hiredis' callbacks build into. They are called by C code: nothing is thrown through it.
struct Build {
  RedisReplyLimits limits;
  std::vector<Node> nodes;
  std::string texts;
  const char* refusal = nullptr;

  // A task's object is where its node stands, from 1: a null pointer tells hiredis to give up.
  void* add(const Node& node) noexcept {
    if (nodes.size() >= limits.nodes) return refuse("a reply has too many values");
    try {
      nodes.push_back(node);
    } catch (...) {
      return refuse("no memory is left for a reply");
    }
    return reinterpret_cast<void*>(nodes.size());
  }
  void* add_text(Kind kind, std::string_view text) noexcept {
    if (text.size() > limits.bytes - texts.size()) return refuse("a reply is too long");
    const std::size_t at = texts.size();
    try {
      texts.append(text);
    } catch (...) {
      return refuse("no memory is left for a reply");
    }
    return add({kind, 0, 1, static_cast<std::int64_t>(at), text.size()});
  }
  void* refuse(const char* why) noexcept {
    refusal = why;
    return nullptr;
  }
};

Build& build_of(const redisReadTask* task) { return *static_cast<Build*>(task->privdata); }

void* create_string(const redisReadTask* task, char* text, std::size_t bytes) {
  const Kind kind = task->type == REDIS_REPLY_STATUS  ? Kind::kStatus
                    : task->type == REDIS_REPLY_ERROR ? Kind::kError
                                                      : Kind::kText;
  return build_of(task).add_text(kind, {text, bytes});
}

void* create_array(const redisReadTask* task, int elements) {
  Build& build = build_of(task);
  // Refused by the number announced, before the elements come.
  if (elements < 0 || static_cast<std::size_t>(elements) > build.limits.nodes - build.nodes.size())
    return build.refuse("a reply has too many values");
  return build.add({Kind::kArray, static_cast<std::uint32_t>(elements), 1, 0, 0});
}

void* create_integer(const redisReadTask* task, long long value) {
  return build_of(task).add({Kind::kInteger, 0, 1, value, 0});
}

void* create_nil(const redisReadTask* task) { return build_of(task).add({Kind::kNil, 0, 1, 0, 0}); }

void free_nothing(void*) {}

redisReplyObjectFunctions functions{create_string, create_array, create_integer, create_nil, free_nothing};

// Nodes stand in the order in which they were read, each array before its elements; told from the end, every
// element knows how many nodes it has by the time that its array sums them up.
void count_nodes(std::vector<Node>& nodes) {
  for (std::size_t i = nodes.size(); i-- > 0;) {
    std::uint32_t count = 1;
    for (std::uint32_t element = 0; element < nodes[i].elements; ++element) count += nodes[i + count].nodes;
    nodes[i].nodes = count;
  }
}

}  // namespace

struct RedisReplyReader::Impl {
  struct Free {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  Build build;
  std::unique_ptr<redisReader, Free> reader;
  bool whole = true;
};

RedisReplyReader::RedisReplyReader(const RedisReplyLimits& limits) : impl_(std::make_unique<Impl>()) {
  impl_->build.limits = limits;
  impl_->reader.reset(redisReaderCreateWithFunctions(&functions));
  if (!impl_->reader) return;
  impl_->reader->privdata = &impl_->build;
  impl_->reader->maxbuf = kBufferKept;
}

RedisReplyReader::~RedisReplyReader() = default;

bool RedisReplyReader::feed(std::string_view bytes) {
  return impl_->reader && redisReaderFeed(impl_->reader.get(), bytes.data(), bytes.size()) == REDIS_OK;
}

Result<std::optional<RedisReply>> RedisReplyReader::next() {
  Build& build = impl_->build;
  redisReader* const reader = impl_->reader.get();
  if (reader == nullptr) return fail(ErrorCode::kSystem, "no memory is left to read replies");
  if (std::exchange(impl_->whole, false)) {
    build.nodes.clear();
    build.texts.clear();
  }
  void* object = nullptr;
  if (redisReaderGetReply(reader, &object) != REDIS_OK) {
    if (build.refusal != nullptr) return fail(ErrorCode::kRefused, build.refusal);
    // hiredis' own sentence quotes what came.
    return fail(ErrorCode::kRefused, reader->err == REDIS_ERR_PROTOCOL ? "what it answers is not RESP2"
                                                                       : "no memory is left for a reply");
  }
  if (object == nullptr) {
    // hiredis keeps what is not whole yet, however long it announces to become.
    if (reader->len - reader->pos > build.limits.bytes - build.texts.size() + kFrameBytes)
      return fail(ErrorCode::kRefused, "a reply is too long");
    return std::nullopt;
  }
  impl_->whole = true;
  count_nodes(build.nodes);
  return RedisReply(build.nodes.data(), build.texts.data());
}

}  // namespace authcached
