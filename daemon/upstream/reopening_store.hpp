// A session store that is opened anew when its database failed or its file was replaced, but not more often
// than a failing disk deserves. Worker thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/upstream/session_store.hpp"

namespace authcached {

class ReopeningStore {
 public:
  ReopeningStore(ProfileConfig profile, std::filesystem::path default_file, SessionStore store)
      : profile_(std::move(profile)), default_file_(std::move(default_file)), store_(std::move(store)) {}

  // As SessionStore::resolve; tries a second time if the first met a broken database and opening it anew
  // helped.
  [[nodiscard]] std::vector<Proof> resolve(std::span<const std::string_view> tokens,
                                           std::int64_t wall_now_ns);

  // The store, opened if need be; null while it cannot be, and last_error says why.
  [[nodiscard]] SessionStore* get();

  [[nodiscard]] bool is_open() const { return store_ && !store_->broken(); }
  [[nodiscard]] std::uint64_t reopenings() const { return reopenings_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

 private:
  bool reopen();

  static constexpr std::chrono::milliseconds kFirstPause{100};  // a file being replaced is back by then
  static constexpr std::chrono::milliseconds kLongestPause{5'000};

  ProfileConfig profile_;
  std::filesystem::path default_file_;
  std::optional<SessionStore> store_;
  std::chrono::steady_clock::time_point next_attempt_{};
  std::chrono::milliseconds pause_ = kFirstPause;
  std::uint64_t reopenings_ = 0;
  std::string last_error_;
};

}  // namespace authcached
