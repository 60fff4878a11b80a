#include "tests/history/history.hpp"

#include <algorithm>
#include <array>
#include <sstream>
#include <stdexcept>

namespace authcache_test {

namespace {

constexpr std::array<std::string_view, kMarkKinds> kMarkNames{
    "token", "jti", "sid", "subject", "client", "issuer", "key", "everything", "session", "key_set"};
constexpr std::array<std::string_view, kVerdicts> kVerdictNames{
    "valid", "miss", "revoked", "invalid", "forbidden", "unavailable", "fault"};
constexpr std::array<std::string_view, kEventKinds> kEventNames{
    "flush_all", "flush_scoped", "session_create", "key_added", "key_removed",
    "reload",    "stop",         "kill",           "fault",     "restart",
    "outage",    "refreshed",    "served_stale",   "logout"};
constexpr std::array<std::string_view, 3> kOutcomeNames{"done", "failed", "lost"};

template <class Value, std::size_t N>
Value named(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) throw std::runtime_error("an unknown word: " + std::string(name));
  return static_cast<Value>(found - names.begin());
}

// Every field is one word; an empty one is written "-".
std::string word_of(const std::string& text) { return text.empty() ? "-" : text; }

std::string next_word(std::istringstream& line) {
  std::string word;
  if (!(line >> word)) throw std::runtime_error("a line that ends too early");
  return word == "-" ? "" : word;
}

std::int64_t next_number(std::istringstream& line) { return std::stoll(next_word(line)); }

void read_credential(std::istringstream& line, History& history) {
  Credential credential;
  credential.name = next_word(line);
  credential.good = next_number(line) != 0;
  credential.issued_from_wall_ns = next_number(line);
  credential.issued_until_wall_ns = next_number(line);
  credential.expires_wall_ns = next_number(line);
  for (std::uint32_t mark; line >> mark;) {
    if (mark >= history.marks.size()) throw std::runtime_error("a token with a mark that is not listed");
    credential.marks.push_back(mark);
  }
  history.credentials.push_back(std::move(credential));
}

void read_change(std::istringstream& line, History& history) {
  Change change;
  change.lifts = named<std::uint8_t>(std::array<std::string_view, 2>{"revoke", "lift"}, next_word(line)) != 0;
  change.mark = static_cast<std::uint32_t>(next_number(line));
  change.outcome = named<Outcome>(kOutcomeNames, next_word(line));
  change.start_ns = next_number(line);
  change.end_ns = next_number(line);
  change.not_before_from_wall_ns = next_number(line);
  change.not_before_until_wall_ns = next_number(line);
  if (change.mark >= history.marks.size()) throw std::runtime_error("a change of a mark that is not listed");
  history.changes.push_back(change);
}

void read_answer(std::istringstream& line, History& history) {
  Answer answer;
  answer.lookup =
      named<std::uint8_t>(std::array<std::string_view, 2>{"validate", "lookup"}, next_word(line)) != 0;
  answer.process = static_cast<std::uint8_t>(next_number(line));
  answer.credential = static_cast<std::uint32_t>(next_number(line));
  answer.verdict = named<Verdict>(kVerdictNames, next_word(line));
  answer.start_ns = next_number(line);
  answer.end_ns = next_number(line);
  if (answer.credential >= history.credentials.size()) throw std::runtime_error("an answer about no token");
  history.answers.push_back(answer);
}

void read_event(std::istringstream& line, History& history) {
  Event event;
  event.kind = named<EventKind>(kEventNames, next_word(line));
  event.outcome = named<Outcome>(kOutcomeNames, next_word(line));
  event.start_ns = next_number(line);
  event.end_ns = next_number(line);
  history.events.push_back(event);
}

void read_line(const std::string& text, History& history) {
  std::istringstream line(text);
  const std::string what = next_word(line);
  if (what == "seed") {
    history.seed = std::stoull(next_word(line));
  } else if (what == "wall_minus_monotonic_ns") {
    history.wall_minus_monotonic_ns = next_number(line);
  } else if (what == "quiet_from_ns") {
    history.quiet_from_ns = next_number(line);
  } else if (what == "mark") {
    const auto kind = named<MarkKind>(kMarkNames, next_word(line));
    std::string scope = next_word(line);
    history.marks.push_back({kind, std::move(scope), next_word(line)});
  } else if (what == "token") {
    read_credential(line, history);
  } else if (what == "change") {
    read_change(line, history);
  } else if (what == "answer") {
    read_answer(line, history);
  } else if (what == "event") {
    read_event(line, history);
  } else {
    throw std::runtime_error("an unknown word: " + what);
  }
}

}  // namespace

std::string_view mark_kind_name(MarkKind kind) { return kMarkNames[static_cast<std::size_t>(kind)]; }
std::string_view verdict_name(Verdict verdict) { return kVerdictNames[static_cast<std::size_t>(verdict)]; }
std::string_view event_kind_name(EventKind kind) { return kEventNames[static_cast<std::size_t>(kind)]; }

bool spares_later_tokens(MarkKind kind) {
  return kind == MarkKind::kSid || kind == MarkKind::kSubject || kind == MarkKind::kClient ||
         kind == MarkKind::kIssuer || kind == MarkKind::kEverything;
}

std::string history_text(const History& history) {
  std::ostringstream out;
  out << "seed " << history.seed << "\nwall_minus_monotonic_ns " << history.wall_minus_monotonic_ns
      << "\nquiet_from_ns " << history.quiet_from_ns << '\n';
  for (const Mark& mark : history.marks) {
    out << "mark " << mark_kind_name(mark.kind) << ' ' << word_of(mark.scope) << ' ' << word_of(mark.value)
        << '\n';
  }
  for (const Credential& each : history.credentials) {
    out << "token " << word_of(each.name) << ' ' << each.good << ' ' << each.issued_from_wall_ns << ' '
        << each.issued_until_wall_ns << ' ' << each.expires_wall_ns;
    for (const std::uint32_t mark : each.marks) out << ' ' << mark;
    out << '\n';
  }
  for (const Change& each : history.changes) {
    out << "change " << (each.lifts ? "lift " : "revoke ") << each.mark << ' '
        << kOutcomeNames[static_cast<std::size_t>(each.outcome)] << ' ' << each.start_ns << ' ' << each.end_ns
        << ' ' << each.not_before_from_wall_ns << ' ' << each.not_before_until_wall_ns << '\n';
  }
  for (const Event& each : history.events) {
    out << "event " << event_kind_name(each.kind) << ' '
        << kOutcomeNames[static_cast<std::size_t>(each.outcome)] << ' ' << each.start_ns << ' ' << each.end_ns
        << '\n';
  }
  for (const Answer& each : history.answers) {
    out << "answer " << (each.lookup ? "lookup " : "validate ") << unsigned{each.process} << ' '
        << each.credential << ' ' << verdict_name(each.verdict) << ' ' << each.start_ns << ' ' << each.end_ns
        << '\n';
  }
  return out.str();
}

History read_history(std::string_view text) {
  History history;
  std::istringstream lines{std::string(text)};
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    try {
      if (!line.empty()) read_line(line, history);
    } catch (const std::exception& error) {
      throw std::runtime_error("line " + std::to_string(number) + ": " + error.what());
    }
  }
  return history;
}

}  // namespace authcache_test
