#include "shm/permission_pattern.hpp"

#include <gtest/gtest.h>

namespace {

using authcache::shm::covers_permission;
using authcache::shm::is_permission_pattern;

TEST(PermissionPattern, AStarIsAPatternOnlyAsAWholeSegment) {
  EXPECT_TRUE(is_permission_pattern("documents/*:read"));
  EXPECT_TRUE(is_permission_pattern("*:read"));
  EXPECT_TRUE(is_permission_pattern("documents/42:*"));
  EXPECT_TRUE(is_permission_pattern("*"));
  EXPECT_FALSE(is_permission_pattern("documents/42:read"));
  EXPECT_FALSE(is_permission_pattern("doc*:read"));
  EXPECT_FALSE(is_permission_pattern("**:read"));
  EXPECT_FALSE(is_permission_pattern(""));
}

TEST(PermissionPattern, AStarStandsForOneSegmentAndAllElseForItself) {
  EXPECT_TRUE(covers_permission("documents/*:read", "documents/42:read"));
  EXPECT_TRUE(covers_permission("documents/*:read", "documents/*:read"));
  EXPECT_TRUE(covers_permission("*:*", "documents:read"));
  EXPECT_TRUE(covers_permission("reports", "reports"));
  EXPECT_FALSE(covers_permission("documents/*:read", "documents/42:write"));
  EXPECT_FALSE(covers_permission("documents/*:read", "documents/42/pages:read"));
  EXPECT_FALSE(covers_permission("documents/*:read", "documents:read"));
  EXPECT_FALSE(covers_permission("documents/*:read", "documents/:read"));
  EXPECT_FALSE(covers_permission("documents/*:read", "documents/42/read"));
  EXPECT_FALSE(covers_permission("documents/*:read", "documents/42:read:now"));
  EXPECT_FALSE(covers_permission("documents/*:read", "documents/42"));
  EXPECT_FALSE(covers_permission("documents/42:read", "documents/*:read"));
  EXPECT_FALSE(covers_permission("*:read", ":read"));
  EXPECT_FALSE(covers_permission("*", "documents:read"));
  EXPECT_FALSE(covers_permission("*", ""));
  EXPECT_FALSE(covers_permission("doc*:read", "documents:read"));
}

}  // namespace
