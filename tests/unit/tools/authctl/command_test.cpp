#include "tools/authctl/command.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/tools/authctl/whole_program.hpp"

namespace authctl {
namespace {

using testing::run_authctl;
using Arguments = std::vector<std::string>;

std::vector<Arguments> all_commands(const CommandNode& node, const Arguments& path) {
  std::vector<Arguments> commands;
  for (const CommandNode& child : node.children) {
    Arguments deeper = path;
    deeper.push_back(child.name);
    commands.push_back(deeper);
    const auto below = all_commands(child, deeper);
    commands.insert(commands.end(), below.begin(), below.end());
  }
  return commands;
}

CommandNode whole_tree() {
  Program program("authctl", "summary", "1");
  for (const Verb& verb : verbs()) verb.declare(program.root().child(verb.name, verb.summary, verb.example));
  return program.tree();
}

TEST(Command, EachHelpHasAnExampleThatBeginsWithItself) {
  const auto commands = all_commands(whole_tree(), {});
  EXPECT_GE(commands.size(), 20u);
  for (Arguments command : commands) {
    std::string spelled = "authctl";
    for (const auto& word : command) spelled += " " + word;
    command.push_back("--help");
    const auto ran = run_authctl(command);
    EXPECT_EQ(ran.exit, Exit::kYes);
    EXPECT_NE(ran.out.find("Usage: " + spelled), std::string::npos) << ran.out;
    EXPECT_NE(ran.out.find("Example:\n  " + spelled), std::string::npos) << ran.out;
    EXPECT_EQ(ran.err, "");
  }
}

TEST(Command, WhatCannotBeMeantIsUsageAndASentence) {
  const std::vector<Arguments> wrong{{},
                                     {"session"},
                                     {"frobnicate"},
                                     {"stats", "extra"},
                                     {"stats", "--nonsense"},
                                     {"revoke"},
                                     {"revoke", "--jti", "x"},
                                     {"revoke", "--token=abc"},
                                     {"revoke", "--subject", "a", "--client", "b"},
                                     {"revoke", "--everything", "--issuer", "a", "--sid", "b"},
                                     {"revoke", "--subject", "a", "--before", "yesterday"},
                                     {"revoke", "--subject", "a", "--before", "2026-02-31T00:00:00Z"},
                                     {"revocations", "lift"},
                                     {"revocations", "lift", "0"},
                                     {"keys", "revoke"},
                                     {"permissions"},
                                     {"permissions", "explain", "alice"},
                                     {"log-level", "loud"},
                                     {"log-level"},
                                     {"completion", "tcsh"},
                                     {"stats", "--timeout", "5"},
                                     {"stats", "--timeout", "0s"},
                                     {"flush", "--issuer", "a", "--key", "b"},
                                     {"session", "create"},
                                     {"session", "create", "--subject", "a", "--count", "0"},
                                     {"session", "create", "--subject", "a", "--count", "1000001"},
                                     {"session", "create", "--subject", "a", "--subject", "b"},
                                     {"revocations", "list", "--limit", "1001"},
                                     {"inspect"},
                                     {"inspect", "--all"},
                                     {"inspect", "--digest", "abc"},
                                     {"inspect", "--digest", std::string(48, 'a'), "--profile", "p"}};
  for (const Arguments& arguments : wrong) {
    const auto ran = run_authctl(arguments);
    EXPECT_EQ(ran.exit, Exit::kUsage) << ::testing::PrintToString(arguments);
    EXPECT_TRUE(ran.err.starts_with("authctl: ") && ran.err.ends_with("\n")) << ran.err;
    EXPECT_EQ(ran.out, "");
  }
}

TEST(Command, ATokenOnTheCommandLineIsNotRepeated) {
  const std::string token = "eyJhbGciOiJub25lIn0.c2VjcmV0.";
  for (const Arguments& arguments : {Arguments{"revoke", token},
                                     {"revoke", "--token", token},
                                     {"revoke", "--token=" + token},
                                     {token},
                                     {"validate", "--profile", "p", token},
                                     {"--" + token},
                                     {"log-level", token},
                                     {"inspect", "--digest", token}}) {
    const auto ran = run_authctl(arguments);
    EXPECT_EQ(ran.exit, Exit::kUsage);
    EXPECT_EQ((ran.out + ran.err).find("c2VjcmV0"), std::string::npos) << ran.err;
  }
}

TEST(Command, AnUnknownKindOfRevocationIsNamed) {
  EXPECT_NE(run_authctl({"revoke", "--role", "x"}).err.find("revoke has no option --role"), std::string::npos);
  EXPECT_NE(run_authctl({"revoke", "--jti", "x"}).err.find("--jti needs --issuer"), std::string::npos);
  EXPECT_NE(run_authctl({"revoke"}).err.find("exactly one of: --token"), std::string::npos);
}

TEST(Command, AValueThatBeginsWithADashIsTakenBehindALoneDoubleDash) {
  const auto bare = run_authctl({"session", "revoke", "-dashed"});
  EXPECT_EQ(bare.exit, Exit::kUsage);
  EXPECT_NE(bare.err.find("behind a lone --"), std::string::npos) << bare.err;
  // No daemon answers here: anything but a usage error shows that the words were understood.
  EXPECT_NE(run_authctl({"session", "revoke", "--", "-dashed"}).exit, Exit::kUsage);
}

TEST(Command, SharedOptionsMayStandBehindTheVerb) {
  for (const Arguments& arguments : {Arguments{"--json", "stats"}, {"stats", "--json"}}) {
    const auto ran = run_authctl(arguments);
    EXPECT_EQ(ran.exit, Exit::kUnreachable);
    EXPECT_TRUE(ran.out.starts_with(R"({"ok":false,"error":"there is no runtime directory)")) << ran.out;
    EXPECT_EQ(ran.err, "");
  }
  EXPECT_NE(run_authctl({"stats", "--runtime-dir", "/tmp/authctl-other"}).err.find("/tmp/authctl-other"),
            std::string::npos);
}

TEST(Command, VersionAndHelpAreNotFailures) {
  EXPECT_EQ(run_authctl({"--version"}).out, "authctl 1.2.3\n");
  EXPECT_EQ(run_authctl({"--help"}).exit, Exit::kYes);
}

TEST(Command, TheTreeHoldsValuesAndChoices) {
  const CommandNode tree = whole_tree();
  const auto find = [](const CommandNode& node, const std::string& name) -> const CommandNode& {
    return *std::ranges::find(node.children, name, &CommandNode::name);
  };
  const OptionNode& level = find(tree, "log-level").options.back();
  EXPECT_TRUE(level.names.empty());
  EXPECT_EQ(level.choices, (std::vector<std::string>{"debug", "info", "warning", "error"}));
  const CommandNode& create = find(find(tree, "session"), "create");
  const auto subject =
      std::ranges::find(create.options, std::vector<std::string>{"--subject"}, &OptionNode::names);
  ASSERT_NE(subject, create.options.end());
  EXPECT_EQ(subject->value, "SUBJECT");
  const auto help =
      std::ranges::find(create.options, std::vector<std::string>{"--help", "-h"}, &OptionNode::names);
  ASSERT_NE(help, create.options.end());
  EXPECT_EQ(help->value, "");
}

}  // namespace
}  // namespace authctl
