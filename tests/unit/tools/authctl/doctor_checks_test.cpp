#include "tools/authctl/doctor_checks.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tools/authctl/doctor_report.hpp"

namespace authctl {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

HostFacts healthy() {
  return {.runtime_dir = "/run/authcache",
          .directory = {.exists = true,
                        .is_directory = true,
                        .owner = "authcache",
                        .mode = 040750,
                        .tmpfs = true,
                        .free_bytes = 1 << 30},
          .table = TableFacts{.generation = 7,
                              .state = 1,
                              .file_bytes = 100 << 20,
                              .page_kb = 4,
                              .huge_kb = 2048,
                              .heartbeat_age_ns = 4'000'000,
                              .heartbeat_timeout_ns = 10 * kSecond},
          .shmem_enabled = "advise",
          .daemon = DaemonFacts{.version = "0.1.0", .io = "io_uring"},
          .io_uring_disabled = "0",
          .clock_source = "tsc",
          .access = {.user = "alice",
                     .table_group = "authcache",
                     .in_table_group = true,
                     .control_group = "authcache-admin",
                     .in_control_group = true}};
}

Check check_named(const HostFacts& facts, std::string_view name) {
  for (const Check& check : examine(facts)) {
    if (check.name == name) return check;
  }
  ADD_FAILURE() << "no check " << name;
  return {};
}

template <class Change>
Status status_after(std::string_view name, Change change) {
  HostFacts facts = healthy();
  change(facts);
  const Check check = check_named(facts, name);
  EXPECT_EQ(check.remedy.empty(), check.status == Status::kOk)
      << name << ": what is wrong has a remedy, and nothing else";
  return check.status;
}

TEST(DoctorChecks, AHealthyHostPassesAllInOrder) {
  const auto checks = examine(healthy());
  std::vector<std::string> names;
  for (const Check& check : checks) {
    names.push_back(check.name);
    EXPECT_EQ(check.status, Status::kOk) << check.name << ": " << check.finding;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"runtime directory", "table", "tmpfs", "huge pages", "heartbeat",
                                             "time namespace", "daemon", "io backend", "state database",
                                             "upstreams", "room", "clock source", "groups"}));
  EXPECT_EQ(exit_of_checks(checks, healthy()), Exit::kYes);
}

TEST(DoctorChecks, AnUpstreamThatCannotBeAskedFailsAndIsNamed) {
  HostFacts facts = healthy();
  facts.daemon->upstream_complaints = {"profile mobile cannot learn about its tokens: op.example does not answer", "profile api has no key set yet: no route"};
  const auto checks = examine(facts);
  const auto found = std::ranges::find(checks, "upstreams", &Check::name);
  ASSERT_NE(found, checks.end());
  EXPECT_EQ(found->status, Status::kFail);
  EXPECT_TRUE(found->finding.contains("mobile") && found->finding.contains("no route")) << found->finding;
  facts.daemon.reset();
  EXPECT_EQ(status_after("upstreams", [](HostFacts& f) { f.daemon.reset(); }), Status::kWarn);
}

TEST(DoctorChecks, TheRuntimeDirectoryMustBeItsOwnersAlone) {
  const auto with_mode = [](mode_t mode) {
    return status_after("runtime directory", [=](HostFacts& f) { f.directory.mode = mode; });
  };
  EXPECT_EQ(with_mode(040770), Status::kFail);
  EXPECT_EQ(with_mode(040752), Status::kFail);
  EXPECT_EQ(with_mode(040755), Status::kWarn);
  EXPECT_EQ(with_mode(040700), Status::kOk);
  EXPECT_EQ(status_after("runtime directory", [](HostFacts& f) { f.directory = {}; }), Status::kFail);
  EXPECT_EQ(status_after("runtime directory", [](HostFacts& f) { f.directory.is_directory = false; }),
            Status::kFail);
  EXPECT_EQ(status_after("runtime directory", [](HostFacts& f) { f.directory.error = "Permission denied"; }),
            Status::kFail);
}

TEST(DoctorChecks, TheTableMustOpenAndBeInService) {
  const auto with_state = [](std::uint64_t state) {
    return status_after("table", [=](HostFacts& f) { f.table->state = state; });
  };
  EXPECT_EQ(with_state(2), Status::kOk);
  EXPECT_EQ(with_state(0), Status::kFail);
  EXPECT_EQ(with_state(99), Status::kFail);
  HostFacts facts = healthy();
  facts.table.reset();
  facts.table_error = "the table is owned by uid 7";
  EXPECT_EQ(check_named(facts, "table").finding, "the table is owned by uid 7");
  EXPECT_EQ(check_named(facts, "table").status, Status::kFail);
}

TEST(DoctorChecks, OffTmpfsFails) {
  EXPECT_EQ(status_after("tmpfs", [](HostFacts& f) { f.directory.tmpfs = false; }), Status::kFail);
}

TEST(DoctorChecks, MissingHugePagesAreAWarningWhereTheyMatter) {
  EXPECT_EQ(status_after("huge pages", [](HostFacts& f) { f.table->huge_kb = 0; }), Status::kWarn);
  EXPECT_EQ(status_after("huge pages", [](HostFacts& f) { f.table->huge_kb = 0, f.table->page_kb = 2048; }),
            Status::kOk);
  EXPECT_EQ(
      status_after("huge pages", [](HostFacts& f) { f.table->huge_kb = 0, f.table->file_bytes = 1 << 20; }),
      Status::kOk);
}

TEST(DoctorChecks, TheHeartbeatIsJudgedByItsTimeout) {
  const auto with_age = [](std::int64_t age) {
    return status_after("heartbeat", [=](HostFacts& f) { f.table->heartbeat_age_ns = age; });
  };
  EXPECT_EQ(with_age(5 * kSecond), Status::kOk);
  EXPECT_EQ(with_age(5 * kSecond + 1), Status::kWarn);
  EXPECT_EQ(with_age(10 * kSecond), Status::kWarn);
  EXPECT_EQ(with_age(10 * kSecond + 1), Status::kFail);
}

TEST(DoctorChecks, AHeartbeatFromTheFutureIsAnotherTimeNamespace) {
  EXPECT_EQ(status_after("time namespace", [](HostFacts& f) { f.table->heartbeat_age_ns = -1; }),
            Status::kFail);
  EXPECT_EQ(status_after("time namespace", [](HostFacts& f) { f.clocks_shifted = true; }), Status::kWarn);
}

TEST(DoctorChecks, AnUnreachableDaemonDecidesTheExit) {
  HostFacts facts = healthy();
  facts.daemon.reset();
  facts.daemon_error = Failure{Exit::kUnreachable, "nobody listens"};
  const auto checks = examine(facts);
  EXPECT_EQ(check_named(facts, "daemon").status, Status::kFail);
  EXPECT_EQ(check_named(facts, "daemon").finding, "nobody listens");
  EXPECT_EQ(check_named(facts, "state database").status, Status::kWarn);
  EXPECT_EQ(exit_of_checks(checks, facts), Exit::kUnreachable);
}

TEST(DoctorChecks, AFailExitsFiveAndAWarningZero) {
  HostFacts facts = healthy();
  facts.directory.free_bytes = 0;
  EXPECT_EQ(check_named(facts, "room").status, Status::kWarn);
  EXPECT_EQ(exit_of_checks(examine(facts), facts), Exit::kYes);
  facts.directory.tmpfs = false;
  EXPECT_EQ(exit_of_checks(examine(facts), facts), Exit::kFailed);
}

TEST(DoctorChecks, AForbiddenRingMattersOnlyWithoutADaemonThatUsesIt) {
  EXPECT_EQ(status_after("io backend", [](HostFacts& f) { f.io_uring_disabled = "2"; }), Status::kOk);
  EXPECT_EQ(status_after("io backend", [](HostFacts& f) { f.io_uring_disabled = "2", f.daemon.reset(); }),
            Status::kWarn);
  EXPECT_EQ(status_after("io backend", [](HostFacts& f) { f.io_uring_disabled.reset(), f.daemon.reset(); }),
            Status::kOk);
}

TEST(DoctorChecks, ComplaintsAboutTheStateDatabaseFail) {
  HostFacts facts = healthy();
  facts.daemon->complaints = {"state.db was set aside", "rules end at 3"};
  EXPECT_EQ(check_named(facts, "state database").status, Status::kFail);
  EXPECT_EQ(check_named(facts, "state database").finding, "state.db was set aside; rules end at 3");
}

TEST(DoctorChecks, RoomForASecondTableIsCounted) {
  EXPECT_EQ(status_after("room", [](HostFacts& f) { f.directory.free_bytes = 100 << 20; }), Status::kOk);
  EXPECT_EQ(status_after("room", [](HostFacts& f) { f.directory.free_bytes = (100 << 20) - 1; }),
            Status::kWarn);
}

TEST(DoctorChecks, ASlowClockAndMissingGroupsAreWarnings) {
  EXPECT_EQ(status_after("clock source", [](HostFacts& f) { f.clock_source = "hpet"; }), Status::kWarn);
  EXPECT_EQ(status_after("clock source", [](HostFacts& f) { f.clock_source = ""; }), Status::kWarn);
  EXPECT_EQ(status_after("groups", [](HostFacts& f) { f.access.in_table_group = false; }), Status::kWarn);
  EXPECT_EQ(status_after("groups", [](HostFacts& f) { f.access.in_control_group = false; }), Status::kWarn);
  EXPECT_EQ(status_after("groups", [](HostFacts& f) { f.access = {.user = "root", .is_root = true}; }),
            Status::kOk);
}

TEST(DoctorChecks, TheReportHasALineForEachCheckAndColourOnlyIfAsked) {
  const std::vector<Check> checks{{"table", Status::kOk, "live", ""},
                                  {"room", Status::kWarn, "tight \x1b[0m", "enlarge it"}};
  EXPECT_EQ(checks_text(checks, false),
            "ok    table  live\n"
            "warn  room   tight \\u{1b}[0m\n"
            "             -> enlarge it\n");
  EXPECT_NE(checks_text(checks, true).find("\x1b[32mok"), std::string::npos);
  const auto object = checks_object(checks, Exit::kYes);
  EXPECT_TRUE(object.at("ok").as_bool());
  EXPECT_EQ(object.at("checks").as_array().at(1).as_object().at("remedy").as_string(), "enlarge it");
}

}  // namespace
}  // namespace authctl
