#include "tools/rejection_sampling.h"

#include <cstdio>

#include "datasets/order.h"
#include "rl/checkpoint.h"
#include "rl/sample_traces.h"
#include "rl/sft_trainer.h"
#include "rl/training_options.h"
#include "rollout/local_engine.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kControlStream = 4;

struct Round {
  std::vector<TrainingGroup> right;  // a group a problem, its right completions
  std::int64_t sampled = 0;
  std::int64_t kept = 0;
};

Round sample_round(Engine& engine, const TrainedPolicy& policy, const GrpoConfig& config,
                   const std::vector<const Problem*>& problems,
                   const PromptTemplate& prompt_template, const WeightedRewards& right,
                   std::int64_t step) {
  std::vector<GenerateRequest> requests;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    requests.push_back({.prompt = policy.tokenizer().encode(prompt_template.render(*problems[i])),
                        .num_generations = config.num_generations,
                        .step = static_cast<std::uint32_t>(step),
                        .problem = static_cast<std::uint32_t>(i)});
  }
  const auto groups = engine.generate(requests, {.temperature = config.temperature,
                                                 .max_new_tokens = config.max_completion_length,
                                                 .seed = static_cast<std::uint64_t>(config.seed),
                                                 .stream = kControlStream});
  Round round;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    TrainingGroup kept{.prompt = requests[g].prompt, .completions = {}};
    for (const SampledTrace& trace :
         score_group(policy.tokenizer(), *problems[g], prompt_template.render(*problems[g]),
                     groups[g], right, config.max_completion_length)) {
      if (trace.finished && trace.rewards[0] > 0.5) kept.completions.push_back(trace.tokens);
      ++round.sampled;
    }
    round.kept += static_cast<std::int64_t>(kept.completions.size());
    if (!kept.completions.empty()) round.right.push_back(std::move(kept));
  }
  return round;
}

}  // namespace

void rejection_sampling(const Context& context, const GrpoConfig& config,
                        const std::vector<Problem>& problems, const PromptTemplate& prompt_template,
                        const WeightedRewards& right, const std::filesystem::path& to,
                        const std::function<void(const std::string&)>& note,
                        const std::function<void()>& check_stop) {
  TrainedPolicy policy(context, config.model_name_or_path, parse_dtype(config.dtype),
                       parse_mla_prefix(config.mla_prefix));
  LocalEngine engine(context, policy.packed(),
                     {.max_num_seqs = config.max_num_seqs,
                      .on_progress = [&](const GenerationStatistics&) { check_stop(); }});
  Collectives alone;
  SftTrainer trainer(context, alone, policy, {.micro_batch_tokens = config.micro_batch_tokens});
  const ProblemOrder order(problems.size(), static_cast<std::uint64_t>(config.seed));
  const ScheduleConfig schedule = schedule_of(config);
  for (std::int64_t step = 1; step <= config.max_steps; ++step) {
    std::vector<const Problem*> batch;
    for (std::int64_t i = 0; i < config.num_prompts_per_step; ++i) {
      batch.push_back(&problems[order.at(
          static_cast<std::uint64_t>((step - 1) * config.num_prompts_per_step + i))]);
    }
    const Round round = sample_round(engine, policy, config, batch, prompt_template, right, step);
    if (!round.right.empty())
      trainer.step(round.right, learning_rate_at(step - 1, schedule), adamw_of(config));
    if (step % 10 == 0 && note) {
      char line[120];
      std::snprintf(line, sizeof line, "control: step %lld, %lld of %lld samples right",
                    static_cast<long long>(step), static_cast<long long>(round.kept),
                    static_cast<long long>(round.sampled));
      note(line);
    }
  }
  save_model(to, policy.config(), policy.weights(), config.model_name_or_path);
}

}  // namespace zeroth
