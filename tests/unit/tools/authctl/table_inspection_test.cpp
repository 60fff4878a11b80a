#include "tools/authctl/table_inspection.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <filesystem>

#include "shm/coarse_clock.hpp"
#include "tests/unit/tools/authctl/table_fixture.hpp"
#include "tests/unit/tools/authctl/whole_program.hpp"

namespace authctl {
namespace {

namespace shm = authcache::shm;
namespace json = boost::json;
using testing::kMinute;
using testing::run_authctl;

shm::Key key_of_number(std::uint64_t number) { return {number, number, number}; }

std::string hex_of_number(char digit) {
  const std::string word = "0" + std::string(1, digit) + std::string(14, '0');  // little-endian
  return word + word + word;
}

class TableInspection : public testing::TableFixture {};

TEST_F(TableInspection, ARecordIsReadAsItWasWritten) {
  insert(key_of_number(1), "alice");
  const auto record = find_record(writer_->view(), key_of_number(1), shm::coarse_now_ns());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->digest, hex_of_number('1'));
  EXPECT_EQ(record->generation, 42u);
  EXPECT_EQ(record->verdict, shm::Verdict::kValid);
  EXPECT_TRUE(record->current);
  EXPECT_EQ(record->profile, "sessions");
  EXPECT_EQ(record->text.subject, "alice");
  EXPECT_EQ(record->text.scopes, (std::vector<std::string>{"read", "write"}));
  EXPECT_FALSE(record->issued_wall_ns);
  EXPECT_FALSE(record->text_damaged);
  EXPECT_FALSE(find_record(writer_->view(), key_of_number(2), shm::coarse_now_ns()));
}

TEST_F(TableInspection, AnExpiredOrVoidedRecordIsNotCurrent) {
  insert(key_of_number(1), "alice");
  const auto later = find_record(writer_->view(), key_of_number(1), shm::coarse_now_ns() + 2 * kMinute);
  ASSERT_TRUE(later);
  EXPECT_FALSE(later->current);
  EXPECT_LT(later->remaining_ns, 0);
  writer_->raise_all();
  const auto voided = find_record(writer_->view(), key_of_number(1), shm::coarse_now_ns());
  ASSERT_TRUE(voided);
  EXPECT_FALSE(voided->current);
}

TEST_F(TableInspection, SlotsAreCountedByState) {
  insert(key_of_number(1), "alice");
  insert(key_of_number(2), "bob");
  insert(key_of_number(3), "carol");
  ASSERT_TRUE(writer_->kill(key_of_number(2), shm::SlotState::kRevoked));
  const auto counts = count_slots(writer_->view());
  EXPECT_EQ(counts.at("live"), 2u);
  EXPECT_EQ(counts.at("dead_revoked"), 1u);
  EXPECT_EQ(counts.at("empty"), writer_->view().geometry.slots - 3);
}

TEST_F(TableInspection, TheFileIsShownWithoutADaemon) {
  insert(key_of_number(1), "alice");
  insert(key_of_number(2), "", shm::Verdict::kInvalid, shm::Reason::kBadSignature);
  writer_.reset();
  const auto ran = run_authctl({"inspect", "--json", "--all", "--file", file()});
  ASSERT_EQ(ran.exit, Exit::kYes) << ran.out;
  const auto document = json::parse(ran.out).as_object();
  EXPECT_EQ(document.at("table").at("generation").to_number<std::uint64_t>(), 42u);
  EXPECT_EQ(document.at("table").at("state").as_string(), "live");
  EXPECT_EQ(document.at("slots").at("live").to_number<std::uint64_t>(), 2u);
  EXPECT_EQ(document.at("profiles").at(0).at("name").as_string(), "sessions");
  EXPECT_EQ(document.at("profiles").at(0).at("id").as_string(), "0102030405060708");
  EXPECT_EQ(document.at("dictionary").at(1).at("text").as_string(), "write");
  ASSERT_EQ(document.at("records").as_array().size(), 2u);
  const auto text = run_authctl({"inspect", "--all", "--file", file()});
  EXPECT_NE(text.out.find("bad_signature"), std::string::npos);
  EXPECT_NE(text.out.find("alice"), std::string::npos);
  EXPECT_EQ(run_authctl({"inspect", "--file", file()}).out.find("alice"), std::string::npos);
}

TEST_F(TableInspection, OneRecordIsFoundByItsDigest) {
  insert(key_of_number(1), "alice");
  const auto found =
      run_authctl({"inspect", "--json", "--file", file(), "--digest", hex_of_number('1') + "00"});
  EXPECT_EQ(found.exit, Exit::kYes);
  EXPECT_EQ(json::parse(found.out).at("identity").at("subject").as_string(), "alice");
  EXPECT_EQ(run_authctl({"inspect", "--file", file(), "--digest", hex_of_number('7')}).exit, Exit::kNo);
  EXPECT_EQ(run_authctl({"inspect", "--file", file(), "--digest", "zz"}).exit, Exit::kUsage);
}

// A5_11
TEST_F(TableInspection, HostileBytesDoNotReachTheTerminal) {
  insert(key_of_number(1), "a\x1b[2J\xff\xc2\x9b");
  for (const bool as_json : {false, true}) {
    std::vector<std::string> arguments{"inspect", "--all", "--file", file()};
    if (as_json) arguments.emplace_back("--json");
    const auto ran = run_authctl(arguments);
    EXPECT_EQ(ran.exit, Exit::kYes);
    for (const char* hostile : {"\x1b", "\xff", "\x9b"}) EXPECT_EQ(ran.out.find(hostile), std::string::npos);
    if (as_json) {
      EXPECT_NO_THROW(json::parse(ran.out));
    }
  }
}

TEST_F(TableInspection, TextThatIsNoRunOfFieldsIsSaidToBeDamaged) {
  insert(key_of_number(1), "alice");
  const auto before = find_record(writer_->view(), key_of_number(1), shm::coarse_now_ns());
  ASSERT_TRUE(before);
  // A length that leads out of the text, and then a place that leads out of the file.
  auto& cold = writer_->view().cold(before->slot);
  const std::uint64_t text = cold.text.load();
  writer_->view().text_word((text & ((std::uint64_t{1} << 40) - 1)) * 8).store(0xffffff01);
  const auto cut = find_record(writer_->view(), key_of_number(1), shm::coarse_now_ns());
  ASSERT_TRUE(cut);
  EXPECT_TRUE(cut->text_damaged);
  cold.text.store(shm::pack_text((std::uint64_t{1} << 40) - 1, 64));
  const auto outside = find_record(writer_->view(), key_of_number(1), shm::coarse_now_ns());
  ASSERT_TRUE(outside);
  EXPECT_TRUE(outside->text_damaged);
  EXPECT_EQ(outside->text.subject, "");
}

TEST_F(TableInspection, AFileThatOthersMayWriteIsRefused) {
  ::chmod(file().c_str(), 0660);
  const auto ran = run_authctl({"inspect", "--file", file()});
  EXPECT_EQ(ran.exit, Exit::kFailed);
  EXPECT_NE(ran.err.find("wider mode"), std::string::npos) << ran.err;
}

TEST_F(TableInspection, AForeignOwnersFileIsRefusedUnlessItOwnsTheRuntimeDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  constexpr uid_t kForeigner = 4242;
  ASSERT_EQ(::chown(file().c_str(), kForeigner, static_cast<gid_t>(-1)), 0);
  const auto ran = run_authctl({"inspect", "--file", file()});
  EXPECT_EQ(ran.exit, Exit::kFailed);
  EXPECT_NE(ran.err.find("owned by uid 4242"), std::string::npos) << ran.err;
  ASSERT_EQ(::chown(directory_.c_str(), kForeigner, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(run_authctl({"inspect", "--file", file()}, "", directory_).exit, Exit::kYes);
}

TEST(ParseDigest, TakesFortyEightToSixtyFourHexDigits) {
  EXPECT_TRUE(parse_digest(std::string(48, 'a')));
  EXPECT_TRUE(parse_digest(std::string(64, 'F')));
  EXPECT_EQ(parse_digest(std::string(48, 'A')), parse_digest(std::string(48, 'a')));
  for (const std::string& text : {std::string(), std::string(47, 'a'), std::string(49, 'a'),
                                  std::string(66, 'a'), std::string(47, 'a') + "g"}) {
    EXPECT_FALSE(parse_digest(text)) << text;
  }
}

}  // namespace
}  // namespace authctl
