#include "tools/authctl/completion_script.hpp"

#include <string_view>
#include <vector>

namespace authctl {
namespace {

struct Place {
  std::string path;
  const CommandNode* node;
  std::vector<const OptionNode*> options;  // its own, then those of the root, which may stand anywhere
  std::vector<const OptionNode*> positionals;
};

void add_places(std::vector<Place>& places, const CommandNode& root, const CommandNode& node,
                const std::string& path) {
  Place place{path, &node, {}, {}};
  for (const OptionNode& option : node.options)
    (option.names.empty() ? place.positionals : place.options).push_back(&option);
  if (&node != &root) {
    for (const OptionNode& option : root.options) {
      const bool is_help =
          !option.names.empty() && option.names.front() == "--help";  // each command has its own
      const bool is_version = !option.names.empty() && option.names.front() == "--version";
      if (!is_help && !is_version) place.options.push_back(&option);
    }
  }
  places.push_back(std::move(place));
  for (const CommandNode& child : node.children) add_places(places, root, child, path + " " + child.name);
}

std::vector<Place> places_of(const CommandNode& root) {
  std::vector<Place> places;
  add_places(places, root, root, root.name);
  return places;
}

// Within single quotes of a POSIX-like shell.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// fish knows two escapes within single quotes.
std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "'";
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : std::string(separator)) + word;
  return out;
}

// Every place but the root, as alternatives of a case label.
std::string place_pattern(const std::vector<Place>& places, std::string_view separator) {
  std::vector<std::string> patterns;
  for (std::size_t i = 1; i < places.size(); ++i) patterns.push_back(quoted(places[i].path));
  return joined(patterns, separator);
}

std::string option_pattern(const Place& place, const OptionNode& option) {
  std::vector<std::string> patterns;
  for (const auto& name : option.names) patterns.push_back(quoted(place.path + " " + name));
  return joined(patterns, "|");
}

std::string bash_values(const OptionNode& option) {
  if (!option.choices.empty())
    return "mapfile -t COMPREPLY < <(compgen -W " + quoted(joined(option.choices, " ")) + " -- \"$cur\")";
  if (option.value == "FILE") return "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")";
  if (option.value == "DIR") return "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")";
  return "COMPREPLY=()";
}

std::string bash_words(const Place& place) {
  std::vector<std::string> words;
  for (const CommandNode& child : place.node->children) words.push_back(child.name);
  for (const OptionNode* positional : place.positionals)
    words.insert(words.end(), positional->choices.begin(), positional->choices.end());
  for (const OptionNode* option : place.options)
    words.insert(words.end(), option->names.begin(), option->names.end());
  return joined(words, " ");
}

bool takes_file(const Place& place) {
  for (const OptionNode* positional : place.positionals) {
    if (positional->value == "FILE") return true;
  }
  return false;
}

// zsh splits name and description at the first colon that has no backslash.
std::string zsh_entry(const std::string& name, const std::string& summary) {
  std::string escaped;
  for (const char c : name) escaped += c == ':' ? std::string("\\:") : std::string(1, c);
  return quoted(escaped + ":" + summary);
}

std::string zsh_values(const OptionNode& option) {
  if (!option.choices.empty()) return "compadd -- " + joined(option.choices, " ");
  if (option.value == "FILE") return "_files";
  if (option.value == "DIR") return "_files -/";
  return "_message " + quoted(option.value);
}

std::string zsh_entries(const Place& place) {
  std::vector<std::string> entries;
  for (const CommandNode& child : place.node->children)
    entries.push_back(zsh_entry(child.name, child.summary));
  for (const OptionNode* positional : place.positionals) {
    for (const auto& choice : positional->choices) entries.push_back(zsh_entry(choice, positional->summary));
  }
  for (const OptionNode* option : place.options) {
    for (const auto& name : option->names) entries.push_back(zsh_entry(name, option->summary));
  }
  return joined(entries, "\n        ");
}

std::string fish_line(const Place& place) {
  return "complete -c authctl -n " + fish_quoted("__authctl_at " + fish_quoted(place.path));
}

std::string fish_values(const OptionNode& option) {
  if (option.value.empty()) return "";
  if (!option.choices.empty()) return " -x -a " + fish_quoted(joined(option.choices, " "));
  if (option.value == "FILE") return " -r -F";
  if (option.value == "DIR") return " -x -a '(__fish_complete_directories)'";
  return " -x";
}

std::string fish_option(const Place& place, const OptionNode& option) {
  std::string line = fish_line(place);
  for (const auto& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  return line + fish_values(option) + " -d " + fish_quoted(option.summary) + "\n";
}

}  // namespace

std::string bash_completion(const CommandNode& root) {
  const std::vector<Place> places = places_of(root);
  std::string out =
      "# bash completion for authctl\n"
      "_authctl() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} place=authctl i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"$place ${COMP_WORDS[i]}\" in\n"
      "      " +
      place_pattern(places, "|") +
      ") place=\"$place ${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$place $prev\" in\n";
  for (const Place& place : places) {
    for (const OptionNode* option : place.options) {
      if (option->value.empty()) continue;
      out += "    " + option_pattern(place, *option) + ") " + bash_values(*option) + "; return ;;\n";
    }
  }
  out += "  esac\n  case \"$place\" in\n";
  for (const Place& place : places) {
    out += "    " + quoted(place.path) + ") mapfile -t COMPREPLY < <(compgen -W " +
           quoted(bash_words(place)) + " -- \"$cur\") ;;\n";
  }
  out += "  esac\n  case \"$place\" in\n";
  for (const Place& place : places) {
    if (!takes_file(place)) continue;
    out += "    " + quoted(place.path) +
           ") compopt -o filenames; mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$cur\") "
           ";;\n";
  }
  return out + "  esac\n}\ncomplete -F _authctl authctl\n";
}

std::string zsh_completion(const CommandNode& root) {
  const std::vector<Place> places = places_of(root);
  std::string out =
      "#compdef authctl\n"
      "_authctl() {\n"
      "  local place=authctl i\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    case \"$place ${words[i]}\" in\n"
      "      (" +
      place_pattern(places, "|") +
      ") place=\"$place ${words[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$place ${words[CURRENT-1]}\" in\n";
  for (const Place& place : places) {
    for (const OptionNode* option : place.options) {
      if (option->value.empty()) continue;
      out += "    (" + option_pattern(place, *option) + ") " + zsh_values(*option) + "; return ;;\n";
    }
  }
  out += "  esac\n  local -a entries\n  case \"$place\" in\n";
  for (const Place& place : places) {
    out += "    (" + quoted(place.path) + ")" + (takes_file(place) ? " _files;" : "") +
           " entries=(\n        " + zsh_entries(place) + ") ;;\n";
  }
  return out +
         "  esac\n"
         "  _describe authctl entries\n"
         "}\n"
         "if [[ ${funcstack[1]} == _authctl ]]; then _authctl \"$@\"; else compdef _authctl authctl; fi\n";
}

std::string fish_completion(const CommandNode& root) {
  const std::vector<Place> places = places_of(root);
  std::string out =
      "# fish completion for authctl\n"
      "function __authctl_at\n"
      "    set -l place authctl\n"
      "    set -l before (commandline -opc)\n"
      "    for word in $before[2..]\n"
      "        switch \"$place $word\"\n"
      "            case " +
      place_pattern(places, " ") +
      "\n"
      "                set place \"$place $word\"\n"
      "        end\n"
      "    end\n"
      "    test \"$place\" = \"$argv[1]\"\n"
      "end\n"
      "complete -c authctl -f\n";
  for (const Place& place : places) {
    for (const CommandNode& child : place.node->children) {
      out += fish_line(place) + " -a " + child.name + " -d " + fish_quoted(child.summary) + "\n";
    }
    for (const OptionNode* positional : place.positionals) {
      if (!positional->choices.empty()) {
        out += fish_line(place) + " -a " + fish_quoted(joined(positional->choices, " ")) + " -d " +
               fish_quoted(positional->summary) + "\n";
      } else if (positional->value == "FILE") {
        out += fish_line(place) + " -F\n";
      }
    }
    for (const OptionNode* option : place.options) out += fish_option(place, *option);
  }
  return out;
}

}  // namespace authctl
