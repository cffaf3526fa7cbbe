#include "rl/train_sft.h"

#include <algorithm>

#include "datasets/order.h"
#include "rl/run_settings.h"
#include "rl/sft_trainer.h"
#include "rl/training_numerics.h"
#include "rl/training_options.h"
#include "system/error.h"

namespace zeroth {

namespace {

std::int64_t length_of(const TrainingGroup& example) {
  return static_cast<std::int64_t>(example.prompt.size() + example.completions[0].size());
}

std::vector<TrainingGroup> make_examples(const TrainedPolicy& policy, const SftConfig& config,
                                         const std::vector<Problem>& problems,
                                         const PromptTemplate& prompt_template,
                                         const TrainingRun& run) {
  const std::int64_t limit = std::min(config.max_length, policy.config().max_position_embeddings);
  std::vector<TrainingGroup> examples;
  for (const Problem& problem : problems) {
    if (problem.solution.empty()) {
      throw InputError({.source = config.dataset_name,
                        .field = problem.id,
                        .expected = "a solution to learn from",
                        .actual = "none"});
    }
    TrainingGroup example = make_example(policy.tokenizer(), policy.config().eos_token_ids[0],
                                         prompt_template.render(problem), problem.solution);
    if (length_of(example) <= limit) examples.push_back(std::move(example));
  }
  if (examples.empty()) {
    throw InputError(
        {.source = config.dataset_name,
         .field = "",
         .expected = "a sequence of at most max_length (" + std::to_string(limit) + ") tokens",
         .actual = "none among " + std::to_string(problems.size())});
  }
  if (examples.size() < problems.size()) {
    run.note(std::to_string(problems.size() - examples.size()) + " of " +
             std::to_string(problems.size()) + " sequences are longer than " +
             std::to_string(limit) + " tokens and left out");
  }
  return examples;
}

}  // namespace

RunResult train_examples(const Context& context, Collectives& ranks, const SftConfig& config,
                         const ExamplesToTrain& inputs, TrainedPolicy& policy,
                         TrainingHooks hooks) {
  RunSettings settings = run_settings(config);
  settings.emplace_back("model_sha256", model_sha256(policy.config(), policy.weights()));
  settings.insert(settings.end(), inputs.settings.begin(), inputs.settings.end());
  settings.emplace_back(kNumericsKey, training_numerics(context, parse_dtype(config.dtype)));
  TrainingRun run(config, ranks, inputs.command, std::move(settings), policy, std::move(hooks));
  const std::vector<TrainingGroup> examples = inputs.make(run);
  const ProblemOrder order(examples.size(), static_cast<std::uint64_t>(config.seed));
  SftTrainer trainer(context, ranks, policy,
                     {.micro_batch_tokens = config.micro_batch_tokens,
                      .exact_ranks = config.exact_ranks,
                      .teacher = inputs.teacher,
                      .kd_weight = inputs.kd_weight,
                      .mtp_loss_weight = config.mtp_loss_weight});
  trainer.set_num_tokens(run.num_tokens());
  const ScheduleConfig schedule = schedule_of(config);
  for (std::int64_t step = run.first_step(); step <= config.max_steps; ++step) {
    std::vector<TrainingGroup> batch;
    for (std::int64_t i = 0; i < config.per_device_train_batch_size; ++i) {
      batch.push_back(examples[order.at(
          static_cast<std::uint64_t>((step - 1) * config.per_device_train_batch_size + i))]);
    }
    const auto metrics =
        trainer.step(batch, learning_rate_at(step - 1, schedule), adamw_of(config));
    if (!run.after_step(step, trainer.num_tokens(), metrics)) break;
  }
  return run.finish();
}

RunResult train_sft(const Context& context, Collectives& ranks, const SftConfig& config,
                    const std::vector<Problem>& problems, const PromptTemplate& prompt_template,
                    TrainingHooks hooks) {
  TrainedPolicy policy(context, config.model_name_or_path, parse_dtype(config.dtype),
                       parse_mla_prefix(config.mla_prefix), config.mtp_loss_weight > 0.0);
  return train_examples(context, ranks, config,
                        {.command = "sft",
                         .settings = {{"data_sha256", data_sha256(problems, prompt_template)}},
                         .make =
                             [&](const TrainingRun& run) {
                               return make_examples(policy, config, problems, prompt_template, run);
                             }},
                        policy, std::move(hooks));
}

}  // namespace zeroth
