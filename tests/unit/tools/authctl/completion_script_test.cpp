#include "tools/authctl/completion_script.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tools/authctl/whole_program.hpp"
#include "tools/authctl/sibling_program.hpp"

namespace authctl {
namespace {

CommandNode small_tree() {
  const OptionNode help{{"--help", "-h"}, "", {}, "what this does"};
  return {
      "authctl",
      "summary",
      {help, {{"--runtime-dir"}, "DIR", {}, "the daemon's directory"}, {{"--json"}, "", {}, "one document"}},
      {{"level", "how much: it logs", {help, {{}, "NAME", {"info", "error"}, "the level"}}, {}},
       {"config",
        "it's here",
        {help},
        {{"check", "a file", {help, {{}, "FILE", {}, "the file"}, {{"--as"}, "NAME", {}, "whose"}}, {}}}}}};
}

// What the script, in a real bash, completes these words to.
std::string completed(const std::string& script, const std::string& words) {
  const std::string program = script + "\nCOMP_WORDS=(" + words +
                              ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n" +
                              "compopt() { :; }\n_authctl\necho \"${COMPREPLY[*]}\"\n";
  const auto finished = run_program("bash", {"--norc", "-c", program}, true);
  if (!finished) return finished.error().sentence;
  return finished->output;
}

TEST(CompletionScript, BashOffersWhatThePlaceTakes) {
  const std::string script = bash_completion(small_tree());
  EXPECT_EQ(completed(script, "authctl ''"), "level config --help -h --runtime-dir --json\n");
  EXPECT_EQ(completed(script, "authctl c"), "config\n");
  EXPECT_EQ(completed(script, "authctl config ''"), "check --help -h --runtime-dir --json\n");
  EXPECT_EQ(completed(script, "authctl --json level e"), "error\n");
  EXPECT_EQ(completed(script, "authctl config check --a"), "--as\n");
  EXPECT_EQ(completed(script, "authctl config check --as ''"), "\n");
  EXPECT_EQ(completed(script, "authctl level --runtime-dir /usr/sbi"), "/usr/sbin\n");
  EXPECT_EQ(completed(script, "authctl config check /etc/os-relea"), "/etc/os-release\n");
}

TEST(CompletionScript, ZshEntriesEscapeColonsInNamesAndQuotesInText) {
  const std::string script = zsh_completion(small_tree());
  EXPECT_TRUE(script.starts_with("#compdef authctl\n"));
  EXPECT_NE(script.find("'level:how much: it logs'"), std::string::npos);
  EXPECT_NE(script.find(R"('config:it'\''s here')"), std::string::npos);
  EXPECT_NE(script.find("('authctl config check --runtime-dir') _files -/; return ;;"), std::string::npos);
  EXPECT_NE(script.find("('authctl config check') _files; entries=("), std::string::npos);
}

TEST(CompletionScript, FishLinesNameThePlaceAndTheValue) {
  const std::string script = fish_completion(small_tree());
  EXPECT_NE(script.find(R"(complete -c authctl -n '__authctl_at \'authctl\'' -a config -d 'it\'s here')"),
            std::string::npos);
  EXPECT_NE(script.find(R"(-n '__authctl_at \'authctl config check\'' -l as -x -d 'whose')"),
            std::string::npos);
  EXPECT_NE(script.find(R"(-n '__authctl_at \'authctl config check\'' -F)"), std::string::npos);
  EXPECT_NE(script.find(R"(-n '__authctl_at \'authctl level\'' -a 'info error')"), std::string::npos);
  EXPECT_NE(script.find(R"(-l help -s h -d 'what this does')"), std::string::npos);
}

TEST(CompletionScript, EveryVerbAndOptionOfTheProgramIsInEveryScript) {
  Program program("authctl", "summary", "1");
  Settings settings;
  Command root = program.root();
  declare_settings(root, settings);
  for (const Verb& verb : verbs()) verb.declare(root.child(verb.name, verb.summary, verb.example));
  const CommandNode tree = program.tree();
  const std::string bash = testing::run_authctl({"completion", "bash"}).out;
  const std::string zsh = testing::run_authctl({"completion", "zsh"}).out;
  const std::string fish = testing::run_authctl({"completion", "fish"}).out;
  EXPECT_EQ(bash, bash_completion(tree));
  for (const CommandNode& verb : tree.children) {
    for (const std::string& script : {bash, zsh, fish})
      EXPECT_NE(script.find("'authctl " + verb.name), std::string::npos) << verb.name;
    for (const OptionNode& option : verb.options) {
      for (const std::string& name : option.names) {
        EXPECT_NE(bash.find(name), std::string::npos) << name;
        EXPECT_NE(zsh.find("'" + name + ":"), std::string::npos) << name;
        const std::string in_fish =
            name.starts_with("--") ? " -l " + name.substr(2) + " " : " -s " + name.substr(1);
        EXPECT_NE(fish.find(in_fish), std::string::npos) << name;
      }
    }
  }
}

}  // namespace
}  // namespace authctl
