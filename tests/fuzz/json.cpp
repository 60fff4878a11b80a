// The JSON wrapper: stricter than Boost's own parser and never laxer, and what it took means the same when
// written out and read again.
#include "daemon/token/json.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "tests/fuzz/fuzz_target.hpp"

namespace {

namespace json = boost::json;

std::size_t depth_of(const json::value& value) {
  std::size_t deepest = 0;
  if (const auto* array = value.if_array()) {
    for (const auto& element : *array) deepest = std::max(deepest, depth_of(element));
  } else if (const auto* object = value.if_object()) {
    for (const auto& member : *object) deepest = std::max(deepest, depth_of(member.value()));
  } else {
    return 0;
  }
  return deepest + 1;
}

// Boost rounds some doubles to a neighbour, when it reads and when it writes: only such texts may differ.
bool has_double(const json::value& value) {
  if (const auto* array = value.if_array()) return std::ranges::any_of(*array, has_double);
  if (const auto* object = value.if_object()) {
    return std::ranges::any_of(*object, [](const auto& member) { return has_double(member.value()); });
  }
  return value.is_double();
}

}  // namespace

FUZZ_TARGET(json) {
  const auto ours = authcached::parse_json(input, authcached::kTokenJson);
  json::error_code error;
  const json::value theirs = json::parse(json::string_view(input.data(), input.size()), error);
  if (!ours) {
    FUZZ_REQUIRE(!ours.error().message.empty());
    return;
  }
  FUZZ_REQUIRE(!error);
  FUZZ_REQUIRE(*ours == theirs);
  FUZZ_REQUIRE(depth_of(*ours) <= authcached::kJsonDepthMax);
  const std::string written = json::serialize(*ours);
  if (written.size() > authcached::kTokenJson.bytes) return;
  const auto again = authcached::parse_json(written, authcached::kTokenJson);
  FUZZ_REQUIRE(again.has_value());
  FUZZ_REQUIRE(has_double(*ours) || json::serialize(*again) == written);
  if (const auto* object = ours->if_object()) {
    std::optional<std::string_view> text;
    const bool is_text = authcached::read_string(*object, "a", text);
    const auto* member = object->if_contains("a");
    FUZZ_REQUIRE(is_text == (member == nullptr || member->is_string()));
    FUZZ_REQUIRE(text.has_value() == (member != nullptr && member->is_string()));
  }
}
