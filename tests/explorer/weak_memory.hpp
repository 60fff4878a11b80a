// An operational model of the C++ memory model, as far as shm/atomics.hpp uses it: relaxed and release
// stores, relaxed and acquire loads, of 64-bit words; no read-modify-write operation, no fence.
//
// A location is the list of its messages in modification order; message 0 is the zero that every file starts
// with. A thread has a view: for each location the oldest message that it may still read.
//   store   appends a message; the thread's view moves to it. A release store's message carries the thread's
//   view, a
//           relaxed one's nothing.
//   load    takes any message not older than the thread's view, and moves the view to it. An acquire load
//   joins the
//           view that the message carries; a relaxed one does not.
//
// Readers store nothing, so nothing that a writer does depends on them: the writers run first, and each load
// of a reader then chooses among all messages, also those of stores that "come later". That is every
// execution of any interleaving, and explorer_test.cpp checks it against one that interleaves. Writers take
// turns (a successor starts from its predecessor's death, by flock), so modification order is program order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace authcache::explorer {

// Takes one branch at each question, and all of them over the runs: depth first, by replay.
class Choices {
 public:
  [[nodiscard]] unsigned pick(unsigned options) {
    if (options == 1) return 0;
    if (at_ == trail_.size()) trail_.push_back({0, options});
    // A replay must ask what the run before it asked, else branches would be lost.
    if (trail_[at_].options != options) throw std::logic_error("a run is not a function of its choices");
    return trail_[at_++].taken;
  }
  // Readies the next run; false when all were made.
  [[nodiscard]] bool next() {
    while (!trail_.empty() && trail_.back().taken + 1 == trail_.back().options) trail_.pop_back();
    if (trail_.empty()) return false;
    ++trail_.back().taken;
    at_ = 0;
    return true;
  }

 private:
  struct Branch {
    unsigned taken;
    unsigned options;
  };
  std::vector<Branch> trail_;
  std::size_t at_ = 0;
};

inline constexpr std::size_t kLocationsMax =
    128;  // a view is two cache lines: joining one is what a run mostly does
inline constexpr std::size_t kMessagesMax = 255;

struct View {
  std::array<std::uint8_t, kLocationsMax> seen{};
  void join(const View& other) {
    for (std::size_t i = 0; i < kLocationsMax; ++i) seen[i] = std::max(seen[i], other.seen[i]);
  }
  bool operator==(const View&) const = default;
};

enum class Order : std::uint8_t { kRelaxed, kAcquire, kRelease };

struct Message {
  std::uint64_t value = 0;
  bool carries = false;
  View view;
  std::uint64_t stamp = 0;  // how many stores came before, of all locations
};

// Location numbers are the caller's: 0 to kLocationsMax - 1.
class WeakMemory {
 public:
  // C++17 and before let a store of the same thread continue a release sequence, C++20 does not. The model is
  // C++20's, the weaker one; with this on, a relaxed store carries what the release store before it in its
  // location carried.
  void continue_release_sequences(bool on) { release_sequences_ = on; }

  void store(std::size_t location, std::uint64_t value, Order order, View& view) {
    auto& messages = at(location);
    if (messages.size() > kMessagesMax)
      throw std::logic_error("more stores to one word than a view can count");
    Message message{.value = value, .carries = order == Order::kRelease, .view = {}, .stamp = ++stamp_};
    view.seen[location] = static_cast<std::uint8_t>(messages.size());
    if (order == Order::kRelease) {
      message.view = view;
    } else if (release_sequences_ && messages.back().carries) {
      message.view = messages.back().view;
      message.carries = true;
    }
    messages.push_back(message);
  }

  // Messages that a thread of this view may read, the oldest first: how many, if it sees stores up to
  // `until`.
  [[nodiscard]] unsigned readable(std::size_t location, const View& view,
                                  std::uint64_t until = ~std::uint64_t{0}) const {
    const auto& messages = locations_[location];
    std::size_t end = messages.size();
    while (end > 1 && messages[end - 1].stamp > until) --end;
    const std::size_t first = view.seen[location];
    return end <= first ? 1 : static_cast<unsigned>(end - first);
  }

  std::uint64_t load(std::size_t location, unsigned nth, Order order, View& view) const {
    const auto& messages = locations_[location];
    if (messages.empty()) return 0;
    const std::size_t index = view.seen[location] + nth;
    const Message& message = messages[index];
    view.seen[location] = static_cast<std::uint8_t>(index);
    if (order == Order::kAcquire && message.carries) view.join(message.view);
    return message.value;
  }

  // When the later stores to this location were made.
  [[nodiscard]] std::vector<std::uint64_t> stamps_after(std::size_t location, std::uint64_t moment) const {
    std::vector<std::uint64_t> stamps;
    for (const Message& message : locations_[location]) {
      if (message.stamp > moment) stamps.push_back(message.stamp);
    }
    return stamps;
  }

  // The view of a thread that has everything so far happen before it.
  [[nodiscard]] View everything() const {
    View view;
    for (std::size_t i = 0; i < kLocationsMax; ++i) {
      if (!locations_[i].empty()) view.seen[i] = static_cast<std::uint8_t>(locations_[i].size() - 1);
    }
    return view;
  }
  [[nodiscard]] std::uint64_t stores() const { return stamp_; }

 private:
  std::vector<Message>& at(std::size_t location) {
    auto& messages = locations_[location];
    if (messages.empty()) messages.emplace_back();
    return messages;
  }

  std::array<std::vector<Message>, kLocationsMax> locations_;
  std::uint64_t stamp_ = 0;
  bool release_sequences_ = false;
};

}  // namespace authcache::explorer
