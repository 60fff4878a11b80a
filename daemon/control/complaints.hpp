// What is wrong with this daemon now, as sentences for `authctl stats` and `authctl doctor`. Loop thread only.
#pragma once

#include <string>
#include <vector>

#include "daemon/control/services.hpp"

namespace authcached {

[[nodiscard]] std::vector<std::string> complaints_of(const Services& services);
// Of the places where it learns about tokens: key sets and endpoints.
[[nodiscard]] std::vector<std::string> upstream_complaints_of(const Services& services);

}  // namespace authcached
