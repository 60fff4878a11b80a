// authctl completion bash | zsh | fish
#include <ostream>

#include "tools/authctl/completion_script.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {

void declare_completion(Command command) {
  const auto shell = std::make_shared<std::string>();
  command.choice("shell", *shell, {"bash", "zsh", "fish"}, "the shell to print a script for");
  command.require("shell");
  command.action([shell](Call& call) {
    const CommandNode tree = call.tree();
    if (*shell == "bash") {
      call.out << bash_completion(tree);
    } else if (*shell == "zsh") {
      call.out << zsh_completion(tree);
    } else {
      call.out << fish_completion(tree);
    }
    return Exit::kYes;
  });
}

}  // namespace authctl
