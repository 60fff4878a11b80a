// What a Redis server answers, read from bytes as they come: hiredis' reader does the protocol (RESP2), and
// builds into one array of nodes and one text that are used again for every reply.
//
// One thread. Bounded: a server that announces more than the limits, or nests deeper than hiredis' seven
// levels, is a fault, and after a fault the reader is of no more use. A view is good until the next reply is
// asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shm/result.hpp"

namespace authcached {

struct RedisReplyLimits {
  std::size_t bytes;  // of one reply: its texts, and what has come of it without being whole
  std::size_t nodes;  // of one reply: values at every depth together
};

// A value and what is below it.
class RedisReply {
 public:
  enum class Kind : std::uint8_t { kNil, kInteger, kStatus, kText, kError, kArray };
  struct Node {
    Kind kind;
    std::uint32_t elements;  // of an array
    std::uint32_t nodes;     // this one and all below it
    std::int64_t integer;    // an integer's value; else where its text begins
    std::size_t bytes;       // of the text
  };

  RedisReply(const Node* node, const char* texts) : node_(node), texts_(texts) {}

  [[nodiscard]] Kind kind() const { return node_->kind; }
  [[nodiscard]] bool is(Kind kind) const { return node_->kind == kind; }
  [[nodiscard]] std::int64_t integer() const { return node_->integer; }
  // Of a status, a text or an error.
  [[nodiscard]] std::string_view text() const { return {texts_ + node_->integer, node_->bytes}; }
  [[nodiscard]] std::size_t size() const { return node_->elements; }
  // An array's elements, one by one: first() if size() > 0, then next() from each to the one behind it.
  [[nodiscard]] RedisReply first() const { return {node_ + 1, texts_}; }
  [[nodiscard]] RedisReply next() const { return {node_ + node_->nodes, texts_}; }

 private:
  const Node* node_;
  const char* texts_;
};

class RedisReplyReader {
 public:
  explicit RedisReplyReader(const RedisReplyLimits& limits);
  ~RedisReplyReader();
  RedisReplyReader(const RedisReplyReader&) = delete;
  RedisReplyReader& operator=(const RedisReplyReader&) = delete;

  // False if no memory is left.
  [[nodiscard]] bool feed(std::string_view bytes);
  // The next whole reply; nothing while it has not all come. The error says what is wrong, never what came.
  [[nodiscard]] authcache::shm::Result<std::optional<RedisReply>> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace authcached
