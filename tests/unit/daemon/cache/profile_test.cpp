#include "daemon/cache/profile.hpp"

#include <gtest/gtest.h>

namespace {

using authcached::Profile;
using authcached::profile_named;
using authcached::Profiles;

TEST(Profile, IsFoundByItsWholeNameAndByNoOther) {
  Profiles profiles;
  for (const char* name : {"web", "web2", "Web"}) {
    auto made = std::make_shared<Profile>();
    made->config.name = name;
    profiles.push_back(std::move(made));
  }
  for (const char* name : {"web", "web2", "Web"}) {
    const auto found = profile_named(profiles, name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->config.name, name);
  }
  for (const char* name : {"", "we", "web3", "WEB"})
    EXPECT_EQ(profile_named(profiles, name), nullptr) << name;
}

}  // namespace
