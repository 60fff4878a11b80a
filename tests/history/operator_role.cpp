#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <chrono>
#include <thread>

#include "tests/history/control_line.hpp"
#include "tests/history/roles.hpp"
#include "tests/history/rule_names.hpp"
#include "tests/process/support/http_peer.hpp"

namespace authcache_test {

namespace {

namespace json = boost::json;

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::uint64_t kPauseMs = 12;  // at most, between two actions
// Rules older than this are swept; those that refuse many tokens at once sooner, or little would ever be
// valid.
constexpr std::int64_t kSweptAfterNs = 2'500 * kNsPerMs, kBroadSweptAfterNs = 300 * kNsPerMs;
constexpr std::int64_t kSweepEveryNs = 400 * kNsPerMs;

// How often each kind is revoked, and for how long on average. What refuses many is lifted soon.
struct Habit {
  MarkKind kind;
  std::uint64_t weight;
  std::int64_t lasts_ms;
};
constexpr Habit kHabits[] = {
    {MarkKind::kToken, 30, 800},   {MarkKind::kJti, 14, 800},      {MarkKind::kSid, 14, 400},
    {MarkKind::kSubject, 12, 250}, {MarkKind::kClient, 6, 200},    {MarkKind::kIssuer, 2, 120},
    {MarkKind::kKey, 5, 150},      {MarkKind::kEverything, 1, 80}, {MarkKind::kSession, 10, 0},
};
constexpr std::uint64_t kWeights = 94;  // their sum
// Of the revocations, for the kind that came least often: or one history in seven had too few of the rare ones.
constexpr std::uint64_t kLeastOftenEvery = 10;
constexpr std::uint64_t kLogoutEvery = 4;  // of the revocations that an issuer could tell of by a logout token

// Of those that clients ask about; more than are chosen among for a revocation, so that some are left alone.
constexpr std::uint32_t kSessionsInCalm = Board::kLatestSessions - 2;

// What leaves most records alone.
bool is_narrow(MarkKind kind) {
  return kind == MarkKind::kToken || kind == MarkKind::kJti || kind == MarkKind::kSid || kind == MarkKind::kSession;
}

class OperatorRole {
 public:
  OperatorRole(const Setting& setting, std::uint64_t seed, SharedLog<Change>& changes,
               SharedLog<Event>& events)
      : setting_(setting),
        random_(seed),
        changes_(changes),
        events_(events),
        line_(setting.runtime_dir),
        names_(setting.plan, setting.board, setting.thumbprints) {}

  void work() {
    while (!setting_.board.operators_end) {
      if (!lift_what_is_due()) act();
      if (monotonic_ns() >= sweep_at_ns_) sweep();
      std::this_thread::sleep_for(std::chrono::microseconds(below(random_, kPauseMs * 1'000)));
    }
  }

 private:
  static constexpr std::uint64_t kUnknownChange = 0;  // a logout's answer does not tell its number
  struct Standing {
    std::uint32_t mark;
    std::uint64_t change;
    std::int64_t due_ns;
  };

  void act() {
    if (setting_.is_calm()) return setting_.board.latest_ready() < kSessionsInCalm ? create_session() : revoke();
    const std::uint64_t dice = below(random_, 100);
    if (dice < 20) return create_session();
    if (dice < 22) return flush_all();
    if (dice < 29) return flush_scoped();
    revoke();
  }

  // A token in use now, more likely than not; else a session lately made.
  std::uint32_t choose_credential() {
    const Plan& plan = setting_.plan;
    const std::uint32_t made = setting_.board.sessions_made();
    if (made > 0 && below(random_, 4) == 0) {
      return plan.first_session() + made - 1 -
             static_cast<std::uint32_t>(below(random_, std::min(made, 20U)));
    }
    const auto newest = static_cast<std::uint64_t>(setting_.part() * static_cast<double>(plan.good() - 1));
    return static_cast<std::uint32_t>(newest - std::min<std::uint64_t>(newest, below(random_, 40)));
  }

  const Habit* choose_habit() {
    const Habit* habit = std::begin(kHabits);
    if (!setting_.is_calm() && ++choices_ % kLeastOftenEvery == 0) {
      habit = std::begin(kHabits) + (std::ranges::min_element(chosen_) - chosen_.begin());
    } else {
      for (std::uint64_t dice = below(random_, kWeights); dice >= habit->weight; ++habit) dice -= habit->weight;
    }
    return habit;
  }

  // The clients look at what stands here, so they look while and just after it is being revoked.
  void point_at(std::uint32_t credential) {
    Board& board = setting_.board;
    board.focus[board.focus_next++ % Board::kFocus] = credential;
    std::this_thread::sleep_for(std::chrono::microseconds(below(random_, 4'000)));
  }

  void revoke() {
    const std::uint32_t credential = choose_credential();
    const Habit* habit = choose_habit();
    if (setting_.is_calm() && !is_narrow(habit->kind)) return;
    std::vector<std::uint32_t> fitting;
    for (const std::uint32_t each : setting_.plan.credentials()[credential].marks) {
      if (setting_.plan.marks()[each].kind == habit->kind) fitting.push_back(each);
    }
    if (fitting.empty()) return;
    ++chosen_[static_cast<std::size_t>(habit - std::begin(kHabits))];
    const std::uint32_t mark = fitting[below(random_, fitting.size())];
    point_at(credential);
    if (can_log_out(mark) && below(random_, kLogoutEvery) == 0) return log_out(mark, *habit);
    json::object request = request_for(mark);
    if (request.empty()) return;
    Change change{.mark = mark};
    const std::int64_t wall_before_ns = wall_ns();
    const bool dated = spares_later_tokens(habit->kind) && below(random_, 2) == 0;
    const std::int64_t not_before_ns =
        wall_before_ns - static_cast<std::int64_t>(below(random_, 60)) * 1'000 * kNsPerMs;
    if (dated) request["not_before_wall_ns"] = not_before_ns;
    const auto answer = line_.ask(request);
    if (!answer || answer->had_no_effect()) return;
    change.outcome = answer->outcome;
    change.start_ns = answer->start_ns;
    change.end_ns = answer->end_ns;
    change.not_before_from_wall_ns = dated ? not_before_ns : wall_before_ns;
    change.not_before_until_wall_ns = dated ? not_before_ns : answer->end_ns == kNever ? kNever : wall_ns();
    if (const json::value* known = answer->reply.if_contains("not_before_wall_ns");
        known != nullptr && known->is_int64()) {
      change.not_before_from_wall_ns = change.not_before_until_wall_ns = known->as_int64();
    }
    changes_.append(change);
    if (!answer->done() || habit->kind == MarkKind::kSession) return;
    const std::int64_t lasts_ns =
        habit->lasts_ms * kNsPerMs * static_cast<std::int64_t>(below(random_, 200)) / 100;
    standing_.push_back(
        {mark, answer->reply.at("change").to_number<std::uint64_t>(), answer->end_ns + lasts_ns});
  }

  [[nodiscard]] bool can_log_out(std::uint32_t mark_number) const {
    const Mark& mark = setting_.plan.marks()[mark_number];
    return !mark.scope.empty() && (mark.kind == MarkKind::kSid || mark.kind == MarkKind::kSubject);
  }

  // As the issuer says it: by sid from now on, by subject up to the second that the logout token tells.
  void log_out(std::uint32_t mark_number, const Habit& habit) {
    const Mark& mark = setting_.plan.marks()[mark_number];
    const std::size_t issuer = mark.scope == Plan::issuer_name(0) ? 0 : 1;
    const bool by_sid = mark.kind == MarkKind::kSid;
    HttpPeer connection(setting_.runtime_dir / "http.sock");
    if (!connection.connected()) return;
    const std::int64_t wall_before_ns = wall_ns(), issued_seconds = wall_before_ns / (1'000 * kNsPerMs);
    const std::string token =
        setting_.plan.logout_token(issuer, by_sid ? "sid" : "sub", mark.value, issued_seconds,
                                   std::to_string(::getpid()) + "-" + std::to_string(++logouts_));
    Change change{.mark = mark_number, .outcome = Outcome::kLost, .start_ns = monotonic_ns()};
    const HttpReply reply =
        connection.ask(http_post("/logout/" + Plan::profile(issuer), "logout_token=" + token));
    if (reply.status != 0) {
      change.outcome = reply.status == 200 ? Outcome::kDone : Outcome::kFailed;
      change.end_ns = monotonic_ns();
    }
    const std::int64_t issued_ns = issued_seconds * 1'000 * kNsPerMs;
    change.not_before_from_wall_ns = by_sid ? wall_before_ns : issued_ns;
    change.not_before_until_wall_ns = !by_sid ? issued_ns : reply.status == 0 ? kNever : wall_ns();
    changes_.append(change);
    events_.append({EventKind::kLogout, change.outcome, change.start_ns, change.end_ns});
    if (change.outcome == Outcome::kDone)
      standing_.push_back({mark_number, kUnknownChange, change.end_ns + habit.lasts_ms * kNsPerMs});
  }

  json::object request_for(std::uint32_t mark_number) {
    const Mark& mark = setting_.plan.marks()[mark_number];
    json::object request{{"verb", "revoke"}};
    if (!mark.scope.empty()) request["issuer"] = mark.scope;
    switch (mark.kind) {
      case MarkKind::kToken: {
        const auto& tokens = setting_.plan.named_by(mark_number);
        const std::string token = token_of(tokens[below(random_, tokens.size())]);
        if (token.empty()) return {};
        request["token"] = token;
        break;
      }
      case MarkKind::kSession:
      case MarkKind::kSid:
        if (mark.value.starts_with("session#")) {
          const SessionSlot& slot = setting_.board.sessions[std::stoul(mark.value.substr(8))];
          if (!slot.ready) return {};
          request["sid"] = slot.sid.data();
        } else {
          request["sid"] = mark.value;
        }
        if (mark.kind == MarkKind::kSession) {
          request["verb"] = "session_revoke";
          request["profile"] = "sessions";
        }
        break;
      case MarkKind::kKey: request["key"] = setting_.thumbprints.at(mark.value); break;
      case MarkKind::kIssuer: request["issuer"] = mark.value; break;
      case MarkKind::kEverything: request["everything"] = true; break;
      default: request[mark_kind_name(mark.kind)] = mark.value;
    }
    return request;
  }

  [[nodiscard]] std::string token_of(std::uint32_t credential) const {
    const std::string& token = setting_.plan.presented(credential).token;
    if (!token.empty()) return token;
    const SessionSlot& slot = setting_.board.sessions[credential - setting_.plan.first_session()];
    return slot.ready ? slot.token.data() : "";
  }

  bool lift_what_is_due() {
    const auto due =
        std::ranges::find_if(standing_, [](const Standing& each) { return each.due_ns <= monotonic_ns(); });
    if (due == standing_.end()) return false;
    const Standing standing = *due;
    standing_.erase(due);
    if (standing.change == kUnknownChange) {
      lift_listed({{"verb", "revocations"}},
                  [&](std::uint32_t mark, const json::object&) { return mark == standing.mark; });
    } else if (setting_.plan.marks()[standing.mark].kind != MarkKind::kToken) {
      lift(standing.mark, standing.change);
    } else if (standing.change > 2) {
      // The rule of a token's bytes and, behind it, the one of what is signed. Another operator's may lie
      // between.
      lift_listed({{"verb", "revocations"}, {"after", standing.change - 3}, {"limit", 3}},
                  [&](std::uint32_t mark, const json::object&) { return mark == standing.mark; });
    }
    return true;
  }

  void lift(std::uint32_t mark, std::uint64_t change_number) {
    const auto answer = line_.ask({{"verb", "lift"}, {"change", change_number}});
    if (!answer || answer->had_no_effect()) return;
    changes_.append({.mark = mark,
                     .lifts = true,
                     .outcome = answer->outcome,
                     .start_ns = answer->start_ns,
                     .end_ns = answer->end_ns});
  }

  // Rules that nobody knows the number of: their revocation got no answer, or was merged with another.
  void sweep() {
    sweep_at_ns_ = monotonic_ns() + kSweepEveryNs;
    lift_listed({{"verb", "revocations"}}, [&](std::uint32_t mark, const json::object& rule) {
      const MarkKind kind = setting_.plan.marks()[mark].kind;
      const bool broad = kind == MarkKind::kClient || kind == MarkKind::kIssuer || kind == MarkKind::kKey ||
                         kind == MarkKind::kEverything;
      const std::int64_t age_ns = wall_ns() - rule.at("created_wall_ns").as_int64();
      return age_ns >= (broad ? kBroadSweptAfterNs : kSweptAfterNs);
    });
  }

  template <class Chosen>
  void lift_listed(const json::object& request, Chosen chosen) {
    const auto listed = line_.ask(request);
    if (!listed || !listed->done()) return;
    for (const json::value& each : listed->reply.at("rules").as_array()) {
      const json::object& rule = each.as_object();
      const auto mark = names_.mark_of(rule);
      if (mark && chosen(*mark, rule)) lift(*mark, rule.at("change").to_number<std::uint64_t>());
    }
  }

  void flush_all() { flush({{"verb", "flush"}}, EventKind::kFlushAll); }

  void flush_scoped() {
    const std::string number = std::to_string(below(random_, Plan::kSubjects));
    const std::size_t issuer = below(random_, Plan::kIssuers);
    json::object request{{"verb", "flush"}};
    switch (below(random_, 4)) {
      case 0: request["issuer"] = Plan::issuer_name(issuer); break;
      case 1: request["key"] = setting_.thumbprints.at(Plan::kid(issuer, below(random_, Plan::kKeys))); break;
      case 2: request["profile"] = Plan::profile(issuer); break;
      default: request["subject"] = "user-" + number;
    }
    flush(request, EventKind::kFlushScoped);
  }

  void flush(const json::object& request, EventKind kind) {
    const auto answer = line_.ask(request);
    if (answer && !answer->had_no_effect())
      events_.append({kind, answer->outcome, answer->start_ns, answer->end_ns});
  }

  void create_session() {
    const std::uint32_t slot = setting_.board.sessions_taken++;
    if (slot >= Plan::kSessions) return;
    const PlannedSession& planned = setting_.plan.session(slot);
    SessionSlot& made = setting_.board.sessions[slot];
    made.created_from_wall_ns = wall_ns();
    const auto answer = line_.ask({{"verb", "session_create"},
                                   {"profile", "sessions"},
                                   {"subject", planned.subject},
                                   {"client_id", planned.client}});
    if (!answer) return;
    events_.append({EventKind::kSessionCreate, answer->outcome, answer->start_ns, answer->end_ns});
    if (!answer->done()) return;
    made.created_until_wall_ns = wall_ns();
    const json::object& session = answer->reply.at("sessions").as_array().at(0).as_object();
    std::ranges::copy(session.at("token").as_string(), made.token.begin());
    std::ranges::copy(session.at("sid").as_string(), made.sid.begin());
    made.ready.store(true, std::memory_order_release);
  }

  const Setting& setting_;
  Random random_;
  SharedLog<Change>& changes_;
  SharedLog<Event>& events_;
  ControlLine line_;
  RuleNames names_;
  std::vector<Standing> standing_;
  std::array<std::uint64_t, std::size(kHabits)> chosen_{};
  std::uint64_t choices_ = 0;
  std::int64_t sweep_at_ns_ = 0;
  std::uint64_t logouts_ = 0;
};

}  // namespace

void run_operator(const Setting& setting, std::uint64_t seed, SharedLog<Change>& changes,
                  SharedLog<Event>& events) {
  OperatorRole(setting, seed, changes, events).work();
}

}  // namespace authcache_test
