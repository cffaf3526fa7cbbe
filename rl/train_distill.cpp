#include "rl/train_distill.h"

#include <stdexcept>

#include "rl/train_sft.h"
#include "rl/training_options.h"
#include "system/json.h"

namespace zeroth {

RunResult train_distill(const Context& context, Collectives& ranks, const SftConfig& config,
                        const DistillInputs& inputs, TrainingHooks hooks) {
  if (inputs.traces.empty()) throw std::invalid_argument("train_distill: no traces");
  TrainedPolicy policy(context, config.model_name_or_path, parse_dtype(config.dtype),
                       parse_mla_prefix(config.mla_prefix));
  RunSettings settings = {{"traces_sha256", inputs.traces_sha256}};
  if (inputs.kd_weight > 0.0) {
    settings.emplace_back("kd_weight", json_number(inputs.kd_weight));
    settings.emplace_back("teacher_sha256", inputs.teacher_sha256);
  }
  return train_examples(context, ranks, config,
                        {.command = "distill",
                         .settings = std::move(settings),
                         .make = [&](const TrainingRun&) { return inputs.traces; },
                         .teacher = inputs.teacher,
                         .kd_weight = inputs.kd_weight},
                        policy, std::move(hooks));
}

}  // namespace zeroth
