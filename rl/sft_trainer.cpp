#include "rl/sft_trainer.h"

#include <chrono>
#include <stdexcept>

#include "rl/losses/sft.h"

namespace zeroth {

namespace {

// Sequences of an exact sum's unit: enough to make its pass over all weights small beside the
// training, few enough to leave work for every rank.
constexpr std::size_t kExamplesPerUnit = 8;

}  // namespace

SftTrainer::SftTrainer(const Context& context, Collectives& ranks, TrainedPolicy& policy,
                       const Config& config)
    : policy_(policy),
      parallel_(context, ranks, policy,
                {.exact = config.exact_ranks, .groups_per_unit = kExamplesPerUnit}),
      learner_(context, policy.packed(), {.micro_batch_tokens = config.micro_batch_tokens}),
      router_bias_update_speed_(config.router_bias_update_speed),
      teacher_(config.kd_weight > 0.0 ? config.teacher : nullptr),
      kd_weight_(config.kd_weight),
      mtp_loss_weight_(config.mtp_loss_weight) {
  if (!(kd_weight_ >= 0.0 && kd_weight_ <= 1.0) || (kd_weight_ > 0.0 && teacher_ == nullptr))
    throw std::invalid_argument("SftTrainer: kd_weight is 0 to 1, and 0 without a teacher");
  if (!(mtp_loss_weight_ >= 0.0) || (mtp_loss_weight_ > 0.0 && policy.packed().mtp().empty()))
    throw std::invalid_argument("SftTrainer: mtp_loss_weight is 0 without MTP modules");
}

std::vector<Metric> SftTrainer::step(std::span<const TrainingGroup> examples, double learning_rate,
                                     const AdamwOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::int64_t> tokens;
  std::int64_t completion_tokens = 0;
  for (const TrainingGroup& example : examples) {
    tokens.push_back(static_cast<std::int64_t>(example.prompt.size()));
    for (const auto& completion : example.completions) {
      tokens.back() += static_cast<std::int64_t>(completion.size());
      completion_tokens += static_cast<std::int64_t>(completion.size());
    }
    num_tokens_ += tokens.back();
  }
  const ChunkLoss loss = [&](const ChunkOfCompletions& chunk) {
    return sft_loss({.logprobs = chunk.logprobs,
                     .offsets = chunk.offsets,
                     .num_tokens = completion_tokens,
                     .weight = 1.0 - kd_weight_});
  };
  const TeacherTerm teacher{.policy = teacher_,
                            .token_weight = kd_weight_ / static_cast<double>(completion_tokens)};
  const double of_each_module =
      mtp_loss_weight_ > 0.0 ? 1.0 / static_cast<double>(policy_.packed().mtp().size()) : 0.0;
  const MtpTerm mtp{.token_weight =
                        mtp_loss_weight_ * of_each_module / static_cast<double>(completion_tokens)};
  const StepSums sums =
      parallel_.gradient(parallel_.deal(tokens), examples.size(),
                         [&](const TrainingUnit& unit, std::span<float> gradients) {
                           std::vector<TrainingGroup> batch;
                           for (const std::size_t i : unit.groups) batch.push_back(examples[i]);
                           return learner_.train(batch, loss, gradients, teacher, mtp);
                         });
  const double norm = policy_.update(learning_rate, options);
  parallel_.check_same(norm, "gradient's norm");
  if (router_bias_update_speed_ > 0.0)
    policy_.balance_experts(sums.expert_counts, router_bias_update_speed_);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::vector<Metric> metrics = {
      {"loss", sums.loss.loss},
      {"entropy", sums.entropy_sum / static_cast<double>(completion_tokens)},
      {"grad_norm", norm},
      {"learning_rate", learning_rate},
      {"num_tokens", static_cast<double>(num_tokens_)},
      {"step_time", elapsed.count()}};
  if (teacher_ != nullptr)
    metrics.push_back({"kl", sums.loss.kl / static_cast<double>(completion_tokens)});
  if (mtp_loss_weight_ > 0.0) {
    metrics.push_back(
        {"mtp_loss", sums.loss.mtp * of_each_module / static_cast<double>(completion_tokens)});
  }
  return metrics;
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
