// A student trained on a teacher's traces: the loop of zeroth distill's second stage.
#pragma once

#include <string>
#include <vector>

#include "rl/config.h"
#include "rl/learner.h"
#include "rl/training_run.h"

namespace zeroth {

struct DistillInputs {
  const std::vector<TrainingGroup>& traces;  // at least one
  std::string traces_sha256;                 // of the file they are read from
  /// The loss is (1 - kd_weight) of the traces' tokens and kd_weight of the divergence from the
  /// teacher's distributions over the whole vocabulary; no teacher is needed for 0.
  const PackedPolicy* teacher = nullptr;
  double kd_weight = 0.0;
  std::string teacher_sha256;
};

/// Trains from `config.model_name_or_path` in `config.output_dir`, or resumes.
RunResult train_distill(const Context& context, Collectives& ranks, const SftConfig& config,
                        const DistillInputs& inputs, TrainingHooks hooks);

}  // namespace zeroth
