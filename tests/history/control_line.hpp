// One operator's connection to control.sock: requests one after the other, each with the times that a history
// needs. Connects again when the daemon has gone. One thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "tests/history/history.hpp"
#include "tests/process/support/raw_connection.hpp"

namespace authcache_test {

struct ControlAnswer {
  Outcome outcome = Outcome::kLost;
  std::int64_t start_ns = 0, end_ns = kNever;
  boost::json::object reply = {};

  [[nodiscard]] bool done() const { return outcome == Outcome::kDone; }
  // The daemon said that it did nothing.
  [[nodiscard]] bool had_no_effect() const;
};

class ControlLine {
 public:
  explicit ControlLine(std::filesystem::path runtime_dir)
      : socket_(std::move(runtime_dir) / "control.sock") {}

  // None if no daemon could be reached: then nothing was asked.
  [[nodiscard]] std::optional<ControlAnswer> ask(const boost::json::object& request);

 private:
  std::filesystem::path socket_;
  std::optional<RawConnection> connection_;
  std::uint64_t requests_ = 0;
};

[[nodiscard]] std::int64_t monotonic_ns();
[[nodiscard]] std::int64_t wall_ns();

}  // namespace authcache_test
