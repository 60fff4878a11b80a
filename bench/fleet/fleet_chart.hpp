// A run as an SVG: the lag of the hosts and how many of them answer "unavailable", second by second.
#pragma once

#include <string>

#include "bench/fleet/fleet_model.hpp"

namespace authcache_fleet {

[[nodiscard]] std::string draw(const Settings& settings, const Scenario& scenario, const Outcome& outcome);

}  // namespace authcache_fleet
