// Which mark of the plan a rule in the daemon's list stands for. One per process; it learns of new sessions
// from the board.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tests/history/board.hpp"
#include "tests/history/plan.hpp"

namespace authcache_test {

class RuleNames {
 public:
  RuleNames(const Plan& plan, const Board& board, const std::map<std::string, std::string>& thumbprints);

  // None for a rule that no revocation of this run could have made.
  [[nodiscard]] std::optional<std::uint32_t> mark_of(const boost::json::object& rule);

 private:
  void learn_sessions();

  const Plan& plan_;
  const Board& board_;
  std::map<std::string, std::uint32_t> tokens_;  // by the hash in the rule, of tokens and of what is signed
  std::map<std::string, std::uint32_t> sids_;    // of sessions
  std::map<std::string, std::string> kids_;      // by thumbprint
  std::uint32_t sessions_known_ = 0;
};

}  // namespace authcache_test
