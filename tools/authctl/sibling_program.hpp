// Runs authcached for what only it can answer: the one that was installed beside this program, so that
// versions match, else the one on PATH. One thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/authctl/exit_code.hpp"

namespace authctl {

// `name` in the directory of this program if it is executable there, else `name` alone, to be looked for on
// PATH.
[[nodiscard]] std::filesystem::path sibling_program(const std::string& name);

struct Finished {
  int status = 0;      // its exit status; 128 and the signal's number if one ended it
  std::string output;  // both of its streams, if they were captured
};

inline constexpr std::size_t kCapturedMax = 1 << 20;  // of the output; a configuration's faults take less

// Waits for it to end. Not captured, its streams are ours.
[[nodiscard]] Outcome<Finished> run_program(const std::filesystem::path& program,
                                            const std::vector<std::string>& arguments, bool capture);

// A program that judges exits 0 for yes, 1 for no and 2 for usage; all else is a failure.
[[nodiscard]] Exit exit_of_status(int status);

}  // namespace authctl
