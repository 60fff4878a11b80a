// The verbs that ask the daemon, each whole: what it sends, what it prints, what it exits with.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "tests/unit/tools/authctl/fake_control_server.hpp"
#include "tests/unit/tools/authctl/whole_program.hpp"

namespace authctl {
namespace {

namespace json = boost::json;
using testing::FakeControlServer;
using testing::Ran;

struct Exchange {
  Ran ran;
  std::vector<std::string> asked;
};

// Runs authctl against a daemon that gives these answers in order, and then closes.
Exchange run_against(const std::vector<std::string>& replies, const std::vector<std::string>& arguments,
                     const std::string& input = "") {
  Exchange exchange;
  {  // the server has ended, and with it its thread, before what it noted is read
    const FakeControlServer server([&](int connection) {
      for (const std::string& reply : replies) {
        const auto asked = testing::read_request(connection);
        if (asked.text.empty()) return;
        exchange.asked.push_back(asked.text);
        testing::send_bytes(connection, testing::reply_frame(asked.id, reply));
      }
    });
    exchange.ran = testing::run_authctl(arguments, input, server.directory());
  }
  return exchange;
}

void expect_asked(const Exchange& exchange, const char* request) {
  ASSERT_EQ(exchange.asked.size(), 1u);
  EXPECT_EQ(json::parse(exchange.asked[0]), json::parse(request)) << exchange.asked[0];
}

TEST(Verbs, RevokeTakesTheTokenFromStandardInputAndTellsWhatHappened) {
  const auto done = run_against(
      {R"({"ok":true,"change":17,"killed":3,"refused_after_ns":41000,"durable_after_ns":2500000})"},
      {"revoke", "--token"}, "eyJ.secret\nnot this line\n");
  expect_asked(done, R"({"verb":"revoke","token":"eyJ.secret"})");
  EXPECT_EQ(done.ran.exit, Exit::kYes);
  EXPECT_EQ(done.ran.out, "refused after 41us, durable after 2ms 500us, change 17, 3 records\n");
}

TEST(Verbs, JsonPrintsTheReplyAsItCameOnOneLine) {
  const char* reply =
      R"({"ok":true,"change":17,"killed":3,"refused_after_ns":41000,"durable_after_ns":2500000})";
  const auto done = run_against({reply}, {"revoke", "--token", "--json"}, "t\n");
  EXPECT_EQ(done.ran.out, std::string(reply) + "\n");
}

TEST(Verbs, ARevocationWithoutAnAnswerIsNotReportedAsDoneOrUndone) {
  const auto lost = run_against({}, {"revoke", "--token"}, "t\n");
  EXPECT_EQ(lost.ran.exit, Exit::kCannotTell);
  EXPECT_NE(lost.ran.err.find("not known"), std::string::npos) << lost.ran.err;
}

TEST(Verbs, TheDaemonsRefusalIsItsSentenceAndItsCode) {
  const char* refused = R"({"ok":false,"error":"no session has this sid","code":"not_found"})";
  const auto text = run_against({refused}, {"session", "revoke", "abc"});
  expect_asked(text, R"({"verb":"session_revoke","profile":"sessions","sid":"abc"})");
  EXPECT_EQ(text.ran.exit, Exit::kNo);
  EXPECT_EQ(text.ran.err, "authctl: no session has this sid\n");
  EXPECT_EQ(text.ran.out, "");
  const auto document = run_against({refused}, {"session", "revoke", "abc", "--json"});
  EXPECT_EQ(document.ran.exit, Exit::kNo);
  EXPECT_EQ(document.ran.out, std::string(refused) + "\n");
  EXPECT_EQ(document.ran.err, "");
}

std::string batch(const char* token) {
  return json::serialize(json::object{
      {"ok", true},
      {"sessions", json::array{json::object{{"token", token}, {"sid", "s"}, {"expires_wall_ns", 0}}}}});
}

TEST(Verbs, SessionsAreCreatedInBatchesOfAThousand) {
  const auto done =
      run_against({batch("t1"), batch("t2"), batch("t3")},
                  {"session", "create", "--subject", "alice", "--count", "2500", "--scope", "a", "--scope",
                   "b", "--role", "r", "--permission", "p", "--client-id", "c", "--ttl", "8h", "--json"});
  EXPECT_EQ(done.ran.exit, Exit::kYes);
  ASSERT_EQ(done.asked.size(), 3u);
  EXPECT_EQ(
      json::parse(done.asked[0]),
      json::parse(
          R"({"verb":"session_create","profile":"sessions","subject":"alice","client_id":"c","scopes":["a","b"],"roles":["r"],
                            "permissions":["p"],"ttl_ns":28800000000000,"count":1000})"));
  EXPECT_EQ(json::parse(done.asked[2]).at("count").to_number<int>(), 500);
  const auto document = json::parse(done.ran.out);
  EXPECT_TRUE(document.at("ok").as_bool());
  EXPECT_EQ(document.at("sessions").as_array().size(), 3u);
}

TEST(Verbs, TokensOfFinishedBatchesArePrintedThoughALaterOneFails) {
  const std::string refused = R"({"ok":false,"error":"the disk is full","code":"failed"})";
  const auto text =
      run_against({batch("t1"), refused}, {"session", "create", "--subject", "a", "--count", "2000"});
  EXPECT_EQ(text.ran.exit, Exit::kFailed);
  EXPECT_NE(text.ran.out.find("t1"), std::string::npos);
  EXPECT_EQ(text.ran.err, "authctl: the disk is full\n");
  const auto document = run_against({batch("t1"), refused},
                                    {"session", "create", "--subject", "a", "--count", "2000", "--json"});
  EXPECT_EQ(document.ran.exit, Exit::kFailed);
  const auto parsed = json::parse(document.ran.out);
  EXPECT_FALSE(parsed.at("ok").as_bool());
  EXPECT_EQ(parsed.at("sessions").at(0).at("token").as_string(), "t1");
}

TEST(Verbs, SessionListShowsOneLineForEach) {
  const auto done = run_against(
      {R"({"ok":true,"sessions":[{"sid":"s1","subject":"alice","client_id":"","scopes":["read"],"roles":[],
      "permissions":[],"created_wall_ns":1772366400000000000,"expires_wall_ns":1772370000000000000,
      "last_seen_wall_ns":1772366460000000000,"revoked_wall_ns":null}]})"},
      {"session", "list", "--subject", "alice"});
  expect_asked(done, R"({"verb":"session_list","profile":"sessions","subject":"alice","limit":100})");
  EXPECT_EQ(
      done.ran.out,
      "SID  SUBJECT  CLIENT ID  SCOPES  ROLES  PERMISSIONS  CREATED               EXPIRES               "
      "LAST SEEN             REVOKED\n"
      "s1   alice    -          read    -      -            2026-03-01T12:00:00Z  2026-03-01T13:00:00Z  "
      "2026-03-01T12:01:00Z  -\n");
}

TEST(Verbs, RevocationsAreAskedForByPage) {
  const auto done = run_against({R"({"ok":true,"rules":[],"total":0})"},
                                {"revocations", "list", "--after", "9", "--limit", "5"});
  expect_asked(done, R"({"verb":"revocations","after":9,"limit":5})");
  EXPECT_EQ(done.ran.out, "0 shown, 0 in force\n");
}

TEST(Verbs, StatsShowsTheThreePartsAndComplaints) {
  const auto done = run_against(
      {R"({"ok":true,"table":{"generation":7,"state":"live","heartbeat_age_ns":4000000,"file_bytes":1048576},
      "daemon":{"version":"0.1.0","io":"io_uring"},"profiles":[{"name":"sessions","id":"ab","upstream":"sqlite","state":"current"}],
      "complaints":["state.db was set aside"]})"},
      {"stats"});
  expect_asked(done, R"({"verb":"stats"})");
  EXPECT_EQ(done.ran.out,
            "Table\n"
            "generation     7\n"
            "state          live\n"
            "heartbeat age  4ms\n"
            "file           1.0 MiB\n"
            "\nDaemon\n"
            "version  0.1.0\n"
            "io       io_uring\n"
            "\nProfiles\n"
            "NAME      UPSTREAM  STATE    ID\n"
            "sessions  sqlite    current  ab\n"
            "\nwarning: state.db was set aside\n");
}

TEST(Verbs, FlushReloadKeysUpstreamsConfigAndLogLevelRender) {
  const std::string made = R"({"ok":true,"change":7,"killed":3,"refused_after_ns":1000,"durable_after_ns":2000,"everything":false})";
  expect_asked(run_against({made}, {"revoke", "--jti", "j", "--issuer", "https://i"}), R"({"verb":"revoke","jti":"j","issuer":"https://i"})");
  expect_asked(run_against({made}, {"revoke", "--subject", "alice", "--issuer", "https://i"}), R"({"verb":"revoke","subject":"alice","issuer":"https://i"})");
  expect_asked(run_against({made}, {"revoke", "--sid", "s"}), R"({"verb":"revoke","sid":"s"})");
  expect_asked(run_against({made}, {"revoke", "--client", "c"}), R"({"verb":"revoke","client":"c"})");
  expect_asked(run_against({made}, {"revoke", "--everything"}), R"({"verb":"revoke","everything":true})");
  expect_asked(run_against({made}, {"revoke", "--issuer", "https://i", "--before", "2026-03-01T12:00:00Z"}),
               R"({"verb":"revoke","issuer":"https://i","not_before_wall_ns":1772366400000000000})");
  const auto key = run_against({made}, {"keys", "revoke", "abc"});
  expect_asked(key, R"({"verb":"revoke","key":"abc"})");
  EXPECT_TRUE(key.ran.out.starts_with("refused after 1us")) << key.ran.out;
  const auto lift = run_against({R"({"ok":true,"lifted":[{"change":7,"kind":"sid","scope":"","value":"s","not_before_wall_ns":0}]})"},
                                {"revocations", "lift", "7"});
  expect_asked(lift, R"({"verb":"lift","change":7})");
  EXPECT_TRUE(lift.ran.out.starts_with("lifted:")) << lift.ran.out;
  const auto flush = run_against({R"({"ok":true,"voided":"all"})"}, {"flush", "--issuer", "https://i"});
  expect_asked(flush, R"({"verb":"flush","issuer":"https://i"})");
  EXPECT_TRUE(flush.ran.out.starts_with("voided: all"));
  EXPECT_EQ(
      run_against({R"({"ok":true,"changed":["log_level"],"restart_needed":["group"]})"}, {"reload"}).ran.out,
      "now in effect: log_level\nafter a restart: group\n");
  EXPECT_EQ(run_against({R"({"ok":true,"changed":[],"restart_needed":[]})"}, {"reload"}).ran.out,
            "nothing changed\n");
  EXPECT_EQ(run_against({R"({"ok":true,"profiles":[{"name":"api","loaded_wall_ns":0,"error":"no file",
      "keys":[{"kid":"k1","thumbprint":"ab","algorithms":["RS256"]}],"skipped":[{"kid":"k2","why":"weak"}]}]})"},
                        {"keys"})
                .ran.out,
            "api, loaded -\nerror: no file\nKID  THUMBPRINT  ALGORITHMS\nk1   ab          RS256\nskipped k2: "
            "weak\n");
  EXPECT_EQ(run_against({R"({"ok":true,"upstreams":[]})"}, {"upstreams"}).ran.out, "no upstreams\n");
  EXPECT_EQ(run_against({R"({"ok":true,"text":"group = \"a\"\n","file":"/etc/a.toml"})"}, {"config", "show"})
                .ran.out,
            "# from /etc/a.toml\ngroup = \"a\"\n");
  const auto level = run_against({R"({"ok":true,"level":"debug"})"}, {"log-level", "debug"});
  expect_asked(level, R"({"verb":"log_level","level":"debug"})");
  EXPECT_EQ(level.ran.out, "log level: debug\n");
}

TEST(Verbs, InspectAsksByTokenOrByDigest) {
  const char* reply =
      R"({"ok":true,"digest":"ab","verdict":"valid","remaining_ns":1000000000,"identity":{"subject":"alice","scopes":["read"]}})";
  const auto by_token = run_against({reply}, {"inspect", "--profile", "sessions"}, "tok\n");
  expect_asked(by_token, R"({"verb":"record","profile":"sessions","token":"tok"})");
  EXPECT_EQ(by_token.ran.out,
            "digest     ab\nverdict    valid\nremaining  1s\nsubject    alice\nscopes     read\n");
  const std::string digits(48, 'A');
  const auto by_digest = run_against({reply}, {"inspect", "--digest", digits});
  ASSERT_EQ(by_digest.asked.size(), 1u);
  EXPECT_EQ(json::parse(by_digest.asked[0]).at("digest").as_string(), std::string(48, 'a'));
}

TEST(Verbs, ValidateWithoutATableIsUnreachableAndNeverAYes) {
  const auto ran = testing::run_authctl({"validate", "--profile", "sessions", "--json"}, "tok\n");
  EXPECT_EQ(ran.exit, Exit::kUnreachable);
  const auto document = json::parse(ran.out);
  EXPECT_FALSE(document.at("ok").as_bool());
  EXPECT_EQ(document.at("tokens").at(0).at("verdict").as_string(), "unavailable");
  EXPECT_EQ(document.at("tokens").at(0).at("from").as_string(), "none");
}

TEST(Verbs, ValidateWithoutATokenIsUsage) {
  EXPECT_EQ(testing::run_authctl({"validate", "--profile", "sessions"}, "\n\n").exit, Exit::kUsage);
}

TEST(Verbs, DoctorSaysFailAndExitsThreeWithoutADaemon) {
  const auto ran = testing::run_authctl({"doctor", "--json"});
  EXPECT_EQ(ran.exit, Exit::kUnreachable);
  EXPECT_FALSE(json::parse(ran.out).at("ok").as_bool());
  EXPECT_EQ(json::parse(ran.out).at("checks").as_array().size(), 13u);
}

}  // namespace
}  // namespace authctl
