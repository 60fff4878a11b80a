#include "bench/fleet/fleet_model.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <queue>
#include <random>
#include <utility>

namespace authcache_fleet {
namespace {

constexpr std::uint32_t kEntriesAtOnce = 64;         // RedisStream::kEntriesMax
constexpr std::uint32_t kRulesAPage = 40;            // of the copy
constexpr std::uint64_t kPatience_us = 3 * kSecond;  // RedisStream::kPatience_ns
constexpr std::uint64_t kPause_us = kSecond;         // between attempts to connect, half to all of it
constexpr std::uint64_t kSettle_us = 5 * kSecond;    // Fleet::kSettle_ns
constexpr std::uint32_t kNever = UINT32_MAX;

struct Rule {
  std::uint64_t acknowledged_us = 0;
  std::uint64_t told_us = 0;  // first taken by an engine; 0: not yet
  std::uint32_t host = 0;
};

enum class What : std::uint8_t {
  kRevoke,
  kPublish,
  kConnect,
  kLook,
  kRead,
  kWaited,
  kLooked,
  kAnswered,
  kDurable,
  kPage,
  kPaged,
  kLate
};

struct Event {
  std::uint64_t at;
  std::uint64_t number;  // ties by age, so that a run is the same everywhere
  What what;
  std::uint32_t host;
  std::uint32_t step;  // of the host: an event of an earlier one means nothing
  std::uint32_t value;
  bool operator>(const Event& other) const { return at != other.at ? at > other.at : number > other.number; }
};

struct Host {
  std::uint32_t heard = 0;        // entries of the log
  std::uint32_t target = kNever;  // of the last look
  std::uint32_t step = 0;
  std::uint32_t pages = 0;      // of the copy, still to come
  std::uint64_t looked_us = 0;  // when that look was sent
  std::uint64_t heard_until_us = 0;
  std::uint64_t back_us = 0;     // end of an outage that it has not made up for; 0: none
  std::uint64_t settled_us = 0;  // until then nothing counts as heard
  std::uint32_t engine = 0;      // that it heard last
  bool cut = false;
  bool waits = false;  // at the engine, for what comes
};

class Run {
 public:
  Run(const Settings& settings, const Scenario& scenario)
      : settings_(settings), scenario_(scenario), random_(settings.seed), hosts_(settings.hosts) {
    outcome_.timeline.resize(scenario.seconds);
  }

  Outcome go() {
    plan_revocations();
    for (std::uint32_t host = 0; host < settings_.hosts; ++host) push(What::kConnect, host, spread(kSecond));
    std::uint64_t next_second = kSecond;
    const std::uint64_t end = scenario_.seconds * kSecond;
    while (!events_.empty() && events_.top().at < end) {
      while (events_.top().at >= next_second) {
        close_second(next_second / kSecond - 1);
        next_second += kSecond;
      }
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      handle(event);
    }
    for (; next_second <= end; next_second += kSecond) close_second(next_second / kSecond - 1);
    for (const Host& host : hosts_) outcome_.unheard += log_.size() - host.heard;
    return std::move(outcome_);
  }

 private:
  std::uint64_t spread(std::uint64_t up_to) { return random_() % (up_to + 1); }
  std::uint64_t network() { return settings_.costs.network_us + spread(settings_.costs.network_us); }
  [[nodiscard]] static bool within(std::uint64_t at, std::uint64_t from_s, std::uint64_t to_s) {
    return at >= from_s * kSecond && at < to_s * kSecond;
  }
  [[nodiscard]] bool engine_up() const {
    return !within(now_, scenario_.failover_from, scenario_.failover_to);
  }
  [[nodiscard]] SecondOfRun& second() {
    return outcome_.timeline[std::min(now_ / kSecond, scenario_.seconds - 1)];
  }

  void push(What what, std::uint32_t host, std::uint64_t after, std::uint32_t value = 0) {
    events_.push({now_ + after, ++numbers_, what, host, hosts_[host].step, value});
  }
  // The engine's one thread takes commands as they come; how long from now until this one is through.
  std::uint64_t serve(std::uint64_t cost, std::uint64_t commands = 1) {
    free_at_ = std::max(free_at_, now_) + cost;
    second().busy_us += cost;
    second().commands += commands;
    return free_at_ - now_;
  }

  void plan_revocations() {
    double at = 0;
    while (at < static_cast<double>(scenario_.seconds * kSecond)) {
      const bool burst = within(static_cast<std::uint64_t>(at), scenario_.burst_from, scenario_.burst_to);
      const double rate = burst ? scenario_.burst_per_s : scenario_.calm_per_s;
      const double part = (static_cast<double>(random_() >> 11) + 1) * 0x1p-53;
      at += -std::log(part) / rate * static_cast<double>(kSecond);
      const auto host = static_cast<std::uint32_t>(random_() % settings_.hosts);
      events_.push({static_cast<std::uint64_t>(at), ++numbers_, What::kRevoke, host, kNever, 0});
    }
    for (const std::uint64_t at_s : {scenario_.cut_from, scenario_.cut_to, scenario_.failover_from,
                                     scenario_.failover_to, scenario_.restart_at}) {
      if (at_s > 0) events_.push({at_s * kSecond, 0, What::kLate, 0, kNever, 0});
    }
  }

  void handle(const Event& event) {
    if (event.what == What::kLate && event.step == kNever) return turn();
    if (event.what == What::kRevoke) return revoke(event.host);
    if (event.what == What::kPublish) return publish(event.host, event.value);
    if (event.step != hosts_[event.host].step) return;
    Host& host = hosts_[event.host];
    switch (event.what) {
      case What::kConnect: return connect(event.host);
      case What::kLook: return look(event.host);
      case What::kRead: return read(event.host);
      case What::kWaited: return next(event.host);
      case What::kLooked: {
        host.target = event.value;
        if (std::exchange(host.engine, engine_) != engine_)
          host.settled_us = now_ + std::min(kSettle_us, settings_.staleness_us);
        // A host that had more than the engine that took over goes back to where the two parted.
        host.heard = std::min(host.heard, event.value);
        confirm(host);
        return ask(event.host, What::kRead);
      }
      case What::kAnswered:
        return push(What::kDurable, event.host, settings_.costs.commit_us + spread(settings_.costs.commit_us),
                    event.value);
      case What::kDurable: return durable(event.host, event.value);
      case What::kPage: return answer(event.host, What::kPaged, serve(settings_.costs.copy_page_us), 0);
      case What::kPaged: return paged(event.host);
      case What::kLate: return lose(event.host);
      default: return;
    }
  }

  // What the scenario does at this moment.
  void turn() {
    if (within(now_, scenario_.cut_from, scenario_.cut_to) != cut_) {
      cut_ = !cut_;
      const auto cut_hosts = static_cast<std::uint32_t>(scenario_.cut_part * settings_.hosts);
      for (std::uint32_t host = 0; host < cut_hosts; ++host) {
        hosts_[host].cut = cut_;
        if (!cut_) hosts_[host].back_us = now_;
      }
    }
    if (scenario_.failover_to > 0 && now_ == scenario_.failover_to * kSecond) take_over();
    if (scenario_.restart_at > 0 && now_ == scenario_.restart_at * kSecond) {
      const auto restarted = static_cast<std::uint32_t>(scenario_.restart_part * settings_.hosts);
      for (std::uint32_t i = 0; i < restarted; ++i) {
        Host& host = hosts_[i];
        ++host.step;
        host.waits = false;
        host.back_us = now_;
        host.heard_until_us = 0;
        host.pages = (settings_.rules + kRulesAPage - 1) / kRulesAPage;
        push(What::kConnect, i, spread(kSecond));
      }
    }
  }

  void take_over() {
    ++engine_;
    free_at_ = now_;
    for (Host& host : hosts_) {
      host.waits = false;
      host.back_us = now_;
    }
    const std::uint64_t kept_until = scenario_.failover_from * kSecond - scenario_.failover_lost_us;
    while (!log_.empty() && rules_[log_.back()].told_us > kept_until) {
      // Its host puts it back once it knows: a pause, and a look.
      ++outcome_.told_twice;
      push(What::kPublish, rules_[log_.back()].host, kPause_us + spread(kPause_us), log_.back());
      log_.pop_back();
    }
  }

  void revoke(std::uint32_t host) {
    ++outcome_.revocations;
    rules_.push_back({now_, 0, host});
    push(What::kPublish, host, network(), static_cast<std::uint32_t>(rules_.size() - 1));
  }

  void publish(std::uint32_t from, std::uint32_t rule) {
    if (hosts_[from].cut || !engine_up())
      return push(What::kPublish, from, kPause_us / 2, rule);  // it stays in the outbox
    const std::uint64_t through = serve(settings_.costs.publish_us);
    if (rules_[rule].told_us == 0) rules_[rule].told_us = now_ + through;
    log_.push_back(rule);
    for (const std::uint32_t each : waiting_) {
      Host& host = hosts_[each];
      if (!std::exchange(host.waits, false)) continue;
      ++host.step;
      answer(each, What::kAnswered, serve(settings_.costs.read_us + settings_.costs.entry_us), 1);
    }
    waiting_.clear();
  }

  // A question on its way; whoever hears nothing gives the connection up.
  void ask(std::uint32_t who, What what) {
    Host& host = hosts_[who];
    ++host.step;
    push(What::kLate, who, settings_.look_every_us + kPatience_us);
    if (!host.cut && engine_up()) push(what, who, network());
  }
  void answer(std::uint32_t who, What what, std::uint64_t after, std::uint32_t value) {
    if (hosts_[who].cut) return push(What::kLate, who, kPatience_us);
    push(what, who, after + network(), value);
  }
  void lose(std::uint32_t who) {
    hosts_[who].waits = false;
    connect(who);
  }
  void connect(std::uint32_t who) {
    Host& host = hosts_[who];
    ++host.step;
    if (host.cut || !engine_up()) return push(What::kConnect, who, kPause_us / 2 + spread(kPause_us / 2));
    serve(settings_.costs.connect_us);
    host.looked_us = now_;
    ask(who, What::kLook);
  }
  void look(std::uint32_t who) {
    if (!engine_up()) return;
    answer(who, What::kLooked, serve(settings_.costs.look_us), static_cast<std::uint32_t>(log_.size()));
  }
  void read(std::uint32_t who) {
    if (!engine_up()) return;
    Host& host = hosts_[who];
    if (host.pages > 0) return push(What::kPage, who, 0);
    const auto unread = static_cast<std::uint32_t>(log_.size()) - host.heard;
    if (unread > 0) {
      const std::uint32_t told = std::min(unread, kEntriesAtOnce);
      return answer(who, What::kAnswered, serve(settings_.costs.read_us + told * settings_.costs.entry_us),
                    told);
    }
    host.waits = true;
    waiting_.push_back(who);
    const std::uint64_t due = host.looked_us + settings_.look_every_us;
    push(What::kWaited, who, due > now_ ? due - now_ : kMillisecond);
  }
  void paged(std::uint32_t who) {
    Host& host = hosts_[who];
    ++outcome_.copy_pages;
    if (--host.pages > 0) return ask(who, What::kPage);
    host.heard = host.target;  // the copy has what the log had when it was looked at
    next(who);
  }
  void durable(std::uint32_t who, std::uint32_t told) {
    Host& host = hosts_[who];
    for (std::uint32_t i = 0; i < told && host.heard < log_.size(); ++i, ++host.heard) {
      const Rule& rule = rules_[log_[host.heard]];
      if (rule.host == who) continue;
      const std::uint64_t lag = now_ - rule.acknowledged_us;
      outcome_.lag.add(lag);
      second().lag.add(lag);
      if (host.back_us == 0 && !host.cut) outcome_.lag_in_reach.add(now_ - std::min(now_, rule.told_us));
      // How long it served without this rule, which an engine had.
      const std::uint64_t served_until = std::min(now_, host.heard_until_us + settings_.staleness_us);
      if (served_until > rule.told_us + settings_.staleness_us) ++outcome_.overdue;
    }
    confirm(host);
    next(who);
  }
  void confirm(Host& host) {
    if (host.target == kNever || host.heard < host.target || host.pages > 0) return;
    host.target = kNever;
    if (now_ < host.settled_us) return;
    host.heard_until_us = host.looked_us;
    if (host.back_us > 0 && host.heard_until_us >= host.back_us)
      outcome_.catch_up.add(now_ - std::exchange(host.back_us, 0));
  }
  void next(std::uint32_t who) {
    Host& host = hosts_[who];
    host.waits = false;
    if (now_ - host.looked_us < settings_.look_every_us) return ask(who, What::kRead);
    host.looked_us = now_;
    ask(who, What::kLook);
  }
  void close_second(std::uint64_t index) {
    const std::uint64_t end = (index + 1) * kSecond;
    std::uint32_t unavailable = 0;
    for (const Host& host : hosts_)
      unavailable += host.heard_until_us + settings_.staleness_us < end || host.pages > 0;
    outcome_.timeline[index].unavailable = unavailable;
    outcome_.unavailable_host_seconds += unavailable;
  }

  const Settings settings_;
  const Scenario scenario_;
  std::mt19937_64 random_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Host> hosts_;
  std::vector<Rule> rules_;
  std::vector<std::uint32_t> log_;  // of rules, by their index
  std::vector<std::uint32_t> waiting_;
  std::uint64_t now_ = 0, numbers_ = 0, free_at_ = 0;
  std::uint32_t engine_ = 0;
  bool cut_ = false;
  Outcome outcome_;
};

}  // namespace

void Histogram::add(std::uint64_t value, std::uint64_t times) {
  const unsigned power = value < 32 ? 5 : static_cast<unsigned>(std::bit_width(value)) - 1;
  const std::uint64_t step = value < 32 ? value : (value >> (power - 5)) - 32;
  counts_[value < 32 ? step : (power - 4) * 32 + step] += times;
  count_ += times;
  greatest_ = std::max(greatest_, value);
}

std::uint64_t Histogram::percentile(double part) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen < wanted || seen == 0) continue;
    return i < 32 ? i : std::min(greatest_, ((32 + i % 32 + 1) << (i / 32 - 1)) - 1);
  }
  return greatest_;
}

Outcome simulate(const Settings& settings, const Scenario& scenario) { return Run(settings, scenario).go(); }

}  // namespace authcache_fleet
