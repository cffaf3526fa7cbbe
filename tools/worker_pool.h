// The workers a run's configuration names, as an engine.
#pragma once

#include <memory>

#include "rl/config.h"
#include "rl/train_grpo.h"
#include "rollout/engine.h"

namespace zeroth {

/// InputError for a worker that is no address, a token or certificate file that is wrong.
std::unique_ptr<Engine> connect_workers(const GrpoConfig& config, SamplingRun run);

}  // namespace zeroth
