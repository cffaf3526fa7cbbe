// The workers a run's configuration names, as an engine.
#pragma once

#include <memory>

#include "policy/mesh/collectives.h"
#include "rl/config.h"
#include "rl/train_grpo.h"
#include "rollout/engine.h"

namespace zeroth {

/// The engine of this rank: the workers are dealt to the ranks, so that each samples for one
/// learner. InputError for fewer workers than ranks, a worker that is no address, a token or
/// certificate file that is wrong.
std::unique_ptr<Engine> connect_workers(const GrpoConfig& config, const Collectives& ranks,
                                        SamplingRun run);

}  // namespace zeroth
