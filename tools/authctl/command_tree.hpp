// The command line as plain data, read off the parser's own tree: what completion scripts are made from.
#pragma once

#include <string>
#include <vector>

namespace authctl {

struct OptionNode {
  std::vector<std::string> names;  // "--json", "-h"; empty for a positional argument
  std::string value;               // what it takes ("FILE", "DIR", "NAME"); empty for a flag
  std::vector<std::string> choices;
  std::string summary;
};

struct CommandNode {
  std::string name;
  std::string summary;
  std::vector<OptionNode> options;
  std::vector<CommandNode> children;
};

}  // namespace authctl
