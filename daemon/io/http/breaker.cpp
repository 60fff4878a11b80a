#include "daemon/io/http/breaker.hpp"

#include <algorithm>

namespace authcached {

bool Breaker::admit(std::uint64_t now_ns) {
  if (state_ == State::kClosed) return true;
  if (state_ == State::kOpen && now_ns < until_ns_) return false;
  if (state_ == State::kHalfOpen && now_ns - probe_began_ns_ < kProbePatience_ns) return false;
  state_ = State::kHalfOpen;
  probe_began_ns_ = now_ns;
  return true;
}

void Breaker::success() {
  // Whatever was under way when it opened may end well: the server answers, and that is what a probe would
  // find.
  state_ = State::kClosed;
  failures_ = 0;
  pause_ns_ = 0;
}

void Breaker::probe_told_nothing() {
  if (state_ != State::kHalfOpen) return;
  state_ = State::kOpen;
  until_ns_ = 0;
}

void Breaker::failure(std::uint64_t now_ns, double random) {
  failures_ += failures_ < UINT32_MAX ? 1 : 0;
  if (state_ == State::kHalfOpen) return open(now_ns, random);
  if (state_ == State::kClosed && failures_ >= kFailuresToOpen) open(now_ns, random);
}

void Breaker::open(std::uint64_t now_ns, double random) {
  state_ = State::kOpen;
  ++opened_;
  pause_ns_ = pause_ns_ == 0 ? kFirstPause_ns : std::min(pause_ns_ * 2, kLongestPause_ns);
  until_ns_ = now_ns + pause_ns_ - static_cast<std::uint64_t>(static_cast<double>(pause_ns_) / 4 * random);
}

std::uint64_t Breaker::wait_ns(std::uint64_t now_ns) const {
  return state_ == State::kOpen && until_ns_ > now_ns ? until_ns_ - now_ns : 0;
}

std::string_view name_of(Breaker::State state) {
  switch (state) {
    case Breaker::State::kClosed: return "closed";
    case Breaker::State::kOpen: return "open";
    case Breaker::State::kHalfOpen: return "half-open";
  }
  return "?";
}

}  // namespace authcached
