#include "tools/authctl/command.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <ostream>
#include <string_view>

#include "tools/authctl/units.hpp"

namespace authctl {

struct Program::Impl {
  CLI::App app;
  std::map<const CLI::App*, Action> actions;

  // Names only; the root's help explains them.
  [[nodiscard]] std::string shared_options() const {
    std::string names;
    for (const CLI::Option* option : app.get_options()) {
      const std::string name = option->get_lnames().front();
      if (name == "help" || name == "version") continue;
      names += (names.empty() ? "--" : ", --") + name;
    }
    return names;
  }
};

namespace {

CLI::Option* once(CLI::Option* option, const std::string& value) {
  return option->type_name(value)->multi_option_policy(CLI::MultiOptionPolicy::Throw);
}

// A validator's description is shown in the type name, as "LEVEL:{a,b}": the one place where it can be read
// back.
std::vector<std::string> choices_in(const std::string& type_name) {
  const auto open = type_name.find('{');
  const auto close = type_name.find('}', open);
  std::vector<std::string> choices;
  if (open == std::string::npos || close == std::string::npos) return choices;
  std::string_view rest(type_name.data() + open + 1, close - open - 1);
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(','), rest.size());
    choices.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return choices;
}

CommandNode node_of(const CLI::App& app) {
  CommandNode node{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    OptionNode described{{}, {}, {}, option->get_description()};
    for (const auto& name : option->get_lnames()) described.names.push_back("--" + name);
    for (const auto& name : option->get_snames()) described.names.push_back("-" + name);
    if (option->get_type_size() > 0) {
      const std::string type_name = option->get_type_name();
      described.value = type_name.substr(0, type_name.find(':'));
      described.choices = choices_in(type_name);
    }
    node.options.push_back(std::move(described));
  }
  const std::function<bool(const CLI::App*)> all = [](const CLI::App*) { return true; };
  for (const CLI::App* child : app.get_subcommands(all)) node.children.push_back(node_of(*child));
  return node;
}

const CLI::App* deepest_parsed(const CLI::App& app) {
  const CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
  return deepest;
}

std::string spelled(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : spelled(*parent) + " " + command.get_name();
}

std::string see_help(const CLI::App& command) { return "; see " + spelled(command) + " --help"; }

// An option's name is safe to repeat, a value is not: it may be a token that was meant for standard input.
std::string extras_sentence(const CLI::App& app, const CLI::App& command) {
  for (const std::string& extra : app.remaining(true)) {
    const std::string name = extra.substr(0, extra.find('='));
    constexpr std::size_t kOptionNameMax = 32;
    const bool is_option =
        name.starts_with("--") && name.size() <= kOptionNameMax &&
        std::ranges::all_of(name, [](char c) { return c == '-' || (c >= 'a' && c <= 'z'); });
    if (is_option) return command.get_name() + " has no option " + name + see_help(command);
  }
  return command.get_name() +
         " was given an argument that it does not take; it is not repeated here, as it may be a " +
         "token, and those are read from standard input" + see_help(command);
}

std::string which_sentence(const CLI::App& command) {
  std::string names;
  const std::function<bool(const CLI::App*)> all = [](const CLI::App*) { return true; };
  for (const CLI::App* child : command.get_subcommands(all))
    names += (names.empty() ? "" : ", ") + child->get_name();
  return "say which: " + names + see_help(command);
}

// A sid of another store may begin with a dash and is then taken for an option.
std::string dash_hint(const CLI::App& app) {
  const auto extras = app.remaining(true);
  const bool dashed = std::ranges::any_of(extras, [](const std::string& extra) { return extra.starts_with('-'); });
  return dashed ? ", and a value that begins with '-' is written behind a lone --" : "";
}

std::string parse_sentence(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = *deepest_parsed(app);
  const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
  if (code == CLI::ExitCodes::ExtrasError) return extras_sentence(app, command);
  const bool lacks_child = command.get_require_subcommand_min() > 0 && command.get_subcommands().empty();
  if (code == CLI::ExitCodes::RequiredError && lacks_child) return which_sentence(command);
  return error.what() + dash_hint(app) + see_help(command);
}

}  // namespace

Command Command::child(const std::string& name, const std::string& summary, const std::string& example) {
  CLI::App* app = app_->add_subcommand(name, summary);
  app->footer("Example:\n  " + example + "\n\nOptions of every verb: " + program_->impl_->shared_options());
  return {*program_, *app};
}

void Command::flag(const std::string& names, bool& into, const std::string& summary) {
  app_->add_flag(names, into, summary)->disable_flag_override();
}

void Command::text(const std::string& names, std::string& into, const std::string& value,
                   const std::string& summary) {
  once(app_->add_option(names, into, summary), value);
}

void Command::texts(const std::string& names, std::vector<std::string>& into, const std::string& value,
                    const std::string& summary) {
  app_->add_option(names, into, summary)->type_name(value)->allow_extra_args(false);
}

void Command::path(const std::string& names, std::filesystem::path& into, const std::string& value,
                   const std::string& summary) {
  const std::function<void(const std::string&)> store = [&into](const std::string& text) { into = text; };
  once(app_->add_option_function(names, store, summary), value);
}

void Command::number(const std::string& names, std::uint64_t& into, std::uint64_t low, std::uint64_t high,
                     const std::string& summary) {
  CLI::Option* option = once(app_->add_option(names, into, summary), "NUMBER");
  const auto check = [low, high](const std::string& text) -> std::string {
    const auto number = parse_number(text);
    if (number && *number >= low && *number <= high) return {};
    return "must be a number from " + std::to_string(low) + " to " + std::to_string(high);
  };
  option->check(CLI::Validator(check, "", "range"));
}

void Command::duration(const std::string& names, std::chrono::nanoseconds& into, const std::string& summary) {
  const std::function<void(const std::string&)> store = [&into, names](const std::string& text) {
    const auto parsed = parse_duration(text);
    if (!parsed || parsed->count() == 0) {
      throw CLI::ValidationError(names, "must be a duration above zero such as 500ms, 30s, 5m, 24h or 7d");
    }
    into = *parsed;
  };
  once(app_->add_option_function(names, store, summary), "DURATION");
}

void Command::choice(const std::string& names, std::string& into, const std::vector<std::string>& choices,
                     const std::string& summary) {
  const auto check = [choices](const std::string& text) -> std::string {
    if (std::ranges::find(choices, text) != choices.end()) return {};
    return "must be one of: " + CLI::detail::join(choices, ", ");
  };
  // The description is what choices_in() reads back.
  once(app_->add_option(names, into, summary), "NAME")
      ->check(CLI::Validator(check, "{" + CLI::detail::join(choices, ",") + "}", "choice"));
}

void Command::require(const std::string& name) { app_->get_option(name)->required(); }

void Command::exclude(const std::string& name, const std::string& other) {
  app_->get_option(name)->excludes(app_->get_option(other));
}

void Command::require_child() { app_->require_subcommand(1); }

void Command::action(Action action) { program_->impl_->actions[app_] = std::move(action); }

Program::Program(const std::string& name, const std::string& summary, const std::string& version)
    : impl_(std::make_unique<Impl>()) {
  impl_->app.name(name);
  impl_->app.description(summary);
  impl_->app.set_help_flag("-h,--help", "what this does, its options, an example");
  impl_->app.set_version_flag("--version", name + " " + version, "the version of authctl");
  impl_->app.fallthrough();  // shared options may stand behind the verb; children inherit this
  impl_->app.require_subcommand(1);
}

Program::~Program() = default;

Command Program::root() { return {*this, impl_->app}; }

Exit Program::run(int argc, const char* const* argv, Call& call, const Settings& settings) {
  CLI::App& app = impl_->app;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* command = deepest_parsed(app);
    call.out << command->help(command == &app ? "" : spelled(*command->get_parent()));
    return Exit::kYes;
  } catch (const CLI::Success& version) {
    call.out << version.what() << '\n';
    return Exit::kYes;
  } catch (const CLI::ParseError& error) {
    call.err << "authctl: " << parse_sentence(app, error) << '\n';
    return Exit::kUsage;
  }
  call.settings = settings;
  call.tree = [this] { return tree(); };
  const auto action = impl_->actions.find(deepest_parsed(app));
  if (action == impl_->actions.end()) {
    call.err << "authctl: " << which_sentence(*deepest_parsed(app)) << '\n';
    return Exit::kUsage;
  }
  return action->second(call);
}

CommandNode Program::tree() const { return node_of(impl_->app); }

}  // namespace authctl
