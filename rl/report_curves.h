// What a report shows of metrics.jsonl: its curves, and what is said of all lines.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <vector>

#include "rl/metrics.h"

namespace zeroth {

/// Adds `lines` and `curves` (rl/report_data.h) to `run`, each curve with at most about
/// `max_points`, its extremes among them.
void add_curves(const std::vector<MetricsLine>& lines, std::size_t max_points,
                boost::json::object& run);

/// How far the sampler and the learner were apart, over every line that says; null when none does.
boost::json::value one_numerics(const std::vector<MetricsLine>& lines);

/// Seconds of each part of a step, summed as TrainingClock does.
boost::json::object seconds_of(const std::vector<MetricsLine>& lines);

}  // namespace zeroth
