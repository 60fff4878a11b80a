// A test with a provider and a daemon that trusts it, both real. Profiles: "jwt" (keys discovered), "opaque", "post", "key"
// (the three ways to say who we are) and "signed" (RFC 9701). Skips, saying so, where the provider cannot run.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "tests/process/support/daemon_process.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/provider/support/provider.hpp"

namespace authcache_test {

class ProviderTest : public ::testing::Test {
 protected:
  void SetUp() override;
  // Further lines of every profile that introspects, of the jwt profile, and further sections.
  struct Lines {
    std::string introspecting = "ttl_max = \"2s\"\nnegative_ttl = \"1s\"\n";
    std::string jwt = {};
    std::string more = {};
  };
  void start(const Lines& lines);
  void start() { start(Lines{}); }
  void configure(const Lines& lines);
  // Lines of a profile that introspects as this client.
  [[nodiscard]] std::string introspection(const std::string& client, const std::string& more = {}) const;

  [[nodiscard]] std::string validate(const std::string& profile, const std::string& token, int timeout_ms = 8'000) {
    return reader_->validate({.profile = profile, .token = token, .timeout_ms = timeout_ms});
  }
  [[nodiscard]] std::string lookup(const std::string& profile, const std::string& token) {
    return reader_->lookup({.profile = profile, .token = token});
  }
  // The state of one profile's upstream, as authctl tells it.
  [[nodiscard]] boost::json::object state(std::string_view profile) const;
  [[nodiscard]] bool becomes_valid(const std::string& profile, const std::string& token) {
    return eventually([&] { return validate(profile, token) == "valid"; });
  }

  std::optional<DaemonProcess> daemon_;
  std::optional<Provider> provider_;
  std::optional<ReaderProcess> reader_;
};

}  // namespace authcache_test
