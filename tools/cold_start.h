// The quickstart's base model: taught a method, then taught to use it seldom.
//
// Phase one shows mostly careful work until the calibration split says that the method is known.
// Phase two shows mostly bad habits until pass@1 and greedy on the calibration split are those of a
// weak base model. Both end by the rule, not by a count of steps.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "datasets/random_stream.h"
#include "datasets/sums.h"
#include "kernels/context.h"
#include "rl/evaluate.h"
#include "tools/quickstart_settings.h"

namespace zeroth {

struct ColdStartResult {
  std::int64_t skill_steps = 0;
  std::int64_t habit_steps = 0;
  std::int64_t trained_tokens = 0;
  double careful = 0.0;    // share of careful traces at the end
  Evaluation calibration;  // that met the rule
};

struct ColdStartHooks {
  std::function<void(const std::string&)> note;
  std::function<void()> check_stop;  // called between steps and passes; throws to give it up
};

/// Trains the checkpoint in `from` and writes the base to `to`. std::runtime_error when the rule is
/// not met within the settings' limits, with the last figures.
ColdStartResult cold_start(const Context& context, const QuickstartConfig& config,
                           const ColdStartSettings& settings, const ColdStartRule& rule,
                           const SumsTask& task, const std::filesystem::path& from,
                           const std::filesystem::path& to, const ColdStartHooks& hooks);

}  // namespace zeroth
