// Replies in pieces of every size, at every depth, beyond every bound; commands whose arguments are anything.
#include "daemon/io/redis/redis_reply.hpp"

#include <gtest/gtest.h>

#include "daemon/io/redis/redis_command.hpp"
#include "daemon/io/redis/redis_fault.hpp"

namespace authcached {
namespace {

using Kind = RedisReply::Kind;

constexpr RedisReplyLimits kLimits{64, 16};

std::string shown(const RedisReply& reply) {
  switch (reply.kind()) {
    case Kind::kNil: return "nil";
    case Kind::kInteger: return std::to_string(reply.integer());
    case Kind::kStatus: return "+" + std::string(reply.text());
    case Kind::kText: return "'" + std::string(reply.text()) + "'";
    case Kind::kError: return "-" + std::string(reply.text());
    case Kind::kArray: {
      std::string all = "[";
      if (reply.size() == 0) return "[]";
      RedisReply element = reply.first();
      for (std::size_t i = 0; i < reply.size(); ++i) {
        all += (i > 0 ? " " : "") + shown(element);
        if (i + 1 < reply.size()) element = element.next();
      }
      return all + "]";
    }
  }
  return "?";
}

// All replies that these bytes hold, fed in pieces of this size; "!" at the end for a fault.
std::string read(const std::string& bytes, std::size_t piece, const RedisReplyLimits& limits = kLimits) {
  RedisReplyReader reader(limits);
  std::string all;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    EXPECT_TRUE(reader.feed(std::string_view(bytes).substr(at, piece)));
    for (;;) {
      const auto reply = reader.next();
      if (!reply) return all + "!";
      if (!*reply) break;
      all += shown(**reply) + ";";
    }
  }
  return all;
}

TEST(RedisReply, EveryKindIsReadWholeAndInPieces) {
  const std::string bytes =
      "+OK\r\n-ERR "
      "no\r\n:-7\r\n$-1\r\n$0\r\n\r\n$4\r\na\r\nb\r\n*-1\r\n*0\r\n*2\r\n:1\r\n*3\r\n$1\r\nx\r\n$-1\r\n*1\r\n+"
      "y\r\n*1\r\n*0\r\n:9\r\n";
  const std::string wanted = "+OK;-ERR no;-7;nil;'';'a\r\nb';nil;[];[1 ['x' nil [+y]]];[[]];9;";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) EXPECT_EQ(read(bytes, piece), wanted) << piece;
}

TEST(RedisReply, WhatIsBeyondTheBoundsIsRefusedBeforeItHasCome) {
  EXPECT_EQ(read("$65\r\n" + std::string(65, 'x') + "\r\n", 1'000), "!");
  EXPECT_EQ(read("$1000000\r\n" + std::string(200, 'x'), 10), "!");
  EXPECT_EQ(read("*17\r\n", 100), "!");
  EXPECT_EQ(read("*2147483647\r\n", 100), "!");
  EXPECT_EQ(read("*8\r\n*16\r\n", 100), "!");
  EXPECT_EQ(read("*2\r\n$40\r\n" + std::string(40, 'x') + "\r\n$40\r\n" + std::string(40, 'x') + "\r\n", 7),
            "!");
  EXPECT_EQ(read("+" + std::string(100, 'x'), 10), "!");
  EXPECT_EQ(read("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 100), "!");
  // The bounds are of one reply, not of all.
  std::string many;
  for (int i = 0; i < 100; ++i) many += "$60\r\n" + std::string(60, 'y') + "\r\n";
  EXPECT_EQ(read(many, 33).find('!'), std::string::npos);
}

TEST(RedisReply, WhatIsNotRespIsAFault) {
  for (const char* bad : {"x\r\n", "HTTP/1.1 200\r\n", "$x\r\n", ":1x\r\n", "$-2\r\n", "*-2\r\n", ":\r\n",
                          "\r\n", "*1\r\n?\r\n"})
    EXPECT_EQ(read(bad, 100), "!") << bad;
}

TEST(RedisCommand, B24_EveryByteOfAnArgumentIsTheArguments) {
  std::string commands = "+before";
  append_redis_command(commands, {"GET", std::string_view("a\r\n$1\r\n\0*", 9), ""});
  EXPECT_EQ(commands, std::string("+before*3\r\n$3\r\nGET\r\n$9\r\na\r\n$1\r\n\0*\r\n$0\r\n\r\n", 41));
}

TEST(RedisFaults, NothingOfAnErrorButItsCodeIsRepeated) {
  for (const char* error :
       {"NOPERM session:secret", "ERR secret", "secret", "MOVED 1 secret:1", "SECRET\r\n", "Se cret", ""}) {
    const std::string sentence = redis_fault_of(error).sentence;
    EXPECT_FALSE(sentence.empty());
    EXPECT_EQ(sentence.find("secret"), std::string::npos) << sentence;
  }
  EXPECT_TRUE(redis_fault_of("NOAUTH x").reconnect);
  EXPECT_FALSE(redis_fault_of("LOADING x").reconnect);
  EXPECT_NE(redis_fault_of("ASK 1 h:1").sentence.find("not supported"), std::string::npos);
}

}  // namespace
}  // namespace authcached
