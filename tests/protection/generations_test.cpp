// What a client prepared for one table must not be used with the next: bits of its dictionary, hints of its
// size, ids of its profiles. Real tables, the library's own objects, no daemon.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "libclient/recency.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
namespace shm = authcache::shm;

// Bit 0 and bit 1 of the first table change places in the second, and the dictionaries are of one length: the
// bits that the requirement was compiled to would let the wrong scope pass.
TEST(Generations, BitsOfAnotherGenerationsDictionaryAreNotUsed) {
  TempDir dir;
  auto first = make_table(dir.path(), 100);
  admit(first, kMainId, "a", {.scopes = {"read", "write"}});
  OpenClient client(dir.path());
  auto* const write = client.requirement();
  ASSERT_EQ(authcache_requirement_add_scope(write, "write"), AUTHCACHE_OK);
  ASSERT_EQ(looked_up(client, "a", write), "valid");

  auto second = make_table(dir.path(), 200);
  admit(second, kMainId, "b", {.scopes = {"write", "read"}});
  admit(second, kMainId, "reader", {.scopes = {"read"}});
  admit(second, kMainId, "writer", {.scopes = {"write"}});
  ASSERT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client, "reader", write), "forbidden/scope");
  EXPECT_EQ(looked_up(client, "writer", write), "valid");
}

// The same for a profile's own audience, which is compiled too.
TEST(Generations, AudienceBitsOfAnotherGenerationAreNotUsed) {
  TempDir dir;
  auto first = make_table(dir.path(), 100);
  admit(first, kOtherId, "a", {.audience = {"other-api", "third"}});
  OpenClient client(dir.path());
  auto* const third = client.requirement("other");
  ASSERT_EQ(authcache_requirement_add_audience(third, "third"), AUTHCACHE_OK);
  ASSERT_EQ(looked_up(client, "a", third), "valid");

  auto second = make_table(dir.path(), 200);
  admit(second, kMainId, "b", {.audience = {"fourth", "third"}});
  admit(second, kOtherId, "fourth", {.audience = {"fourth"}});
  admit(second, kOtherId, "third", {.audience = {"third"}});
  ASSERT_EQ(authcache_refresh(client.get()), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client, "fourth", third), "invalid/audience");
  EXPECT_EQ(looked_up(client, "third", third), "valid");
}

shm::UniqueFd sealed_bytes(std::uint64_t size) {
  shm::UniqueFd fd(::memfd_create("recency", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return {};
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return {};
  return fd;
}

// Marks run without a bound check: what is mapped must cover every slot, or a hit ends the application.
TEST(Generations, HintsOfASmallerTableAreNotUsedWithALarger) {
  constexpr std::uint64_t kSmall = 4'096, kLarge = 1 << 20;
  authcache::client::Recency recency(kLarge);
  const shm::UniqueFd small = sealed_bytes(kSmall), large = sealed_bytes(kLarge);
  EXPECT_FALSE(recency.adopt(small, {.generation = 1, .recency_bytes = kSmall}));
  EXPECT_FALSE(recency.adopt(small, {.generation = 1, .recency_bytes = kLarge}))
      << "the file is asked, not the frame";
  EXPECT_FALSE(recency.mapped());
  recency.mark(kLarge - 1);  // without bytes: nothing to do
  ASSERT_TRUE(recency.adopt(large, {.generation = 1, .recency_bytes = kLarge}));
  recency.mark(kLarge - 1);
  std::uint8_t last = 0;
  EXPECT_EQ(::pread(large.get(), &last, 1, kLarge - 1), 1);
  EXPECT_EQ(last, 1);
}

// The same name under another id: what was proven under the old configuration is not an answer to the new
// one.
TEST(Generations, ARecordOfAProfilesFormerIdIsAMiss) {
  TempDir dir;
  auto table = make_table(dir.path(), 100);
  admit(table, kMainId, "tok");
  OpenClient client(dir.path());
  auto* const requirement = client.requirement();
  ASSERT_EQ(looked_up(client, "tok", requirement), "valid");
  table.set_profiles(
      {{.name = "main", .id = 0x3333, .audience = {}}, {.name = "former", .id = kMainId, .audience = {}}});
  EXPECT_EQ(looked_up(client, "tok", requirement), "miss");
}

}  // namespace
