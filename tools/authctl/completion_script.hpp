// Completion scripts for shells, made from the command line's own tree: they cannot offer what the parser
// refuses. All three work alike: the words before the cursor that name commands make up a place ("authctl
// session create"), and each place has its words. Pure functions for any thread.
#pragma once

#include <string>

#include "tools/authctl/command_tree.hpp"

namespace authctl {

[[nodiscard]] std::string bash_completion(const CommandNode& root);
[[nodiscard]] std::string zsh_completion(const CommandNode& root);
[[nodiscard]] std::string fish_completion(const CommandNode& root);

}  // namespace authctl
