#include "rl/grpo_trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "rl/training_options.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::uint32_t kRolloutStream = 1;

struct Spread {
  double mean = 0.0, minimum = 0.0, maximum = 0.0, deviation = 0.0;
};

Spread spread_of(const std::vector<double>& values) {
  Spread s;
  if (values.empty()) return s;
  s.minimum = *std::min_element(values.begin(), values.end());
  s.maximum = *std::max_element(values.begin(), values.end());
  for (const double v : values) s.mean += v;
  s.mean /= static_cast<double>(values.size());
  for (const double v : values) s.deviation += (v - s.mean) * (v - s.mean);
  s.deviation =
      values.size() > 1 ? std::sqrt(s.deviation / static_cast<double>(values.size() - 1)) : 0.0;
  return s;
}

}  // namespace

ScaleRewards parse_scale_rewards(const std::string& text) {
  if (text == "group") return ScaleRewards::group;
  if (text == "batch") return ScaleRewards::batch;
  if (text == "none") return ScaleRewards::none;
  throw std::invalid_argument("scale_rewards: " + text);
}

LossType parse_loss_type(const std::string& text) {
  if (text == "grpo") return LossType::grpo;
  if (text == "bnpo") return LossType::bnpo;
  if (text == "dapo") return LossType::dapo;
  if (text == "dr_grpo") return LossType::dr_grpo;
  throw std::invalid_argument("loss_type: " + text);
}

struct GrpoTrainer::Rollout {
  std::vector<const Problem*> problems;  // [groups]
  std::vector<std::string> prompts;      // [groups]
  std::vector<TrainingGroup> groups;
  std::vector<std::string> texts;        // [completions]
  std::vector<float> logprobs;           // as sampled, flat
  std::vector<std::uint16_t> experts;    // in the learner's order: completions, then prompts
  std::vector<StopReason> stop_reasons;  // [completions]
  std::vector<std::int64_t> lengths;     // [completions]
  ScoredItems scores;
  Advantages advantages;
  std::vector<Metric> learner_metrics;
  double rollout_seconds = 0.0, reward_seconds = 0.0, learn_seconds = 0.0;
};

GrpoTrainer::GrpoTrainer(const Context& context, TrainedPolicy& policy,
                         const PackedPolicy* reference, Engine& engine,
                         const std::vector<Problem>& problems,
                         const PromptTemplate& prompt_template, const WeightedRewards& rewards,
                         const GrpoConfig& config)
    : context_(context),
      policy_(policy),
      reference_(reference),
      engine_(engine),
      problems_(problems),
      prompt_template_(prompt_template),
      rewards_(rewards),
      config_(config),
      order_(problems.size(), static_cast<std::uint64_t>(config.seed)),
      learner_(context, policy.packed(),
               {.temperature = config.temperature,
                .micro_batch_tokens = config.micro_batch_tokens,
                .record_experts = true}),
      loss_config_{.loss_type = parse_loss_type(config.loss_type),
                   .epsilon = config.epsilon,
                   .epsilon_high = config.upper_epsilon(),
                   .beta = config.beta,
                   .importance_sampling_level = config.importance_sampling_level == "sequence"
                                                    ? ImportanceSamplingLevel::sequence
                                                    : ImportanceSamplingLevel::token,
                   .bias_corrected_kl = config.use_bias_correction_kl} {
  if (reference_ != nullptr) {
    reference_learner_ =
        std::make_unique<Learner>(context, *reference_,
                                  Learner::Config{.temperature = config.temperature,
                                                  .micro_batch_tokens = config.micro_batch_tokens});
  }
}

GrpoStep GrpoTrainer::step(std::int64_t step, double learning_rate, bool keep_completions) {
  const auto start = Clock::now();
  Rollout rollout = roll_out(step);
  score(rollout);
  learn(rollout, learning_rate);
  GrpoStep result;
  result.metrics = metrics_of(rollout);
  result.metrics.push_back({"learning_rate", learning_rate});
  result.metrics.push_back({"num_tokens", static_cast<double>(num_tokens_)});
  result.metrics.push_back({"step_time", seconds_since(start)});
  if (keep_completions) result.completions = records_of(rollout);
  return result;
}

GrpoTrainer::Rollout GrpoTrainer::roll_out(std::int64_t step) {
  const auto start = Clock::now();
  Rollout rollout;
  std::vector<GenerateRequest> requests;
  for (std::int64_t i = 0; i < config_.num_prompts_per_step; ++i) {
    const auto position = static_cast<std::uint64_t>((step - 1) * config_.num_prompts_per_step + i);
    const Problem& problem = problems_[order_.at(position)];
    rollout.problems.push_back(&problem);
    rollout.prompts.push_back(prompt_template_.render(problem.question));
    requests.push_back({.prompt = policy_.tokenizer().encode(rollout.prompts.back()),
                        .num_generations = config_.num_generations,
                        .step = static_cast<std::uint32_t>(step),
                        .problem = static_cast<std::uint32_t>(i)});
  }
  const std::vector<Group> groups =
      engine_.generate(requests, {.temperature = config_.temperature,
                                  .max_new_tokens = config_.max_completion_length,
                                  .seed = static_cast<std::uint64_t>(config_.seed),
                                  .stream = kRolloutStream});
  std::vector<std::uint16_t> prompt_experts;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    TrainingGroup& training = rollout.groups.emplace_back();
    training.prompt = requests[g].prompt;
    num_tokens_ += static_cast<std::int64_t>(training.prompt.size());
    for (const Completion& completion : groups[g].completions) {
      training.completions.push_back(completion.tokens);
      rollout.texts.push_back(policy_.tokenizer().decode(completion.tokens, true));
      rollout.logprobs.insert(rollout.logprobs.end(), completion.logprobs.begin(),
                              completion.logprobs.end());
      rollout.experts.insert(rollout.experts.end(), completion.experts.begin(),
                             completion.experts.end());
      rollout.stop_reasons.push_back(completion.stop_reason);
      rollout.lengths.push_back(static_cast<std::int64_t>(completion.tokens.size()));
      num_tokens_ += rollout.lengths.back();
    }
    prompt_experts.insert(prompt_experts.end(), groups[g].prompt_experts.begin(),
                          groups[g].prompt_experts.end());
  }
  rollout.experts.insert(rollout.experts.end(), prompt_experts.begin(), prompt_experts.end());
  rollout.rollout_seconds = seconds_since(start);
  return rollout;
}

void GrpoTrainer::score(Rollout& rollout) const {
  const auto start = Clock::now();
  std::vector<RewardItem> items;
  for (std::size_t i = 0; i < rollout.texts.size(); ++i) {
    const std::size_t g = i / static_cast<std::size_t>(config_.num_generations);
    items.push_back({.prompt = rollout.prompts[g],
                     .completion = rollout.texts[i],
                     .reference = rollout.problems[g]->answer,
                     .columns_json = rollout.problems[g]->columns_json,
                     .num_tokens = rollout.lengths[i],
                     .max_tokens = config_.max_completion_length,
                     .finish_reason = rollout.stop_reasons[i] == StopReason::length
                                          ? FinishReason::length
                                          : FinishReason::stop});
  }
  rollout.scores = rewards_.score(items);
  rollout.advantages = group_advantages(rollout.scores.total, config_.num_generations,
                                        parse_scale_rewards(config_.scale_rewards));
  rollout.reward_seconds = seconds_since(start);
}

// 0 for completions that the loss leaves out; empty when it takes all.
std::vector<unsigned char> GrpoTrainer::kept_completions(const Rollout& rollout) const {
  std::vector<unsigned char> kept;
  if (!config_.mask_truncated_completions) return kept;
  for (const StopReason reason : rollout.stop_reasons) kept.push_back(reason != StopReason::length);
  return kept;
}

void GrpoTrainer::learn(Rollout& rollout, double learning_rate) {
  const auto start = Clock::now();
  std::vector<float> reference;
  if (reference_learner_) reference = reference_learner_->evaluate(rollout.groups).logprobs;
  const std::vector<unsigned char> kept = kept_completions(rollout);
  const std::span<const unsigned char> mask(kept);
  std::int64_t tokens_kept = 0;
  for (std::size_t i = 0; i < rollout.lengths.size(); ++i) {
    if (kept.empty() || kept[i] != 0) tokens_kept += rollout.lengths[i];
  }
  const LossNormalizer normalizer{.num_sequences = static_cast<std::int64_t>(rollout.texts.size()),
                                  .num_tokens = tokens_kept,
                                  .max_completion_length = config_.max_completion_length};
  std::vector<std::int64_t> begin(1, 0);
  for (const std::int64_t length : rollout.lengths) begin.push_back(begin.back() + length);
  const ChunkLoss loss = [&](const ChunkOfCompletions& chunk) {
    const auto first = static_cast<std::size_t>(chunk.first);
    const auto at = static_cast<std::size_t>(begin[first]);
    const std::size_t tokens = chunk.logprobs.size();
    return grpo_loss(
        {.logprobs = chunk.logprobs,
         .old_logprobs = std::span(rollout.logprobs).subspan(at, tokens),
         .ref_logprobs = reference.empty() ? std::span<const float>()
                                           : std::span(reference).subspan(at, tokens),
         .offsets = chunk.offsets,
         .advantages =
             std::span(rollout.advantages.advantages).subspan(first, chunk.offsets.size() - 1),
         .sequence_mask = mask.empty() ? mask : mask.subspan(first, chunk.offsets.size() - 1),
         .normalizer = normalizer},
        loss_config_);
  };
  BatchForward forward;
  double norm = 0.0;
  for (std::int64_t iteration = 0; iteration < config_.num_iterations; ++iteration) {
    policy_.clear_gradients();
    forward = learner_.train(rollout.groups, loss, policy_.gradients());
    if (iteration == 0) compare_with_rollout(rollout, forward, rollout.learner_metrics);
    norm = policy_.update(learning_rate, adamw_of(config_));
    if (config_.router_bias_update_speed > 0.0) {
      policy_.balance_experts(forward.expert_counts, config_.router_bias_update_speed);
    }
  }
  auto& metrics = rollout.learner_metrics;
  metrics.push_back({"loss", forward.loss.loss});
  metrics.push_back({"grad_norm", norm});
  metrics.push_back(
      {"entropy", forward.entropy_sum / static_cast<double>(rollout.logprobs.size())});
  if (reference_learner_) metrics.push_back({"kl", forward.loss.kl_mean()});
  metrics.push_back({"clip_ratio/low_mean", forward.loss.clip_ratio_low_mean()});
  metrics.push_back({"clip_ratio/low_min", forward.loss.clip_ratio_low_min()});
  metrics.push_back({"clip_ratio/high_mean", forward.loss.clip_ratio_high_mean()});
  metrics.push_back({"clip_ratio/high_max", forward.loss.clip_ratio_high_max()});
  metrics.push_back({"clip_ratio/region_mean", forward.loss.clip_ratio_region_mean()});
  rollout.learn_seconds = seconds_since(start);
}

void GrpoTrainer::compare_with_rollout(const Rollout& rollout, const BatchForward& forward,
                                       std::vector<Metric>& metrics) const {
  double largest = 0.0;
  double total = 0.0;
  std::int64_t different = 0;
  for (std::size_t i = 0; i < rollout.logprobs.size(); ++i) {
    const double difference = std::abs(static_cast<double>(forward.logprobs[i]) -
                                       static_cast<double>(rollout.logprobs[i]));
    largest = std::max(largest, difference);
    total += difference;
    different +=
        std::memcmp(&forward.logprobs[i], &rollout.logprobs[i], sizeof(float)) != 0 ? 1 : 0;
  }
  std::int64_t disagreements = 0;
  if (forward.experts.size() != rollout.experts.size()) {
    throw std::runtime_error("the learner routed " + std::to_string(forward.experts.size()) +
                             " slots, the rollout reports " +
                             std::to_string(rollout.experts.size()));
  }
  for (std::size_t i = 0; i < forward.experts.size(); ++i)
    disagreements += forward.experts[i] != rollout.experts[i];
  if ((different > 0 || disagreements > 0) && !config_.allow_mixed_numerics) {
    throw std::runtime_error(
        "on-policy step: " + std::to_string(different) + " of " +
        std::to_string(rollout.logprobs.size()) +
        " log-probs of the learner differ from the rollout's (largest difference " +
        std::to_string(largest) + "), " + std::to_string(disagreements) +
        " routing decisions differ; the promise of one numerics is broken");
  }
  metrics.push_back({"sampling/sampling_logp_difference/mean",
                     total / static_cast<double>(rollout.logprobs.size())});
  metrics.push_back({"sampling/sampling_logp_difference/max", largest});
  metrics.push_back({"routing_disagreements", static_cast<double>(disagreements)});
}

std::vector<Metric> GrpoTrainer::metrics_of(const Rollout& rollout) const {
  std::vector<Metric> metrics{{"reward", rollout.advantages.reward_mean},
                              {"reward_std", rollout.advantages.reward_std},
                              {"frac_reward_zero_std", rollout.advantages.frac_reward_zero_std}};
  const auto names = rewards_.names();
  for (std::size_t r = 0; r < names.size(); ++r) {
    const Spread spread = spread_of(rollout.scores.by_reward[r]);
    metrics.push_back({"rewards/" + std::string(names[r]) + "/mean", spread.mean});
    metrics.push_back({"rewards/" + std::string(names[r]) + "/std", spread.deviation});
  }
  std::vector<double> lengths;
  std::vector<double> terminated;
  for (std::size_t i = 0; i < rollout.lengths.size(); ++i) {
    lengths.push_back(static_cast<double>(rollout.lengths[i]));
    if (rollout.stop_reasons[i] == StopReason::end_of_sequence)
      terminated.push_back(lengths.back());
  }
  const Spread all = spread_of(lengths);
  const Spread ended = spread_of(terminated);
  metrics.push_back({"completions/mean_length", all.mean});
  metrics.push_back({"completions/min_length", all.minimum});
  metrics.push_back({"completions/max_length", all.maximum});
  metrics.push_back({"completions/mean_terminated_length", ended.mean});
  metrics.push_back({"completions/min_terminated_length", ended.minimum});
  metrics.push_back({"completions/max_terminated_length", ended.maximum});
  metrics.push_back({"completions/clipped_ratio",
                     1.0 - static_cast<double>(terminated.size()) /
                               static_cast<double>(std::max<std::size_t>(1, lengths.size()))});
  metrics.insert(metrics.end(), rollout.learner_metrics.begin(), rollout.learner_metrics.end());
  metrics.push_back({"time/rollout", rollout.rollout_seconds});
  metrics.push_back({"time/reward", rollout.reward_seconds});
  metrics.push_back({"time/learn", rollout.learn_seconds});
  return metrics;
}

std::vector<CompletionRecord> GrpoTrainer::records_of(const Rollout& rollout) const {
  std::vector<CompletionRecord> records;
  const auto names = rewards_.names();
  for (std::size_t i = 0; i < rollout.texts.size(); ++i) {
    const std::size_t g = i / static_cast<std::size_t>(config_.num_generations);
    CompletionRecord record{.prompt = rollout.prompts[g],
                            .completion = rollout.texts[i],
                            .reference = rollout.problems[g]->answer,
                            .rewards = {},
                            .reward = rollout.scores.total[i],
                            .advantage = rollout.advantages.advantages[i],
                            .num_tokens = rollout.lengths[i],
                            .finish_reason = rollout.stop_reasons[i] == StopReason::length
                                                 ? FinishReason::length
                                                 : FinishReason::stop};
    for (std::size_t r = 0; r < names.size(); ++r) {
      record.rewards.push_back({std::string(names[r]), rollout.scores.by_reward[r][i]});
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace zeroth
