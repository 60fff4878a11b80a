// What the daemon says about a revocation that it made, for people. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace authctl {

[[nodiscard]] std::string revocation_text(const boost::json::object& reply);

}  // namespace authctl
