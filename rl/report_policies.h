// What a report shows of evaluated policies: the numbers of an evaluation and of the model.
#pragma once

#include <boost/json/array.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "rl/metrics.h"
#include "rl/report_config.h"

namespace zeroth {

/// One row for each entry of `directory`/summary.json that holds an evaluation. InputError for one
/// that cannot be read.
void add_summary(const std::filesystem::path& directory, const std::string& run,
                 boost::json::array& policies);

/// The first and the last evaluation of a run that has no summary.
void add_evaluations(const std::vector<MetricsLine>& lines, const std::string& run,
                     const std::optional<NewestCheckpoint>& newest, boost::json::array& policies);

}  // namespace zeroth
