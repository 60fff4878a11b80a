// The daemon's upstreams as a table for people: where each profile's truth comes from, how well it is reached, and what
// went wrong last. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace authctl {

[[nodiscard]] std::string upstreams_text(const boost::json::object& reply);

}  // namespace authctl
