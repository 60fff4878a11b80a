// Reading the kernel's text files. Pure functions over their content; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace authctl {

// The choice in force in a list like "always [never] deny"; empty if none is marked.
[[nodiscard]] std::string_view bracketed(std::string_view text);

// A field ("ShmemPmdMapped") of the mapping that begins at this address, in kB, from the text of
// /proc/self/smaps.
[[nodiscard]] std::optional<std::uint64_t> smaps_kb(std::string_view smaps, std::uint64_t address,
                                                    std::string_view field);

// True if /proc/self/timens_offsets shows another clock than the machine's.
[[nodiscard]] bool shifts_clocks(std::string_view timens_offsets);

// The whole file, or nothing if it can't be read.
[[nodiscard]] std::optional<std::string> read_text_file(const char* path);

}  // namespace authctl
