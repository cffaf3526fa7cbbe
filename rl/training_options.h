// The words and numbers of a training configuration as the types that the parts of a run take.
#pragma once

#include "policy/packed_policy.h"
#include "rl/config.h"
#include "rl/schedule.h"
#include "rl/trained_policy.h"

namespace zeroth {

/// std::invalid_argument for a word that check(config) would have refused.
Dtype parse_dtype(const std::string& text);
MlaPrefix parse_mla_prefix(const std::string& text);

ScheduleConfig schedule_of(const TrainingOptions& options);
AdamwOptions adamw_of(const TrainingOptions& options);

}  // namespace zeroth
