// authctl upstreams
#include "tools/authctl/upstreams.hpp"

#include <cstdio>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/reply_text.hpp"
#include "tools/authctl/text_table.hpp"
#include "tools/authctl/units.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace json = boost::json;
namespace {

constexpr std::int64_t kNsPerUs = 1'000, kNsPerSecond = 1'000'000'000;

std::string or_dash(const json::object& object, std::string_view member) {
  return object.contains({member.data(), member.size()}) ? text_in(object, member) : "-";
}

double number_in(const json::object& object, std::string_view member) {
  const json::value* value = object.if_contains({member.data(), member.size()});
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

// The share of exchanges that needed no new connection.
std::string reuse_text(const json::object& http) {
  const double all = number_in(http, "exchanges");
  if (all <= 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%%", 100 * number_in(http, "reused") / all);
  return text;
}

std::string latency_text(const json::object& http, std::string_view percentile) {
  const auto us = static_cast<std::int64_t>(number_in(object_in(http, "latency_us"), percentile));
  return us <= 0 ? "-" : duration_text(us * kNsPerUs);
}

std::string age_text(const json::object& state, std::string_view member) {
  if (!state.contains({member.data(), member.size()})) return "-";
  return duration_text(static_cast<std::int64_t>(number_in(state, member)) * kNsPerSecond);
}

// Which of its answers is the last good one: a fetched key set is confirmed by its age, an endpoint by its last answer.
std::string last_good_text(const json::object& state) {
  return state.contains("age_s") ? age_text(state, "age_s") : age_text(state, "last_answer_age_s");
}

// A store over a network has one connection, and says how that is in place of a breaker.
std::vector<std::string> store_row(const std::string& profile, const std::string& kind, const json::object& state,
                                   const json::object& connection) {
  return {profile,
          kind,
          or_dash(state, "state"),
          "-",
          last_good_text(state),
          or_dash(connection, "questions"),
          "-",
          or_dash(connection, "connections"),
          latency_text(connection, "p50"),
          latency_text(connection, "p99"),
          or_dash(connection, "state")};
}

std::vector<std::string> row_of(const std::string& profile, const std::string& kind, const json::object& state) {
  if (const json::object& connection = object_in(state, "connection"); !connection.empty()) return store_row(profile, kind, state, connection);
  // Of an issuer's endpoints, or of a database's connections.
  const json::object& http = object_in(state, state.contains("http") ? "http" : "pool");
  return {profile,
          kind,
          or_dash(state, "state"),
          or_dash(state, "keys"),
          last_good_text(state),
          or_dash(http, "requests"),
          reuse_text(http),
          or_dash(http, "handshakes"),
          latency_text(http, "p50"),
          latency_text(http, "p99"),
          or_dash(object_in(http, "breaker"), "state")};
}

// "" if there was none.
std::string error_text(const json::object& state) {
  const std::string error = or_dash(state, "last_error");
  if (error == "-" || error.empty()) return or_dash(state, "error") == "-" ? "" : or_dash(state, "error");
  const bool over = state.contains("error") && or_dash(state, "error") == "-";
  const std::string age = age_text(state, "last_error_age_s");
  return error + (age == "-" ? "" : " (" + age + " ago" + (over ? ", over)" : ")"));
}

// "" while all is well.
std::string outage_text(const json::object& outage) {
  const std::string state = or_dash(outage, "state");
  if (state == "-" || state == "ok") return "";
  const std::string failing = "no answer for " + age_text(outage, "failing_for_s");
  if (state != "serving_stale") return failing + "; what is not known already is \"unavailable\"";
  return failing + "; records are served stale for " + age_text(outage, "stale_for_s") + " more at most";
}

}  // namespace

std::string upstreams_text(const json::object& reply) {
  TextTable table({{"PROFILE"},
                   {"KIND"},
                   {"STATE"},
                   {"KEYS", Align::kRight},
                   {"LAST GOOD", Align::kRight},
                   {"REQUESTS", Align::kRight},
                   {"REUSED", Align::kRight},
                   {"HANDSHAKES", Align::kRight},
                   {"P50", Align::kRight},
                   {"P99", Align::kRight},
                   {"BREAKER"}});
  std::string below;
  const auto add = [&](const std::string& profile, const std::string& kind, const json::object& state) {
    table.add_row(row_of(profile, kind, state));
    if (const std::string error = error_text(state); !error.empty()) below += profile + " " + kind + ": " + error + "\n";
  };
  for (const auto& value : array_in(reply, "upstreams")) {
    if (!value.is_object()) continue;
    const json::object& upstream = value.get_object();
    const json::object& state = object_in(upstream, "state");
    add(text_in(upstream, "profile"), text_in(upstream, "kind"), state);
    if (const std::string outage = outage_text(object_in(upstream, "outage")); !outage.empty()) {
      below += text_in(upstream, "profile") + ": " + outage + "\n";
    }
    // The keys that check an endpoint's signed answers.
    if (const json::object& keys = object_in(state, "key_set"); !keys.empty()) add(text_in(upstream, "profile"), "keys", keys);
  }
  if (table.empty()) return "no upstreams\n";
  return table.render() + (below.empty() ? "" : "\n" + below);
}

void declare_upstreams(Command command) {
  const auto probe = std::make_shared<bool>(false);
  command.flag("--probe", *probe, "ask each introspection endpoint and each Redis now, about a token that nobody has");
  command.action([probe](Call& call) {
    boost::json::object question = request("upstreams");
    if (*probe) question["probe"] = true;
    return answer(call, question, upstreams_text);
  });
}

}  // namespace authctl
