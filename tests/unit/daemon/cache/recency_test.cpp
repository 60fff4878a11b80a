#include "daemon/cache/recency.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::Verdict;
using authcached::Recency;
using authcached::testing::Cache;

Recency hints_for(std::uint64_t slots) {
  auto made = Recency::create(slots);
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

TEST(Recency, HasAByteForEachSlotInWholePagesAllZero) {
  for (const std::uint64_t slots : {1u, 4'095u, 4'096u, 4'097u}) {
    const Recency hints = hints_for(slots);
    EXPECT_EQ(hints.size(), slots <= 4'096 ? 4'096u : 8'192u);
    EXPECT_TRUE(std::all_of(hints.bytes(), hints.bytes() + hints.size(),
                            [](std::uint8_t byte) { return byte == 0; }));
  }
}

// A client that cut the file short would end the daemon by SIGBUS at its next look.
TEST(Recency, WhoeverIsGivenItCanNeitherShrinkNorGrowItNorTakeTheSealsOff) {
  const Recency hints = hints_for(4'096);
  for (const off_t size : {0, 1, 8'192}) {
    EXPECT_EQ(::ftruncate(hints.fd(), size), -1);
    EXPECT_EQ(errno, EPERM);
  }
  EXPECT_EQ(::fcntl(hints.fd(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fcntl(hints.fd(), F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

TEST(Recency, IsOpenedByNobodyElseAndInheritedByNoProgram) {
  const Recency hints = hints_for(1);
  struct stat inode;
  ASSERT_EQ(::fstat(hints.fd(), &inode), 0);
  EXPECT_EQ(inode.st_mode & 07777, 0600u);
  EXPECT_NE(::fcntl(hints.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Recency, WhatAClientWritesThroughTheDescriptorTheDaemonSees) {
  const Recency hints = hints_for(4'096);
  void* const mapped = ::mmap(nullptr, 4'096, PROT_READ | PROT_WRITE, MAP_SHARED, hints.fd(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  static_cast<std::uint8_t*>(mapped)[77] = 1;
  EXPECT_EQ(hints.bytes()[77], 1);
  ::munmap(mapped, 4'096);
}

// A full table takes out what was not used since its hand came by last.
TEST(Recency, RecordsThatClientsUsedOutliveThoseNobodyAskedFor) {
  Cache cache;
  auto spec = authcache_test::small_table_spec();
  spec.generation = 2;
  auto file = authcache::shm::create_table(cache.directory.path(), spec);
  ASSERT_TRUE(file.has_value());
  Recency hints = hints_for(file->view.geometry.slots);
  cache.tables.begin_replacement(
      std::make_unique<authcached::Generation>(std::move(*file), std::move(hints)));
  ASSERT_TRUE(cache.tables.name_successor().has_value());
  cache.tables.retire_predecessor();
  constexpr int kUsed = 30;
  const auto token = [](int i) { return "tok" + std::to_string(i); };
  for (int i = 0; i < 1'000; ++i) cache.admit(token(i), cache.valid());
  for (int i = 1'000; i < 1'200; ++i) {
    for (int used = 0; used < kUsed; ++used) {
      authcache::shm::Found found;
      if (cache.tables.find(authcache::shm::key_of(cache.digest_of(token(used))), found)) {
        cache.tables.newest().recency->bytes()[found.slot] = 1;
      }
    }
    cache.admit(token(i), cache.valid());
  }
  int used_alive = 0, unused_alive = 0;
  for (int i = 0; i < 1'000; ++i)
    (i < kUsed ? used_alive : unused_alive) += cache.seen(token(i)) == Verdict::kValid ? 1 : 0;
  EXPECT_GE(used_alive, kUsed - 1) << "a full pair of buckets may take one";
  EXPECT_LT(unused_alive, 1'000 - kUsed - 100);
}

}  // namespace
