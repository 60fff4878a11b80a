// The run of fields in the text area: a walk stays inside, what it shows can be built again, and the fields
// that callers get are whole, terminated and, for the audience, JSON.
#include <memory>
#include <vector>

#include "daemon/token/json.hpp"
#include "libclient/identity_text.hpp"
#include "shm/text.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tools/authctl/printable.hpp"

namespace {

using authcache::client::shape_field;
using authcache::shm::TextBuilder;
using authcache::shm::TextCursor;
using authcache::shm::TextField;

constexpr char kUntouched = '\x5a';

// The field in a buffer of exactly this size: a byte too many is a sanitizer's finding.
std::string shaped(std::string_view text, TextField field, std::size_t size, std::size_t& length) {
  const auto buffer = std::make_unique<char[]>(size);
  std::memset(buffer.get(), kUntouched, size);
  length = shape_field(text, field, buffer.get(), size);
  if (size == 0) return {};
  FUZZ_REQUIRE(std::memchr(buffer.get(), '\0', size) != nullptr);
  if (length >= size) {
    FUZZ_REQUIRE(buffer[0] == '\0');
    return {};
  }
  FUZZ_REQUIRE(buffer[length] == '\0');
  return {buffer.get(), length};
}

void require_audience(const std::string& json, const std::vector<std::string>& values) {
  for (const auto& value : values) {
    if (!authctl::is_utf8(value)) return;
  }
  const auto parsed = authcached::parse_json(json, authcached::kKeySetJson);
  FUZZ_REQUIRE(parsed.has_value());
  FUZZ_REQUIRE(authcached::strings_of(*parsed) == values);
}

void require_field(std::string_view text, TextField field, const std::vector<std::string>& values) {
  std::size_t length = 0;
  const std::string whole = shaped(text, field, 8 * text.size() + 64, length);
  FUZZ_REQUIRE(whole.size() == length);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, length, length + 1}) {
    std::size_t told = 0;
    const std::string cut = shaped(text, field, size, told);
    FUZZ_REQUIRE(told == length);
    FUZZ_REQUIRE(cut == (size > length ? whole : std::string()));
  }
  if (field == TextField::kAudience) return require_audience(whole, values);
  std::string wanted;
  const bool is_list = field == TextField::kScopes || field == TextField::kPermissions;
  for (std::size_t i = 0; i < values.size() && (is_list || i == 0); ++i)
    wanted += (i > 0 ? " " : "") + values[i];
  FUZZ_REQUIRE(whole == wanted);
}

}  // namespace

FUZZ_TARGET(text_fields) {
  if (input.size() > authcache::shm::kTextMax) return;
  TextCursor cursor(input);
  TextBuilder builder;
  std::map<TextField, std::vector<std::string>> values;
  while (const auto item = cursor.next()) {
    FUZZ_REQUIRE(item->value.data() >= input.data());
    FUZZ_REQUIRE(item->value.data() + item->value.size() <= input.data() + input.size());
    FUZZ_REQUIRE(builder.add(item->field, item->value));
    FUZZ_REQUIRE(authcache::shm::text_holds(input, item->field, item->value));
    values[item->field].emplace_back(item->value);
  }
  FUZZ_REQUIRE(input.starts_with(builder.bytes()));
  FUZZ_REQUIRE(cursor.whole() == (builder.bytes() == input));
  for (std::uint8_t field = 0; field <= 11; ++field) {
    require_field(input, static_cast<TextField>(field), values[static_cast<TextField>(field)]);
  }
}
