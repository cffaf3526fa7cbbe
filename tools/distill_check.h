// What has to hold before a distillation samples anything: what is wrong with the last stage's
// input is said before the first stage has taken hours.
#pragma once

#include <filesystem>
#include <string>

#include "policy/model_config.h"
#include "tools/distill_data.h"
#include "tools/distill_options.h"

namespace zeroth {

/// What the student begins as: the checkpoint that `options` names, or its architecture for the
/// teacher's vocabulary. InputError as initial_student_config, naming the key `student`.
ModelConfig student_config(const DistillOptions& options, const ModelConfig& teacher);

/// InputError for teacher, base or student: where it is in a directory that the run writes anew, is
/// not whole, or leaves no room for a prompt and its completion; and where a student's checkpoint
/// does not understand the teacher's token ids as the teacher does. Reads all weights and keeps
/// none.
void check_models(const DistillOptions& options, const DistillData& data);

}  // namespace zeroth
