// What a server says of a stream, as it is said and as it must not be believed.
#include "daemon/io/redis/redis_stream_reply.hpp"

#include <gtest/gtest.h>

namespace authcached {
namespace {

// One reply from its bytes; the reader must outlive the view.
struct Said {
  explicit Said(const std::string& bytes) : reader({4'096, 64}) {
    EXPECT_TRUE(reader.feed(bytes));
    auto next = reader.next();
    EXPECT_TRUE(next && *next);
    reply = **next;
  }
  RedisReplyReader reader;
  RedisReply reply{nullptr, nullptr};
};

std::string text(std::string_view word) {
  return "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
}
std::string array(std::initializer_list<std::string> elements) {
  std::string all = "*" + std::to_string(elements.size()) + "\r\n";
  for (const std::string& each : elements) all += each;
  return all;
}

TEST(RedisStreamReply, AnIdIsTwoNumbersAndNothingElse) {
  EXPECT_EQ(stream_id_of("1700000000000-7"), (StreamId{1'700'000'000'000, 7}));
  EXPECT_EQ(StreamId({5, 6}).text(), "5-6");
  EXPECT_LT((StreamId{5, 9}), (StreamId{6, 0}));
  for (const char* bad : {"", "-", "5", "5-", "-5", "5-6-7", "5-x", "+5-6", " 5-6", "18446744073709551616-0"})
    EXPECT_FALSE(stream_id_of(bad)) << bad;
}

TEST(RedisStreamReply, OnlyAWholeDescriptionCounts) {
  const Said good(
      array({text("length"), ":2\r\n", text("last-generated-id"), text("8-1"), text("entries-added"),
             ":5\r\n", text("first-entry"), array({text("7-0"), array({text("a"), text("b")})})}));
  const auto info = stream_info_of(good.reply);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->last, (StreamId{8, 1}));
  EXPECT_EQ(info->added, 5U);
  EXPECT_EQ(info->length, 2U);
  // Redis 6.2 counts nothing: what it trims would go unseen.
  const Said old(array({text("length"), ":2\r\n", text("last-generated-id"), text("8-1")}));
  EXPECT_FALSE(stream_info_of(old.reply));
  const Said negative(array(
      {text("length"), ":2\r\n", text("last-generated-id"), text("8-1"), text("entries-added"), ":-1\r\n"}));
  EXPECT_FALSE(stream_info_of(negative.reply));
}

TEST(RedisStreamReply, AKeyThatIsNotThereIsAnEmptyStreamAndNoOtherErrorIs) {
  const Said absent("-ERR no such key\r\n"), other("-WRONGTYPE Operation against a key\r\n");
  EXPECT_TRUE(stream_info_of(absent.reply));
  EXPECT_EQ(stream_info_of(absent.reply)->added, 0U);
  EXPECT_FALSE(stream_info_of(other.reply));
}

TEST(RedisStreamReply, EntriesMustStandInTheirOrder) {
  const auto entry = [](const char* id) { return array({text(id), array({text("k"), text(id)})}); };
  const Said good(array({array({text("s"), array({entry("5-1"), entry("5-2")})})}));
  const auto entries = stream_entries_of(good.reply);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ(*entries->at(1).field("k"), "5-2");
  EXPECT_EQ(entries->at(1).field("x"), nullptr);
  const Said twice(array({array({text("s"), array({entry("5-1"), entry("5-1")})})}));
  EXPECT_FALSE(stream_entries_of(twice.reply));
  const Said odd(array({array({text("s"), array({array({text("5-1"), array({text("k")})})})})}));
  EXPECT_FALSE(stream_entries_of(odd.reply));
  // An entry that was deleted while somebody asked for it.
  const Said none(array({array({text("s"), array({array({text("5-1"), "*-1\r\n"})})})}));
  EXPECT_FALSE(stream_entries_of(none.reply));
  const Said nothing("*-1\r\n");
  EXPECT_EQ(stream_entries_of(nothing.reply)->size(), 0U);
}

TEST(RedisStreamReply, TheServersIdentityAndClock) {
  const std::string id(40, 'a');
  EXPECT_EQ(run_id_of("# Server\r\nredis_version:7.0.15\r\nrun_id:" + id + "\r\ntcp_port:0\r\n"), id);
  EXPECT_FALSE(run_id_of("# Server\r\nother_run_id:" + id + "\r\n"));
  EXPECT_FALSE(run_id_of("run_id:" + std::string(39, 'a') + "\r\n"));
  const Said time(array({text("1700000000"), text("123456")})), wrong(array({text("x"), text("1")}));
  EXPECT_EQ(server_ms_of(time.reply), 1'700'000'000'123U);
  EXPECT_FALSE(server_ms_of(wrong.reply));
}

}  // namespace
}  // namespace authcached
