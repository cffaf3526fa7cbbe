// What a run will hold in memory, from the configuration alone: --dry-run prints it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/model_config.h"
#include "rl/config.h"

namespace zeroth {

struct MemoryItem {
  std::string what;
  std::int64_t bytes = 0;
};

using MemoryPlan = std::vector<MemoryItem>;

/// Weights, gradients, moments, packings, activations of one micro-batch, and for GRPO the cache,
/// which max_num_seqs and max_cache_bytes bound. Prompts are taken at `prompt_tokens` each.
/// InputError when max_cache_bytes cannot hold such a prompt with one completion.
MemoryPlan plan_sft(const ModelConfig& model, const SftConfig& config);
MemoryPlan plan_grpo(const ModelConfig& model, const GrpoConfig& config,
                     std::int64_t prompt_tokens);

/// zeroth init: the weights.
MemoryPlan plan_init(const ModelConfig& model);

std::int64_t total_bytes(const MemoryPlan& plan);

/// InputError with the plan, naming `source`, when this machine has less memory available.
void require_memory(const MemoryPlan& plan, const std::string& source);

/// A line an item and the sum, in MiB.
std::string describe(const MemoryPlan& plan);

/// Bytes of activations that a training pass keeps for one token, all layers.
std::int64_t activation_bytes_per_token(const ModelConfig& model);

}  // namespace zeroth
