// How long before a record's deadline its upstream is asked again: as long as the slowest answers took
// lately, twice. Pure; one for each profile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace authcached {

class RefreshLead {
 public:
  // Of the last kSamples answers the kQuantile-th slowest, times kFactor: time for one answer that is slow
  // and for a second try. Time that a question waited for its turn counts, so a lead grows where too many
  // come at once.
  static constexpr std::size_t kSamples = 128;
  static constexpr double kQuantile = 0.99;
  static constexpr std::int64_t kFactor = 2;
  // Not less: ten turns of who looks. Not more: half of what the record has, or it would be asked for all the
  // time.
  static constexpr std::int64_t kLeastNs = 200'000'000;
  static constexpr std::int64_t kGreatestShare = 2;
  // Records that were made at once are not to be asked for at once for ever: an eighth of their life, at
  // random.
  static constexpr std::int64_t kJitterShare = 8;

  void measured(std::int64_t took_ns);
  [[nodiscard]] std::int64_t lead_ns(std::int64_t life_ns) const;
  // The moment of the first look at a record that lives from now until deadline_ns. random: any 64 bits.
  [[nodiscard]] std::uint64_t look_ns(std::uint64_t now_ns, std::uint64_t deadline_ns,
                                      std::uint64_t random) const;

 private:
  std::array<std::int64_t, kSamples> samples_{};
  std::size_t measured_ = 0;
  // Found when it is asked for: many answers come between two looks.
  mutable std::int64_t slow_ns_ = 0;
  mutable bool found_ = true;

  [[nodiscard]] std::int64_t slow_ns() const;
};

}  // namespace authcached
