#include "tools/memory_plan.h"

#include <algorithm>
#include <cstdio>

#include "policy/cache.h"
#include "policy/weights.h"
#include "rollout/local_engine.h"
#include "system/error.h"
#include "system/memory.h"

namespace zeroth {
namespace {

constexpr std::int64_t kFloat = 4;

std::int64_t attention_floats(const AttentionConfig& a) {
  if (a.kind == AttentionKind::gqa) {
    const std::int64_t normed =
        (a.num_heads + a.num_kv_heads) * (a.head_dim + 1);  // q_raw, k and their rstd
    return 2 * a.num_heads * a.head_dim + 2 * a.num_kv_heads * a.head_dim + 2 * a.num_heads +
           (a.qk_norm ? normed : 0);
  }
  const std::int64_t latent = a.kv_lora_rank + a.qk_rope_head_dim;
  const std::int64_t expanded = a.num_heads * (a.qk_nope_head_dim + 2 * a.v_head_dim);
  return 2 * a.q_lora_rank + a.num_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim) + 2 * latent +
         a.num_heads * (latent + a.kv_lora_rank + a.v_head_dim) + 2 * a.num_heads +
         (a.mla_prefix == MlaPrefix::expanded ? expanded : 0);
}

std::int64_t ffn_floats(const FfnConfig& f, std::int64_t hidden) {
  if (f.kind == FfnKind::dense) return 3 * f.intermediate_size;
  const std::int64_t slot = 2 * hidden + 3 * f.intermediate_size;
  return f.num_experts_per_tok * slot + 3 * f.num_shared_experts * f.intermediate_size +
         2 * f.num_experts + hidden;
}

std::string in_mib(std::int64_t bytes) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / 1048576.0);
  return text;
}

// The head's backward pass holds the logits of as many tokens as fit into about a million, and of
// one completion at least.
std::int64_t logits_bytes(const ModelConfig& model, std::int64_t longest_completion) {
  return std::max(std::int64_t{1} << 20, longest_completion * model.vocab_size) * kFloat;
}

MemoryPlan plan_training(const ModelConfig& model, const TrainingOptions& options,
                         std::int64_t prompt_tokens, std::int64_t longest_completion) {
  const std::int64_t bytes = count_parameters(model).floats * kFloat;
  const std::int64_t packed = options.dtype == "bfloat16" ? bytes / 2 : bytes;
  // A backward pass needs about as much scratch for one layer as the layer keeps.
  const std::int64_t tokens = options.micro_batch_tokens + prompt_tokens;
  const std::int64_t activations = activation_bytes_per_token(model) * tokens;
  const std::int64_t tied =
      model.tie_word_embeddings ? model.vocab_size * model.hidden_size * kFloat : 0;
  const auto modules = static_cast<std::int64_t>(model.mtp.size());
  return {
      {"weights, fp32", bytes},
      {options.exact_ranks ? "gradients, fp32 and in fixed point" : "gradients, fp32",
       bytes * (1 + modules) + tied + (options.exact_ranks ? 2 * bytes : 0)},
      {"AdamW moments, fp32", 2 * bytes},
      {"packed weights, forward and backward, " + options.dtype, 2 * packed},
      {"activations of " + std::to_string(tokens) + " tokens", activations},
      {"scratch of the backward pass",
       activations / std::max<std::int64_t>(1, static_cast<std::int64_t>(model.layers.size()))},
      {"logits of one completion of " + std::to_string(longest_completion) + " tokens, or a block",
       logits_bytes(model, longest_completion)}};
}

// Of this process; none where workers sample.
MemoryItem plan_cache(const ModelConfig& model, const GrpoConfig& config,
                      std::int64_t prompt_tokens) {
  if (!config.workers.empty()) return {};
  const GenerateRequest request{
      .prompt = std::vector<std::int32_t>(static_cast<std::size_t>(prompt_tokens)),
      .num_generations = config.num_generations};
  const std::vector<GenerateRequest> requests(static_cast<std::size_t>(config.num_prompts_per_step),
                                              request);
  const SamplingParams sampling{.max_new_tokens = config.max_completion_length};
  check_cache_bytes("grpo", config.max_cache_bytes, model, config.page_size, requests, sampling);
  const std::int64_t enough =
      bytes_of(enough_pages(requests, sampling, config.max_num_seqs, config.page_size), model,
               config.page_size);
  if (config.max_cache_bytes > 0 && config.max_cache_bytes < enough) {
    return {"cache, max_cache_bytes; it would take " + in_mib(enough) +
                " MiB for no completion to wait",
            config.max_cache_bytes};
  }
  const std::int64_t sequences =
      std::min(config.max_num_seqs, config.num_prompts_per_step * config.num_generations);
  return {"cache of " + std::to_string(sequences) + " sequences", enough};
}

}  // namespace

std::int64_t activation_bytes_per_token(const ModelConfig& model) {
  std::int64_t floats = model.hidden_size;
  for (const LayerConfig& layer : model.layers) {
    floats += 4 * model.hidden_size + attention_floats(layer.attention) +
              ffn_floats(layer.ffn, model.hidden_size);
  }
  if (!model.mtp.empty()) {
    const LayerConfig& layer = model.layers.back();
    const std::int64_t module = 10 * model.hidden_size + attention_floats(layer.attention) +
                                ffn_floats(layer.ffn, model.hidden_size);
    floats += static_cast<std::int64_t>(model.mtp.size()) * module;
  }
  return floats * kFloat +
         2 * std::max(cache_bytes_per_token(model), prompt_cache_bytes_per_token(model));
}

MemoryPlan plan_sft(const ModelConfig& model, const SftConfig& config) {
  return plan_training(model, config, config.per_device_train_batch_size * config.max_length / 2,
                       config.max_length);
}

MemoryPlan plan_grpo(const ModelConfig& model, const GrpoConfig& config,
                     std::int64_t prompt_tokens) {
  MemoryPlan plan = plan_training(model, config, config.num_prompts_per_step * prompt_tokens,
                                  config.max_completion_length);
  const MemoryItem cache = plan_cache(model, config, prompt_tokens);
  if (cache.bytes > 0) plan.push_back(cache);
  if (config.beta > 0.0)
    plan.push_back({"reference policy, weights and packing", 2 * plan[0].bytes});
  return plan;
}

MemoryPlan plan_init(const ModelConfig& model) {
  return {{"weights, fp32", count_parameters(model).floats * kFloat}};
}

std::int64_t total_bytes(const MemoryPlan& plan) {
  std::int64_t total = 0;
  for (const MemoryItem& item : plan) total += item.bytes;
  return total;
}

void require_memory(const MemoryPlan& plan, const std::string& source) {
  const std::int64_t available = available_memory_bytes();
  if (total_bytes(plan) <= available) return;
  std::string items;
  for (const MemoryItem& item : plan)
    items += (items.empty() ? "" : "; ") + item.what + ": " + in_mib(item.bytes) + " MiB";
  throw InputError({.source = source,
                    .field = "",
                    .expected = "at most the " + in_mib(available) + " MiB of memory available",
                    .actual = in_mib(total_bytes(plan)) + " MiB (" + items + ")"});
}

std::string describe(const MemoryPlan& plan) {
  std::string text;
  char line[160];
  for (const MemoryItem& item : plan) {
    std::snprintf(line, sizeof line, "%12.1f MiB  %s\n",
                  static_cast<double>(item.bytes) / 1048576.0, item.what.c_str());
    text += line;
  }
  std::snprintf(line, sizeof line, "%12.1f MiB  in all\n",
                static_cast<double>(total_bytes(plan)) / 1048576.0);
  return text + line;
}

}  // namespace zeroth
