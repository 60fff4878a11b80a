// A table file in a directory of its own, with the profile "sessions" and a fresh heartbeat, and no daemon.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shm/coarse_clock.hpp"
#include "shm/table_writer.hpp"
#include "shm/text.hpp"

namespace authctl::testing {

inline constexpr std::uint64_t kMinute = 60 * authcache::shm::kNsPerSecond;
inline constexpr std::uint64_t kProfileId = 0x0807060504030201;

class TableFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/dev/shm/authctl-test-XXXXXX";
    directory_ = ::mkdtemp(name);
    auto made =
        authcache::shm::create_table(directory_, {.capacity = 1000,
                                                  .text_bytes_per_record = 64,
                                                  .heartbeat_timeout_ns = 10 * authcache::shm::kNsPerSecond,
                                                  .negative_max = 100,
                                                  .generation = 42});
    ASSERT_TRUE(made) << made.error().message;
    authcache::shm::publish_table(made->view);
    ASSERT_TRUE(authcache::shm::name_table(*made, directory_));
    writer_ = std::make_unique<authcache::shm::TableWriter>(std::move(*made));
    writer_->set_profiles(
        {{"sessions", kProfileId, authcache::shm::ProfileState::kCurrent, {"https://api"}}});
    writer_->beat(authcache::shm::coarse_now_ns());
  }
  void TearDown() override {
    writer_.reset();
    std::filesystem::remove_all(directory_);
  }

  void insert(const authcache::shm::Key& key, const std::string& subject,
              authcache::shm::Verdict verdict = authcache::shm::Verdict::kValid,
              authcache::shm::Reason reason = authcache::shm::Reason::kNone) {
    authcache::shm::TextBuilder text;
    text.add(authcache::shm::TextField::kSubject, subject);
    text.add(authcache::shm::TextField::kScopes, "read");
    text.add(authcache::shm::TextField::kScopes, "write");
    const std::vector<std::string> scopes{"read", "write"};
    const std::uint64_t now_ns = authcache::shm::coarse_now_ns();
    authcache::shm::RecordSpec spec;
    spec.key = key;
    spec.deadline = now_ns + kMinute;
    spec.epoch = writer_->epoch();
    spec.verdict = verdict;
    spec.reason = reason;
    spec.scopes = scopes;
    spec.text = text.bytes();
    spec.expires_wall_ns = 1'772'366'400'000'000'000;
    spec.profile_id = kProfileId;
    ASSERT_TRUE(writer_->insert(spec, now_ns));
  }
  [[nodiscard]] std::string file() const { return (directory_ / authcache::shm::kTableName).string(); }

  std::filesystem::path directory_;
  std::unique_ptr<authcache::shm::TableWriter> writer_;
};

}  // namespace authctl::testing
