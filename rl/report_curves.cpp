#include "rl/report_curves.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "rl/number_or_null.h"
#include "rl/thinning.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Metrics that are drawn together share their points.
std::string group_of(const std::string& name) {
  const auto starts = [&](std::string_view start) { return name.starts_with(start); };
  if (starts("eval/")) return "eval";
  if (starts("time/") || name == "step_time") return "time";
  if (name == "reward_std") return "reward";
  if (starts("rewards/")) return name.substr(0, name.rfind('/'));
  for (const std::string_view kind : {"mean", "min", "max"}) {
    if (name == "completions/" + std::string(kind) + "_length") return "length";
  }
  return name;
}

// Curves over the same lines; NaN where a line lacks one of them.
struct CurveGroup {
  std::vector<std::string> names;
  std::vector<std::size_t> lines;
  std::vector<std::vector<double>> values;  // by name
};

std::vector<CurveGroup> curve_groups(const std::vector<MetricsLine>& lines) {
  std::vector<CurveGroup> groups;
  std::map<std::string, std::pair<std::size_t, std::size_t>> place;  // name -> group, curve
  std::map<std::string, std::size_t> group_at;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const Metric& metric : lines[i].metrics) {
      auto found = place.find(metric.name);
      if (found == place.end()) {
        const auto at = group_at.emplace(group_of(metric.name), groups.size()).first->second;
        if (at == groups.size()) groups.emplace_back();
        found = place.emplace(metric.name, std::pair(at, groups[at].names.size())).first;
        groups[at].names.push_back(metric.name);
        groups[at].values.emplace_back(groups[at].lines.size(), kNaN);
      }
      CurveGroup& group = groups[found->second.first];
      if (group.lines.empty() || group.lines.back() != i) {
        group.lines.push_back(i);
        for (std::vector<double>& values : group.values) values.push_back(kNaN);
      }
      group.values[found->second.second].back() = metric.value;
    }
  }
  return groups;
}

// Fills what is NaN by a straight line over the steps between its neighbours; after the last, with
// the last.
void interpolate(const std::vector<MetricsLine>& lines, std::vector<double>& values) {
  std::size_t before = 0;  // known; the first always is
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    for (std::size_t k = before + 1; k < i; ++k) {
      const auto share = static_cast<double>(lines[k].step - lines[before].step) /
                         static_cast<double>(lines[i].step - lines[before].step);
      values[k] = values[before] + share * (values[i] - values[before]);
    }
    before = i;
  }
  std::fill(values.begin() + static_cast<std::ptrdiff_t>(before) + 1, values.end(), values[before]);
}

// What a curve can be drawn against, by line.
struct Axes {
  std::vector<double> tokens, seconds;
};

Axes axes_of(const std::vector<MetricsLine>& lines) {
  Axes axes;
  TrainingClock clock;
  for (const MetricsLine& line : lines) {
    double tokens = kNaN;
    bool timed = false;
    for (const Metric& metric : line.metrics) {
      if (metric.name == "num_tokens") tokens = metric.value;
      if (metric.name == "step_time") timed = true;
    }
    const double seconds = clock.after(line.step, line.metrics);
    axes.tokens.push_back(tokens);
    axes.seconds.push_back(timed ? seconds : kNaN);
  }
  for (std::vector<double>* values : {&axes.tokens, &axes.seconds}) {
    if (std::isnan(values->front())) values->front() = 0.0;
    interpolate(lines, *values);
  }
  return axes;
}

}  // namespace

void add_curves(const std::vector<MetricsLine>& lines, std::size_t max_points, json::object& run) {
  struct Kept {
    CurveGroup group;
    std::vector<std::size_t> points;
  };
  std::vector<Kept> kept;
  std::set<std::size_t> used;
  for (CurveGroup& group : curve_groups(lines)) {
    const std::size_t least = 2 + 2 * group.values.size();
    std::vector<std::size_t> points = thinned(group.values, std::max(max_points, least));
    for (const std::size_t point : points) used.insert(group.lines[point]);
    kept.push_back({std::move(group), std::move(points)});
  }
  std::map<std::size_t, std::size_t> index;  // of a line among those that are used
  json::array steps, tokens, seconds;
  const Axes axes = axes_of(lines);
  for (const std::size_t line : used) {
    index.emplace(line, index.size());
    steps.emplace_back(lines[line].step);
    tokens.emplace_back(std::llround(axes.tokens[line]));
    seconds.emplace_back(std::round(axes.seconds[line] * 1000) / 1000);
  }
  json::array curves;
  for (const Kept& part : kept) {
    json::array at;
    for (const std::size_t point : part.points) at.emplace_back(index.at(part.group.lines[point]));
    json::object values;
    for (std::size_t c = 0; c < part.group.names.size(); ++c) {
      json::array numbers;
      for (const std::size_t point : part.points)
        numbers.push_back(number_or_null(part.group.values[c][point]));
      values[part.group.names[c]] = std::move(numbers);
    }
    curves.push_back(json::object{{"at", std::move(at)}, {"values", std::move(values)}});
  }
  run["lines"] = {
      {"step", std::move(steps)}, {"tokens", std::move(tokens)}, {"seconds", std::move(seconds)}};
  run["curves"] = std::move(curves);
}

json::value one_numerics(const std::vector<MetricsLine>& lines) {
  std::int64_t compared = 0;
  double largest = 0.0;
  double disagreements = 0.0;
  for (const MetricsLine& line : lines) {
    for (const Metric& metric : line.metrics) {
      if (metric.name == "sampling/sampling_logp_difference/max") {
        ++compared;
        // A difference that is no number is not 0, whatever the others are.
        const bool known = !std::isnan(metric.value) && !std::isnan(largest);
        largest = known ? std::max(metric.value, largest) : kNaN;
      }
      if (metric.name == "routing_disagreements") disagreements += metric.value;
    }
  }
  if (compared == 0) return nullptr;
  return json::object{{"lines", compared},
                      {"largest_difference", number_or_null(largest)},
                      {"routing_disagreements", number_or_null(disagreements)}};
}

json::object seconds_of(const std::vector<MetricsLine>& lines) {
  json::object seconds;
  std::int64_t timed_step = 0;
  for (const MetricsLine& line : lines) {
    const auto steps = static_cast<double>(line.step - timed_step);
    for (const Metric& metric : line.metrics) {
      if (group_of(metric.name) != "time" || !std::isfinite(metric.value)) continue;
      json::value& total = seconds[metric.name];
      total = (total.is_null() ? 0.0 : total.as_double()) + metric.value * steps;
      timed_step = line.step;
    }
  }
  return seconds;
}

}  // namespace zeroth
