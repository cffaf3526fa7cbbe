#include "rl/train_grpo.h"

#include <optional>

#include "rl/grpo_trainer.h"
#include "rl/prompt_lengths.h"
#include "rl/run_settings.h"
#include "rl/training_numerics.h"
#include "rl/training_options.h"
#include "rollout/distributed_engine.h"
#include "rollout/journaled_engine.h"
#include "rollout/local_engine.h"
#include "rollout/numerics.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

// Whether the cache of this process holds the longest prompt with a completion.
void check_cache(const GrpoConfig& config, const GrpoInputs& inputs, const TrainedPolicy& policy) {
  GenerateRequest longest;
  for (const auto* problems : {&inputs.problems, &inputs.eval_problems}) {
    for (const Problem& problem : *problems) {
      std::vector<std::int32_t> prompt =
          policy.tokenizer().encode(inputs.prompt_template.render(problem));
      if (prompt.size() > longest.prompt.size()) longest.prompt = std::move(prompt);
    }
  }
  check_cache_bytes("grpo", config.max_cache_bytes, policy.config(), config.page_size,
                    {&longest, 1}, {.max_new_tokens = config.max_completion_length});
}

// The starting policy, frozen, for the KL term.
struct Reference {
  Reference(const TrainedPolicy& policy, const GrpoConfig& config)
      : weights(load_weights(config.model_name_or_path, policy.config())),
        packed(policy.config(), weights, parse_dtype(config.dtype), false) {}
  Weights weights;
  PackedPolicy packed;
};

std::vector<Metric> metrics_of(const Evaluation& evaluation) {
  std::vector<Metric> metrics{{"eval/pass_at_1", evaluation.pass_at_1.mean},
                              {"eval/pass_at_1_low", evaluation.pass_at_1.low},
                              {"eval/pass_at_1_high", evaluation.pass_at_1.high},
                              {"eval/greedy", evaluation.greedy},
                              {"eval/majority", evaluation.majority},
                              {"eval/format_rate", evaluation.format_rate},
                              {"eval/mean_length", evaluation.mean_length}};
  if (evaluation.reward_failures > 0)
    metrics.push_back({"eval/reward_failures", static_cast<double>(evaluation.reward_failures)});
  return metrics;
}

std::unique_ptr<Engine> make_engine(const Context& context, const GrpoConfig& config,
                                    const GrpoInputs& inputs, const TrainedPolicy& policy,
                                    TrainingRun& run, const std::string& key) {
  if (inputs.make_engine) {
    return inputs.make_engine({.policy = policy.packed(),
                               .key = key,
                               .numerics = rollout_numerics(context, policy.packed().dtype()),
                               .note = [&run](const std::string& text) { run.note(text); },
                               .check_stop =
                                   [&run] {
                                     if (run.stop_requested()) throw StoppedWaiting();
                                   }});
  }
  return std::make_unique<LocalEngine>(context, policy.packed(),
                                       EngineConfig{.max_num_seqs = config.max_num_seqs,
                                                    .page_size = config.page_size,
                                                    .max_cache_bytes = config.max_cache_bytes,
                                                    .record_experts = true});
}

// What every rank has to know the same of, and a resumed run may have otherwise.
RunSettings evaluation_settings(const GrpoConfig& config, const GrpoInputs& inputs) {
  return {{"eval_steps", std::to_string(config.eval_steps)},
          {"eval_data_sha256", data_sha256(inputs.eval_problems, inputs.prompt_template)},
          {"num_eval_generations", std::to_string(config.num_eval_generations)},
          {"reward_on_error", config.reward_on_error}};
}

}  // namespace

StoppedByReward::StoppedByReward(const RewardError& error, const RunResult& result)
    : std::runtime_error(std::string(error.what()) + "\nstopped after step " +
                         std::to_string(result.step) + ", saved in " + result.checkpoint.string() +
                         "; with the reward mended, or another reward_on_error, it goes on with "
                         "--resume_from_checkpoint latest") {}

RunResult train_grpo(const Context& context, Collectives& ranks, const GrpoConfig& config,
                     const GrpoInputs& inputs, TrainingHooks hooks) {
  TrainedPolicy policy(context, config.model_name_or_path, parse_dtype(config.dtype),
                       parse_mla_prefix(config.mla_prefix));
  const auto check_lengths = [&](const std::string& source, const std::vector<Problem>& problems) {
    check_prompt_lengths(source, problems, inputs.prompt_template, policy.tokenizer(),
                         policy.config(), config.max_completion_length);
  };
  check_lengths(config.dataset_name, inputs.problems);
  check_lengths(config.eval_dataset_name, inputs.eval_problems);
  if (!inputs.make_engine) check_cache(config, inputs, policy);
  RunSettings settings = run_settings(config);
  settings.emplace_back("model_sha256", model_sha256(policy.config(), policy.weights()));
  settings.emplace_back("data_sha256", data_sha256(inputs.problems, inputs.prompt_template));
  settings.emplace_back(kNumericsKey, training_numerics(context, parse_dtype(config.dtype)));
  TrainingRun run(config, ranks, "grpo", std::move(settings), policy, std::move(hooks));
  check_same_settings(ranks, evaluation_settings(config, inputs));
  std::unique_ptr<Reference> reference;
  if (config.beta > 0.0) reference = std::make_unique<Reference>(policy, config);
  const std::string key = sha256_hex(settings_text(run.settings()));
  const std::unique_ptr<Engine> engine = make_engine(context, config, inputs, policy, run, key);
  RolloutJournal journal(journal_directory(config.output_dir, ranks.rank()), key,
                         [&](const std::string& text) { run.note(text); });
  JournaledEngine journaled(*engine, journal);
  DistributedEngine sampler(journaled, ranks);
  DistributedEngine evaluator(*engine, ranks);
  GrpoTrainer trainer(context, ranks, policy, reference ? &reference->packed : nullptr, sampler,
                      inputs.problems, inputs.prompt_template, inputs.rewards, config);
  trainer.set_num_tokens(run.num_tokens());
  const ScheduleConfig schedule = schedule_of(config);
  // Every rank scores all of it, and none goes on alone when the reward fails on another.
  const auto evaluate_now = [&] {
    std::optional<RewardError> failure;
    Evaluation evaluation;
    try {
      evaluation = evaluate(evaluator, policy.tokenizer(), inputs.prompt_template,
                            inputs.eval_problems, inputs.right,
                            {.num_generations = config.num_eval_generations,
                             .max_completion_length = config.max_completion_length,
                             .temperature = config.temperature,
                             .seed = static_cast<std::uint64_t>(config.seed),
                             .top_k = config.top_k,
                             .top_p = config.top_p,
                             .min_p = config.min_p,
                             .on_reward_error = inputs.rewards.on_error().action,
                             .extraction = parse_extraction(config.answer_rules)});
    } catch (const RewardError& error) {
      failure = error;
    }
    if (!ranks.any(failure.has_value())) return evaluation;
    if (failure) throw *failure;
    throw RewardError(std::string(inputs.right.name()), 0,
                      {.result = RewardResult::raised, .message = "on another rank"},
                      "an evaluation");
  };
  std::optional<RewardError> failure;  // what stopped the run
  const bool evaluates = !inputs.eval_problems.empty();
  const bool logs_completions = config.log_completions && ranks.is_first();
  // Whether to go on.
  const auto evaluate_first = [&] {
    if (!evaluates || run.first_step() > 1 || config.eval_steps == 0 || !inputs.on_evaluation)
      return true;
    const Evaluation evaluation = evaluate_now();
    run.before_first_step(metrics_of(evaluation));
    return !ranks.any(!inputs.on_evaluation(0, evaluation));
  };
  // What a resumed run still owes its last step. Whether to go on.
  const auto evaluate_late = [&] {
    if (!evaluates || !run.evaluation_due()) return true;
    const Evaluation evaluation = evaluate_now();
    run.add_evaluation(metrics_of(evaluation));
    return !ranks.any(inputs.on_evaluation &&
                      !inputs.on_evaluation(run.first_step() - 1, evaluation));
  };
  const auto take_step = [&](std::int64_t step) {
    const double journal_before = journal.seconds();
    GrpoStep result = trainer.step(step, learning_rate_at(step - 1, schedule), logs_completions);
    result.metrics.push_back({"time/journal", journal.seconds() - journal_before});
    if (logs_completions) write_completions(config.output_dir, step, result.completions);
    for (const std::string& note : result.notes) run.note(note);
    bool go_on = true;
    std::vector<Metric> eval_metrics;
    const bool due =
        step == config.max_steps || (config.eval_steps > 0 && step % config.eval_steps == 0);
    if (evaluates && due) {
      try {
        const Evaluation evaluation = evaluate_now();
        eval_metrics = metrics_of(evaluation);
        go_on = !ranks.any(inputs.on_evaluation && !inputs.on_evaluation(step, evaluation));
      } catch (const StoppedWaiting&) {  // the weights have moved already: the step is done
        if (ranks.size() > 1) throw;
        run.note("step " + std::to_string(step) + ": its evaluation was given up");
        run.set_evaluation_due();
        go_on = false;
      } catch (const RewardError& error) {
        failure = error;
        run.set_evaluation_due();
        go_on = false;
      }
    }
    if (!run.after_step(step, trainer.num_tokens(), std::move(result.metrics), eval_metrics))
      go_on = false;
    if (run.saved_step() == step) journal.remove_through(run.safe_step());
    return go_on;
  };
  try {
    bool go_on = evaluate_first() && evaluate_late();
    for (std::int64_t step = run.first_step(); go_on && step <= config.max_steps; ++step)
      go_on = take_step(step);
  } catch (const StoppedWaiting&) {
    // The last finished step is the one that is saved. Other ranks may be in the middle of theirs.
    if (ranks.size() > 1)
      throw std::runtime_error("stopped while waiting, after step " +
                               std::to_string(run.first_step() - 1));
  } catch (const RewardError& error) {
    failure = error;
  }
  const RunResult result = run.finish();
  if (result.end == RunEnd::finished) {
    journal.remove_all();
    if (ranks.is_first()) remove_journals_from(config.output_dir, ranks.size());
  }
  if (failure) throw StoppedByReward(*failure, result);
  return result;
}

}  // namespace zeroth
