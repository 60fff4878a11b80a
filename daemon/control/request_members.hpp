// Typed members of a control request. Each names the member and what it should be when it is not that.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/result.hpp"

namespace authcached {

[[nodiscard]] authcache::shm::Result<std::string> string_member(const boost::json::object& members, std::string_view name);
[[nodiscard]] authcache::shm::Result<std::string> string_member_or(const boost::json::object& members, std::string_view name, std::string fallback);
[[nodiscard]] authcache::shm::Result<std::int64_t> number_member_or(const boost::json::object& members, std::string_view name,
                                                                    std::int64_t fallback, std::int64_t min, std::int64_t max);
[[nodiscard]] authcache::shm::Result<std::vector<std::string>> strings_member(const boost::json::object& members, std::string_view name);

[[nodiscard]] std::string hex(std::string_view bytes);

}  // namespace authcached
