#include "daemon/control/request_members.hpp"

#include "daemon/token/json.hpp"

namespace authcached {

namespace shm = authcache::shm;
namespace json = boost::json;

namespace {

std::unexpected<shm::Error> wrong(std::string_view name, const std::string& expected) {
  return shm::fail(shm::ErrorCode::kUsage, "the member \"" + std::string(name) + "\" must be " + expected);
}

}  // namespace

shm::Result<std::string> string_member(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  if (value == nullptr || !value->is_string() || value->get_string().empty()) return wrong(name, "a string that is not empty");
  return std::string(std::string_view(value->get_string()));
}

shm::Result<std::string> string_member_or(const json::object& members, std::string_view name, std::string fallback) {
  const json::value* value = members.if_contains(name);
  if (value == nullptr) return fallback;
  if (!value->is_string()) return wrong(name, "a string");
  return std::string(std::string_view(value->get_string()));
}

shm::Result<std::int64_t> number_member_or(const json::object& members, std::string_view name, std::int64_t fallback,
                                           std::int64_t min, std::int64_t max) {
  const json::value* value = members.if_contains(name);
  if (value == nullptr) return fallback;
  if (!value->is_int64() || value->get_int64() < min || value->get_int64() > max) {
    return wrong(name, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return value->get_int64();
}

shm::Result<std::vector<std::string>> strings_member(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  if (value == nullptr) return std::vector<std::string>{};
  auto strings = strings_of(*value);
  if (!strings) return wrong(name, "an array of strings");
  return std::move(*strings);
}

std::string hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text.push_back(kDigits[static_cast<std::uint8_t>(byte) >> 4]);
    text.push_back(kDigits[static_cast<std::uint8_t>(byte) & 0xf]);
  }
  return text;
}

}  // namespace authcached
