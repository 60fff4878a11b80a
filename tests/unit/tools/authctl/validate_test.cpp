// authctl validate over a table that no daemon serves: what is in memory is answered, what is not is never a
// yes.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json/parse.hpp>

#include "shm/digest.hpp"
#include "tests/unit/tools/authctl/table_fixture.hpp"
#include "tests/unit/tools/authctl/whole_program.hpp"

namespace authctl {
namespace {

namespace shm = authcache::shm;
namespace json = boost::json;
using testing::kProfileId;

class Validate : public testing::TableFixture {
 protected:
  void SetUp() override {
    TableFixture::SetUp();
    ::chmod(directory_.c_str(), 0750);
    // The profile's audience is not what these tests are about, and the records name none.
    writer_->set_profiles({{"sessions", kProfileId, shm::ProfileState::kCurrent, {}}});
    insert(shm::key_of(shm::token_digest(kProfileId, "good")), "alice");
    insert(shm::key_of(shm::token_digest(kProfileId, "bad")), "", shm::Verdict::kInvalid,
           shm::Reason::kRevoked);
  }
  testing::Ran validate(const std::string& tokens, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"validate", "--profile", "sessions", "--timeout", "100ms"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::run_authctl(arguments, tokens, directory_);
  }
};

TEST_F(Validate, ARecordInMemoryAnswersWithItsIdentity) {
  const auto ran = validate("good\n", {"--json"});
  EXPECT_EQ(ran.exit, Exit::kYes) << ran.out << ran.err;
  const auto token = json::parse(ran.out).at("tokens").at(0).as_object();
  EXPECT_EQ(token.at("verdict").as_string(), "valid");
  EXPECT_EQ(token.at("from").as_string(), "memory");
  EXPECT_EQ(token.at("subject").as_string(), "alice");
  EXPECT_EQ(token.at("scopes").as_string(), "read write");
  EXPECT_GT(token.at("remaining_ns").to_number<std::int64_t>(), 0);
  EXPECT_EQ(ran.out.find("good"), std::string::npos) << "the token itself is not printed";
}

TEST_F(Validate, RequirementsAreEvaluated) {
  EXPECT_EQ(validate("good\n", {"--scope", "read", "--scope", "write"}).exit, Exit::kYes);
  const auto ran = validate("good\n", {"--scope", "read", "--scope", "admin"});
  EXPECT_EQ(ran.exit, Exit::kNo);
  EXPECT_NE(ran.out.find("forbidden"), std::string::npos) << ran.out;
  EXPECT_EQ(validate("good\n", {"--permission", "p"}).exit, Exit::kNo);
  EXPECT_EQ(validate("good\n", {"--audience", "https://other"}).exit, Exit::kNo);
}

TEST_F(Validate, AnInvalidRecordIsANoWithItsReason) {
  const auto ran = validate("bad\n");
  EXPECT_EQ(ran.exit, Exit::kNo);
  EXPECT_NE(ran.out.find("revoked"), std::string::npos) << ran.out;
}

TEST_F(Validate, AMissWithoutADaemonIsUnreachable) {
  const auto ran = validate("unknown\n");
  EXPECT_EQ(ran.exit, Exit::kUnreachable) << ran.out;
}

TEST_F(Validate, SeveralTokensAreATableAndOneNoIsANo) {
  const auto ran = validate("good\n\nbad\n");
  EXPECT_EQ(ran.exit, Exit::kNo);
  EXPECT_TRUE(ran.out.starts_with("LINE  VERDICT  REASON")) << ran.out;
  EXPECT_NE(ran.out.find("\n   1  valid"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("\n   3  invalid  revoked"), std::string::npos) << ran.out;
  EXPECT_EQ(validate("good\ngood\n").exit, Exit::kYes);
}

TEST_F(Validate, ARevokedRecordIsNoLongerAYes) {
  ASSERT_TRUE(writer_->kill(shm::key_of(shm::token_digest(kProfileId, "good")), shm::SlotState::kRevoked));
  EXPECT_NE(validate("good\n").exit, Exit::kYes);
}

TEST_F(Validate, AnUnknownProfileIsNeverAYes) {
  EXPECT_NE(
      testing::run_authctl({"validate", "--profile", "nobody", "--timeout", "100ms"}, "good\n", directory_)
          .exit,
      Exit::kYes);
}

}  // namespace
}  // namespace authctl
