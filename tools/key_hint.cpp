#include "tools/key_hint.h"

#include <algorithm>
#include <array>

#include "system/nearest_name.h"

namespace zeroth {
namespace {

struct ForeignName {
  std::string_view name;
  std::string_view key;
  std::string_view toolkit;
};

// Names of the same notion elsewhere: verl's configuration (without its actor_rollout_ref. and
// algorithm. prefixes), OpenRLHF's flags, transformers' generation settings.
constexpr std::array kForeignNames = {
    ForeignName{"rollout.n", "num_generations", "verl"},
    ForeignName{"rollout.temperature", "temperature", "verl"},
    ForeignName{"rollout.max_num_seqs", "max_num_seqs", "verl"},
    ForeignName{"clip_ratio", "epsilon", "verl"},
    ForeignName{"clip_ratio_low", "epsilon", "verl"},
    ForeignName{"clip_ratio_high", "epsilon_high", "verl"},
    ForeignName{"kl_loss_coef", "beta", "verl"},
    ForeignName{"kl_coef", "beta", "verl"},
    ForeignName{"ppo_epochs", "num_iterations", "verl"},
    ForeignName{"max_response_length", "max_completion_length", "verl"},
    ForeignName{"loss_agg_mode", "loss_type", "verl"},
    ForeignName{"norm_adv_by_std_in_grpo", "scale_rewards", "verl"},
    ForeignName{"grad_clip", "max_grad_norm", "verl"},
    ForeignName{"total_training_steps", "max_steps", "verl"},
    ForeignName{"optim.lr", "learning_rate", "verl"},
    ForeignName{"n_samples_per_prompt", "num_generations", "OpenRLHF"},
    ForeignName{"rollout_batch_size", "num_prompts_per_step", "OpenRLHF"},
    ForeignName{"eps_clip", "epsilon", "OpenRLHF"},
    ForeignName{"eps_clip_low_high", "epsilon_high", "OpenRLHF"},
    ForeignName{"init_kl_coef", "beta", "OpenRLHF"},
    ForeignName{"generate_max_len", "max_completion_length", "OpenRLHF"},
    ForeignName{"actor_learning_rate", "learning_rate", "OpenRLHF"},
    ForeignName{"pretrain", "model_name_or_path", "OpenRLHF"},
    ForeignName{"prompt_data", "dataset_name", "OpenRLHF"},
    ForeignName{"save_path", "output_dir", "OpenRLHF"},
    ForeignName{"max_epochs", "num_iterations", "OpenRLHF"},
    ForeignName{"max_new_tokens", "max_completion_length", "transformers"},
    ForeignName{"num_return_sequences", "num_generations", "transformers"},
};

// verl nests its keys: a path matches by its end, "actor_rollout_ref.rollout.n" as "rollout.n".
bool ends_with_path(std::string_view path, std::string_view end) {
  if (!path.ends_with(end)) return false;
  return path.size() == end.size() || path[path.size() - end.size() - 1] == '.';
}

}  // namespace

std::string nearest_key(std::string_view unknown, const std::vector<Field>& fields) {
  std::vector<std::string> keys;
  for (const Field& field : fields) keys.push_back(field.key);
  for (const ForeignName& foreign : kForeignNames) {
    const bool known = std::find(keys.begin(), keys.end(), foreign.key) != keys.end();
    if (known && ends_with_path(unknown, foreign.name)) {
      return std::string(foreign.key) + " (" + std::string(foreign.name) + " in " +
             std::string(foreign.toolkit) + ")";
    }
  }
  return nearest_name(unknown, keys);
}

}  // namespace zeroth
