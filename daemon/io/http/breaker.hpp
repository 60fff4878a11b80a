// Stops asking a server that does not answer. Closed: everybody may ask. Open: nobody, for a time that grows
// with each failed probe. Half-open: one probe asks; its outcome closes or opens again.
//
// Pure: the caller brings the time and a random number. Loop thread only.
#pragma once

#include <cstdint>
#include <string_view>

namespace authcached {

class Breaker {
 public:
  // One failure is an accident, and a server that restarts loses a few at once; this many in a row is an
  // outage.
  static constexpr unsigned kFailuresToOpen = 5;
  // The first pause is short, because most outages are restarts; the longest is what users wait at most after
  // the server is back, and one probe in it costs no server anything.
  static constexpr std::uint64_t kFirstPause_ns = 500'000'000;
  static constexpr std::uint64_t kLongestPause_ns = 5'000'000'000;
  // A probe whose asker went away must not keep everybody out.
  static constexpr std::uint64_t kProbePatience_ns = 10'000'000'000;

  enum class State : std::uint8_t { kClosed, kOpen, kHalfOpen };

  // True if one may ask now. In the open state the first asker after the pause becomes the probe.
  [[nodiscard]] bool admit(std::uint64_t now_ns);
  void success();
  // The probe ended without a word about the server: the next asker may be one.
  void probe_told_nothing();
  // random in [0, 1): the pause is cut by up to a quarter, so that many daemons do not come back as one.
  void failure(std::uint64_t now_ns, double random);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] unsigned failures() const { return failures_; }   // in a row
  [[nodiscard]] std::uint64_t opened() const { return opened_; }  // how often
  // How long until somebody may ask; 0 unless open.
  [[nodiscard]] std::uint64_t wait_ns(std::uint64_t now_ns) const;

 private:
  void open(std::uint64_t now_ns, double random);

  State state_ = State::kClosed;
  unsigned failures_ = 0;
  std::uint64_t opened_ = 0;
  std::uint64_t pause_ns_ = 0;  // of the present outage; 0 outside
  std::uint64_t until_ns_ = 0;
  std::uint64_t probe_began_ns_ = 0;
};

[[nodiscard]] std::string_view name_of(Breaker::State state);

}  // namespace authcached
