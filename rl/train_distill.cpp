#include "rl/train_distill.h"

#include <stdexcept>

#include "rl/train_sft.h"
#include "rl/training_options.h"

namespace zeroth {

RunResult train_distill(const Context& context, Collectives& ranks, const SftConfig& config,
                        const DistillInputs& inputs, TrainingHooks hooks) {
  if (inputs.traces.empty()) throw std::invalid_argument("train_distill: no traces");
  TrainedPolicy policy(context, config.model_name_or_path, parse_dtype(config.dtype),
                       parse_mla_prefix(config.mla_prefix));
  return train_examples(context, ranks, config,
                        {.command = "distill",
                         .settings = {{"traces_sha256", inputs.traces_sha256}},
                         .make = [&](const TrainingRun&) { return inputs.traces; }},
                        policy, std::move(hooks));
}

}  // namespace zeroth
