// Where a run stands: trainer_state.json of a checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "rl/run_settings.h"

namespace zeroth {

struct TrainerState {
  std::int64_t step = 0;          // optimizer steps done
  std::int64_t num_tokens = 0;    // tokens trained on
  std::string command;            // "sft" or "grpo"
  std::uint64_t seed = 0;         // of the run
  std::uint64_t num_updates = 0;  // optimizer updates done; several a step with num_iterations > 1
  bool evaluation_due = false;    // of this step, which a reward or a stop cut off
  RunSettings settings;           // what the numbers depend on; the caller's to compare
};

/// The text of trainer_state.json. std::invalid_argument for a negative step or num_tokens.
std::string write_trainer_state(const TrainerState& state);

/// Reads `directory`/trainer_state.json InputError naming the key that is missing, mistyped or
/// negative.
TrainerState read_trainer_state(const std::filesystem::path& directory);

}  // namespace zeroth
