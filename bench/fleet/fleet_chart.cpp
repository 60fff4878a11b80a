#include "bench/fleet/fleet_chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace authcache_fleet {
namespace {

constexpr double kWidth = 860, kLeft = 70, kRight = 20, kTop = 46, kPlot = 200, kGap = 54;
constexpr double kLagPowers = 6;  // from 1 ms to 1000 s

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

std::string label(double x, double y, const char* anchor, int size, const std::string& words) {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" fill=\"#222\">", x, y,
                anchor, size) +
         words + "</text>\n";
}

double x_of(const Outcome& outcome, double second) {
  return kLeft + (kWidth - kLeft - kRight) * second / static_cast<double>(outcome.timeline.size());
}
double y_of_lag(double us) {
  const double power = std::clamp(std::log10(std::max(us, 1'000.0) / 1'000.0), 0.0, kLagPowers);
  return kTop + kPlot * (1 - power / kLagPowers);
}

std::string lag_line(const Outcome& outcome, double part, const char* colour) {
  std::string points;
  for (std::size_t i = 0; i < outcome.timeline.size(); ++i) {
    const Histogram& lag = outcome.timeline[i].lag;
    if (lag.count() == 0) continue;
    points += format("%.1f,%.1f ", x_of(outcome, static_cast<double>(i) + 0.5),
                     y_of_lag(static_cast<double>(lag.percentile(part))));
  }
  return format("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" points=\"", colour) + points +
         "\"/>\n";
}

}  // namespace

std::string draw(const Settings& settings, const Scenario& scenario, const Outcome& outcome) {
  const double low_top = kTop + kPlot + kGap, height = low_top + kPlot / 2 + 40;
  std::string out = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
      "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
      kWidth, height, kWidth, height);
  out += label(16, 24, "start", 15,
               scenario.name + ": " + std::to_string(settings.hosts) + " hosts, seed " +
                   std::to_string(settings.seed));
  constexpr const char* kMarks[] = {"1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s", "1000 s"};
  for (int power = 0; power <= static_cast<int>(kLagPowers); ++power) {
    const double y = y_of_lag(1'000 * std::pow(10, power));
    out += format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", kLeft, y,
                  kWidth - kRight, y);
    out += label(kLeft - 6, y + 4, "end", 11, kMarks[power]);
  }
  out += lag_line(outcome, 0.5, "#2f6f4f") + lag_line(outcome, 0.99, "#b5651d") +
         lag_line(outcome, 1, "#9aa5b1");
  out += label(kLeft, kTop + kPlot + 18, "start", 11,
               "lag until durable on another host: p50 green, p99 brown, greatest grey");
  for (std::size_t i = 0; i < outcome.timeline.size(); ++i) {
    const double tall = kPlot / 2 * outcome.timeline[i].unavailable / std::max(settings.hosts, 1U);
    const double busy =
        kPlot / 2 *
        std::min(1.0, static_cast<double>(outcome.timeline[i].busy_us) / static_cast<double>(kSecond));
    const double x = x_of(outcome, static_cast<double>(i)),
                 wide = x_of(outcome, static_cast<double>(i) + 1) - x;
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#9aa5b1\"/>\n", x,
                  low_top + kPlot / 2 - busy, wide * 0.45, busy);
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#a33\"/>\n",
                  x + wide / 2, low_top + kPlot / 2 - tall, wide * 0.45, tall);
  }
  out += label(kLeft - 6, low_top + 10, "end", 11, "100 %") +
         label(kLeft - 6, low_top + kPlot / 2, "end", 11, "0");
  out +=
      label(kLeft, low_top + kPlot / 2 + 18, "start", 11,
            "each second of the run: the engine's one core in use, grey; hosts that answer unavailable, red");
  return out + "</svg>\n";
}

}  // namespace authcache_fleet
