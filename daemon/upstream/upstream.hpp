// Where the daemon learns the truth about a token.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "daemon/base/proof.hpp"

namespace authcached {

struct Query {
  std::string token;           // the bytes that the caller presented; wiped by the owner of the flight
  std::uint64_t deadline_ns;   // CLOCK_MONOTONIC; the answer is of no use later
};

// Called exactly once for each resolve, on the loop's thread, never from within resolve itself.
using Answer = std::move_only_function<void(Proof)>;

class Upstream {
 public:
  virtual ~Upstream() = default;

  // Loop thread only. Never blocks. A failure to learn the truth is a Proof with kUnavailable.
  virtual void resolve(Query query, Answer answer) = 0;

  // True if a token of this shape could be one of ours; checked before any flight, budget or record.
  [[nodiscard]] virtual bool well_formed(std::string_view token) const = 0;

  // True if the key with this RFC 7638 thumbprint still proves tokens: a record of any other key is not adopted.
  [[nodiscard]] virtual bool has_key(const Sha256& thumbprint) const {
    (void)thumbprint;
    return false;
  }

  // One line of state for `authctl upstreams`, as JSON object text.
  [[nodiscard]] virtual std::string state_json() const = 0;
};

}  // namespace authcached
