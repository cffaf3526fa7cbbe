// An evaluation as a table row and as JSON.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "rl/evaluate.h"
#include "system/json.h"

namespace zeroth {

std::string evaluation_header();
std::string evaluation_row(const std::string& name, const Evaluation& evaluation);

/// pass_at_1, ci95, greedy, maj_at_<n>, pass_at_<n>, format_rate, mean_length, problems, seconds.
boost::json::object evaluation_json(const Evaluation& evaluation);

/// All of an evaluation; and back. InputError naming the key.
boost::json::object evaluation_record(const Evaluation& evaluation);
Evaluation read_evaluation_record(const JsonReader& json);

}  // namespace zeroth
