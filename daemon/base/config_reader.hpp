// Reads one section of the configuration by a table of bindings: each key's name beside the line that reads
// it. What is wrong becomes a ConfigFault that names the key, never its value: a value may be a secret in the
// wrong place. Internal to the configuration's parser (config_parse.cpp, config_profile.cpp); one thread at a
// time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/config_ranges.hpp"
#include "daemon/base/toml_document.hpp"

namespace authcached {

// Where the keys of one section stand in the file.
using KeyLines = std::map<std::string, std::uint32_t, std::less<>>;

[[nodiscard]] std::uint32_t line_of(const toml::node& node);

// A key as a fault may show it: printable ASCII, bounded.
[[nodiscard]] std::string shown_name(std::string_view name);

// One key's value, read into the field that it sets. A value that cannot be read leaves the field alone.
class KeyReader {
 public:
  KeyReader(const toml::node& value, std::string name, std::vector<ConfigFault>& faults)
      : value_(value), name_(std::move(name)), faults_(faults) {}

  void number(std::uint64_t& field, const ConfigRange<std::uint64_t>& range);
  void number(std::uint32_t& field, const ConfigRange<std::uint32_t>& range);
  void size(std::uint32_t& field, const ConfigRange<std::uint32_t>& range);  // also takes "1KiB"
  void duration(std::chrono::milliseconds& field, const ConfigRange<std::chrono::milliseconds>& range);
  void duration(std::chrono::seconds& field, const ConfigRange<std::chrono::seconds>& range);

  // Not empty, at most `bytes_max`, no NUL: everything behind it would be lost in a system call.
  void text(std::string& field, std::size_t bytes_max);
  void path(std::filesystem::path& field, std::size_t bytes_max = kPathBytesMax);
  void group(std::string& field);
  // 1 to `count_max` different texts.
  void texts(std::vector<std::string>& field, std::size_t count_max, std::size_t bytes_max);

  void flag(bool& field);
  // A table of texts: under each of `names` that stands in it, the text for its place in `fields`; the others
  // become empty.
  void text_table(std::span<const std::string_view> names, std::span<std::string> fields,
                  std::size_t bytes_max);

  template <class Field, class Meaning, std::size_t N>
  void choice(Field& field, const std::pair<std::string_view, Meaning> (&choices)[N]) {
    std::vector<std::string_view> names;
    for (const auto& [name, meaning] : choices) names.push_back(name);
    const std::optional<std::size_t> chosen = choose(names);
    if (chosen) field = Field(choices[*chosen].second);
  }
  // The index of the name that the value is.
  [[nodiscard]] std::optional<std::size_t> choose(std::span<const std::string_view> names);

  void fail(std::string what, std::string remedy) const;

 private:
  [[nodiscard]] std::optional<std::int64_t> whole_number() const;
  [[nodiscard]] std::optional<std::string> bounded_text(const toml::node& node, std::size_t bytes_max) const;
  void wrong_type(const toml::node& node, std::string_view wanted) const;

  const toml::node& value_;
  std::string name_;
  std::vector<ConfigFault>& faults_;
};

template <class Section>
struct KeyBinding {
  std::string_view name;
  void (*read)(KeyReader& key, Section& section);
};

// Judges a key that no binding of its section knows.
void unknown_key(const toml::key& key, std::string_view prefix, std::span<const std::string_view> known,
                 std::vector<ConfigFault>& faults);

// prefix is "", "table." or "profile.web.". Keys in `subsections` are left to the caller.
template <class Section>
KeyLines read_section(const toml::table& source, std::string_view prefix,
                      std::span<const KeyBinding<Section>> bindings,
                      std::span<const std::string_view> subsections, Section& section,
                      std::vector<ConfigFault>& faults) {
  std::vector<std::string_view> known(subsections.begin(), subsections.end());
  for (const auto& binding : bindings) known.push_back(binding.name);
  KeyLines lines;
  for (const auto& [key, value] : source) {
    if (std::ranges::find(subsections, key.str()) != subsections.end()) continue;
    const auto binding = std::ranges::find(bindings, key.str(), &KeyBinding<Section>::name);
    if (binding == bindings.end()) {
      unknown_key(key, prefix, known, faults);
      continue;
    }
    lines.emplace(key.str(), line_of(value));
    KeyReader reader(value, std::string(prefix).append(key.str()), faults);
    binding->read(reader, section);
  }
  return lines;
}

}  // namespace authcached
