#include "rl/train_grpo.h"

#include "rl/config_fingerprint.h"
#include "rl/grpo_trainer.h"
#include "rl/training_options.h"
#include "rollout/local_engine.h"
#include "system/error.h"

namespace zeroth {
namespace {

void check_lengths(const std::string& source, const GrpoConfig& config, const TrainedPolicy& policy,
                   const std::vector<Problem>& problems, const PromptTemplate& prompt_template) {
  for (const Problem& problem : problems) {
    const auto prompt = static_cast<std::int64_t>(
        policy.tokenizer().encode(prompt_template.render(problem.question)).size());
    if (prompt == 0 ||
        prompt + config.max_completion_length > policy.config().max_position_embeddings) {
      throw InputError({.source = source,
                        .field = problem.id,
                        .expected = "a prompt of 1 to " +
                                    std::to_string(policy.config().max_position_embeddings -
                                                   config.max_completion_length) +
                                    " tokens, to leave max_completion_length (" +
                                    std::to_string(config.max_completion_length) +
                                    ") of max_position_embeddings (" +
                                    std::to_string(policy.config().max_position_embeddings) + ")",
                        .actual = std::to_string(prompt)});
    }
  }
}

// The starting policy, frozen, for the KL term.
struct Reference {
  Reference(const TrainedPolicy& policy, const GrpoConfig& config)
      : weights(load_weights(config.model_name_or_path, policy.config())),
        packed(policy.config(), weights, parse_dtype(config.dtype), false) {}
  Weights weights;
  PackedPolicy packed;
};

std::vector<Metric> with_evaluation(std::vector<Metric> metrics, const Evaluation& evaluation) {
  metrics.push_back({"eval/pass_at_1", evaluation.pass_at_1.mean});
  metrics.push_back({"eval/pass_at_1_low", evaluation.pass_at_1.low});
  metrics.push_back({"eval/pass_at_1_high", evaluation.pass_at_1.high});
  metrics.push_back({"eval/greedy", evaluation.greedy});
  metrics.push_back({"eval/majority", evaluation.majority});
  metrics.push_back({"eval/format_rate", evaluation.format_rate});
  metrics.push_back({"eval/mean_length", evaluation.mean_length});
  return metrics;
}

}  // namespace

RunResult train_grpo(const Context& context, const GrpoConfig& config, const GrpoInputs& inputs,
                     TrainingHooks hooks) {
  TrainedPolicy policy(context, config.model_name_or_path, parse_dtype(config.dtype));
  check_lengths(config.dataset_name, config, policy, inputs.problems, inputs.prompt_template);
  check_lengths(config.eval_dataset_name, config, policy, inputs.eval_problems,
                inputs.prompt_template);
  TrainingRun run(config, "grpo", config_fingerprint(config), policy, std::move(hooks));
  std::unique_ptr<Reference> reference;
  if (config.beta > 0.0) reference = std::make_unique<Reference>(policy, config);
  LocalEngine engine(
      context, policy.packed(),
      {.max_num_seqs = config.max_num_seqs, .page_size = config.page_size, .record_experts = true});
  GrpoTrainer trainer(context, policy, reference ? &reference->packed : nullptr, engine,
                      inputs.problems, inputs.prompt_template, inputs.rewards, config);
  trainer.set_num_tokens(run.num_tokens());
  const ScheduleConfig schedule = schedule_of(config);
  const auto evaluate_now = [&] {
    return evaluate(engine, policy.tokenizer(), inputs.prompt_template, inputs.eval_problems,
                    inputs.right,
                    {.num_generations = config.num_eval_generations,
                     .max_completion_length = config.max_completion_length,
                     .temperature = config.temperature,
                     .seed = static_cast<std::uint64_t>(config.seed)});
  };
  const bool evaluates = !inputs.eval_problems.empty();
  if (evaluates && run.first_step() == 1 && config.eval_steps > 0 && inputs.on_evaluation) {
    if (!inputs.on_evaluation(0, evaluate_now())) return run.finish();
  }
  for (std::int64_t step = run.first_step(); step <= config.max_steps; ++step) {
    GrpoStep result =
        trainer.step(step, learning_rate_at(step - 1, schedule), config.log_completions);
    if (config.log_completions) write_completions(config.output_dir, step, result.completions);
    bool go_on = true;
    const bool due =
        step == config.max_steps || (config.eval_steps > 0 && step % config.eval_steps == 0);
    if (evaluates && due) {
      const Evaluation evaluation = evaluate_now();
      result.metrics = with_evaluation(std::move(result.metrics), evaluation);
      if (inputs.on_evaluation) go_on = inputs.on_evaluation(step, evaluation);
    }
    if (!run.after_step(step, trainer.num_tokens(), result.metrics) || !go_on) break;
  }
  return run.finish();
}

}  // namespace zeroth
