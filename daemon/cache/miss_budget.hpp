// How many new upstream questions one uid may cause: a token bucket each. Joining a question already asked is free.
// One caller's flood of junk costs it its own budget and nobody else's. Loop thread only; time is passed in.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>

namespace authcached {

class MissBudget {
 public:
  MissBudget(std::uint32_t per_second, std::uint32_t burst) : per_second_(per_second), burst_(burst) {}

  [[nodiscard]] bool take(uid_t uid, std::int64_t now_ns);
  void set_limits(std::uint32_t per_second, std::uint32_t burst);

 private:
  // More uids than this on one host ask at once only in an attack on this map; full buckets are forgotten first.
  static constexpr std::size_t kUidsMax = 4096;

  struct Bucket {
    double tokens;
    std::int64_t filled_ns;
  };
  void refill(Bucket& bucket, std::int64_t now_ns) const;
  void forget_full(std::int64_t now_ns);

  double per_second_;
  double burst_;
  std::unordered_map<uid_t, Bucket> buckets_;
};

}  // namespace authcached
