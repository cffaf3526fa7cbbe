#include "rl/sft_trainer.h"

#include <chrono>

#include "rl/losses/sft.h"

namespace zeroth {

SftTrainer::SftTrainer(const Context& context, TrainedPolicy& policy,
                       std::int64_t micro_batch_tokens, double router_bias_update_speed)
    : policy_(policy),
      learner_(context, policy.packed(), {.micro_batch_tokens = micro_batch_tokens}),
      router_bias_update_speed_(router_bias_update_speed) {}

std::vector<Metric> SftTrainer::step(std::span<const TrainingGroup> examples, double learning_rate,
                                     const AdamwOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::int64_t completion_tokens = 0;
  for (const TrainingGroup& example : examples) {
    num_tokens_ += static_cast<std::int64_t>(example.prompt.size());
    for (const auto& tokens : example.completions)
      completion_tokens += static_cast<std::int64_t>(tokens.size());
  }
  num_tokens_ += completion_tokens;
  policy_.clear_gradients();
  const BatchForward forward = learner_.train(
      examples,
      [&](const ChunkOfCompletions& chunk) {
        return sft_loss({.logprobs = chunk.logprobs,
                         .offsets = chunk.offsets,
                         .num_tokens = completion_tokens});
      },
      policy_.gradients());
  const double norm = policy_.update(learning_rate, options);
  if (router_bias_update_speed_ > 0.0)
    policy_.balance_experts(forward.expert_counts, router_bias_update_speed_);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return {{"loss", forward.loss.loss},
          {"entropy", forward.entropy_sum / static_cast<double>(completion_tokens)},
          {"grad_norm", norm},
          {"learning_rate", learning_rate},
          {"num_tokens", static_cast<double>(num_tokens_)},
          {"step_time", elapsed.count()}};
}

TrainingGroup make_example(const Tokenizer& tokenizer, std::int64_t eos_token_id,
                           const std::string& prompt, const std::string& completion) {
  TrainingGroup example;
  example.prompt = tokenizer.encode(prompt);
  example.completions.push_back(tokenizer.encode(completion));
  example.completions.back().push_back(static_cast<std::int32_t>(eos_token_id));
  return example;
}

}  // namespace zeroth
