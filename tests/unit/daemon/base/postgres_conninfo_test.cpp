// A connection string is judged before anything connects by it, and no fault repeats what stands in it.
#include "daemon/base/postgres_conninfo.hpp"

#include <gtest/gtest.h>

namespace authcached {
namespace {

std::string fault_of(const std::string& text) {
  const auto target = read_conninfo(text);
  if (target) return "";
  EXPECT_FALSE(target.error().remedy.empty()) << text;
  EXPECT_FALSE((target.error().what + target.error().remedy).contains("hunter2")) << text;
  return target.error().what;
}

TEST(PostgresConninfo, HostsAddressesAndPortsAreTakenApart) {
  const auto target = read_conninfo(
      "host=a,b hostaddr=127.0.0.1,::1 port=5433 dbname=d user=u target_session_attrs=prefer-standby");
  ASSERT_TRUE(target) << target.error().what;
  const std::vector<PostgresHost> expected{{"a", "127.0.0.1", "5433"}, {"b", "::1", "5433"}};
  EXPECT_EQ(target->hosts, expected);
  EXPECT_EQ(target->role, PostgresRole::kPreferStandby);
  EXPECT_EQ(target->hosts[0].name(), "a:5433");
  ASSERT_EQ(target->options.size(), 2u);
  const auto socket = read_conninfo("host=/run/postgresql dbname=d user=u");
  ASSERT_TRUE(socket);
  EXPECT_TRUE(socket->hosts[0].is_socket());
  EXPECT_EQ(read_conninfo("postgresql://u@%2Frun%2Fpostgresql/d")->hosts[0].host, "/run/postgresql");
}

TEST(PostgresConninfo, ReadWriteMeansThePrimary_SinceOurSessionsOnlyRead) {
  EXPECT_EQ(read_conninfo("host=/s dbname=d user=u target_session_attrs=read-write")->role,
            PostgresRole::kPrimary);
  EXPECT_EQ(read_conninfo("host=/s dbname=d user=u target_session_attrs=read-only")->role,
            PostgresRole::kStandby);
  EXPECT_STREQ(role_name(PostgresRole::kPrimary), "primary");
  EXPECT_STREQ(role_name(PostgresRole::kStandby), "standby");
  EXPECT_TRUE(
      fault_of("host=/s dbname=d user=u target_session_attrs=hunter2").contains("target_session_attrs"));
}

TEST(PostgresConninfo, B18_SecretsAreRefusedAndNeverRepeated) {
  EXPECT_TRUE(fault_of("host=/s dbname=d user=u password=hunter2").contains("password"));
  EXPECT_TRUE(fault_of("postgresql://u:hunter2@127.0.0.1/d").contains("password"));
  EXPECT_TRUE(fault_of("host=/s dbname=d user=u sslpassword=hunter2").contains("sslpassword"));
  EXPECT_TRUE(fault_of("host=/s hunter2 user=u").contains("not a connection string"));
  EXPECT_TRUE(fault_of("hunter2=1").contains("not a connection string"));
}

TEST(PostgresConninfo, WhatTheDaemonDecidesItselfIsRefused_B24) {
  for (const char* setting :
       {"options='-c statement_timeout=0'", "client_encoding=SQL_ASCII", "service=x", "passfile=/x",
        "connect_timeout=9", "gssencmode=require", "replication=database", "krbsrvname=x"}) {
    EXPECT_TRUE(fault_of(std::string("host=/s dbname=d user=u ") + setting).contains("not taken here"))
        << setting;
  }
}

TEST(PostgresConninfo, WhoCouldAnswerInPlaceOfTheServerIsShutOut_B24) {
  for (const char* host : {"host=db.example", "hostaddr=10.0.0.1", "host=localhost", "host=/s,db.example",
                           "host=127.0.0.1.example", "host=x hostaddr=::2"}) {
    const std::string text = std::string(host) + " dbname=d user=u";
    EXPECT_TRUE(fault_of(text).contains("whoever answers")) << host;
    for (const char* weak : {"disable", "allow", "prefer", "require"})
      EXPECT_FALSE(fault_of(text + " sslmode=" + weak).empty()) << weak;
    EXPECT_EQ(fault_of(text + " sslmode=verify-full sslrootcert=/ca"), "") << host;
  }
  for (const char* host : {"host=/run/postgresql", "hostaddr=127.0.0.1", "host=127.1.2.3", "hostaddr=::1",
                           "host=db hostaddr=127.0.0.1"}) {
    EXPECT_EQ(fault_of(std::string(host) + " dbname=d user=u"), "") << host;
  }
  EXPECT_TRUE(fault_of("host=@abstract dbname=d user=u").contains("abstract"));
}

TEST(PostgresConninfo, WhatIsMissingOrDoesNotFitIsNamed) {
  EXPECT_TRUE(fault_of("host=/s user=u").contains("dbname"));
  EXPECT_TRUE(fault_of("host=/s dbname=d").contains("user"));
  EXPECT_TRUE(fault_of("dbname=d user=u").contains("no host"));
  EXPECT_TRUE(fault_of("host=/a,/b,/c port=1,2 dbname=d user=u").contains("do not fit"));
  EXPECT_TRUE(fault_of("host=/a,,/c dbname=d user=u").contains("empty host"));
  std::string many = "/a";
  for (int i = 0; i < 16; ++i) many += ",/b";
  EXPECT_TRUE(fault_of("host=" + many + " dbname=d user=u").contains("too many"));
}

}  // namespace
}  // namespace authcached
