#include "tools/cold_start.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "rewards/rules/format_reward.h"
#include "rl/checkpoint.h"
#include "rl/sft_trainer.h"
#include "rl/training_options.h"
#include "rollout/local_engine.h"

namespace zeroth {
namespace {

constexpr std::uint64_t kSkillStream = 11;  // of the traces of each phase
constexpr std::uint64_t kHabitStream = 12;
constexpr std::uint64_t kChoiceOffset = 2;  // streams 13 and 14: which problem a trace is of
constexpr std::int64_t kMaxCompletionLength = 56;

class ColdStart {
 public:
  ColdStart(const Context& context, const QuickstartConfig& config,
            const ColdStartSettings& settings, const ColdStartRule& rule, const SumsTask& task,
            const std::filesystem::path& from, const ColdStartHooks& hooks)
      : config_(config),
        settings_(settings),
        rule_(rule),
        hooks_(hooks),
        train_(task.problems(Split::train)),
        policy_(context, from, parse_dtype(config.dtype)),
        trainer_(context, alone_, policy_,
                 {.router_bias_update_speed = settings.router_bias_update_speed}),
        engine_(context, policy_.packed(),
                {.on_progress = [this](const GenerationStatistics&) { hooks_.check_stop(); }}),
        right_(make_accuracy_in_format_reward({})) {
    for (const SumsProblem& sum : task.problems(Split::calibration))
      calibration_.push_back(sums_problem(sum));
  }

  ColdStartResult run() {
    result_.careful = settings_.skill_careful;
    teach_method();
    teach_habits();
    result_.trained_tokens = trainer_.num_tokens();
    return result_;
  }

  TrainedPolicy& policy() { return policy_; }

 private:
  // Warms up over 20 steps; falls linearly from step `start` on over decay_steps to a fifth, and
  // stays there.
  double falling(double peak, std::int64_t step, std::int64_t start) const {
    const double warm = std::min(1.0, static_cast<double>(step + 1) / 20.0);
    const double gone = static_cast<double>(std::max<std::int64_t>(0, step - start));
    return peak * warm *
           std::max(0.2, 1.0 - 0.8 * gone / static_cast<double>(settings_.decay_steps));
  }

  void teach_method() {
    std::int64_t decay_start = settings_.max_skill_steps;
    for (std::int64_t step = 0; step < settings_.max_skill_steps; ++step) {
      train(kSkillStream, step, falling(settings_.skill_learning_rate, step, decay_start));
      result_.skill_steps = step + 1;
      hooks_.check_stop();
      if ((step + 1) % (2 * settings_.evaluate_every) != 0) continue;
      const Evaluation evaluation = measure(4, false);
      report("method", step + 1, evaluation);
      if (evaluation.pass_at_1.mean >= rule_.skill) return;
      if (evaluation.pass_at_1.mean >= settings_.first_signs)
        decay_start = std::min(decay_start, step + 1);
    }
    throw std::runtime_error("cold start: the method was not learnt in " +
                             std::to_string(settings_.max_skill_steps) + " steps");
  }

  void teach_habits() {
    result_.careful = settings_.habit_careful;
    for (std::int64_t step = 0; step < settings_.max_habit_steps; ++step) {
      train(kHabitStream, step, falling(settings_.habit_learning_rate, step, 0));
      result_.habit_steps = step + 1;
      hooks_.check_stop();
      if ((step + 1) % settings_.evaluate_every != 0) continue;
      const Evaluation evaluation = measure(16, true);
      report("habits", step + 1, evaluation);
      const double pass = evaluation.pass_at_1.mean;
      if (pass >= rule_.pass_at_1_low && pass <= rule_.pass_at_1_high &&
          evaluation.greedy <= rule_.greedy_high) {
        result_.calibration = evaluation;
        return;
      }
      // Too seldom right: show more careful work; too often: less.
      const double correction = std::clamp(rule_.aim / std::max(pass, 0.01), 0.8, 1.25);
      result_.careful = std::clamp(result_.careful * correction, 0.05, 0.4);
    }
    throw std::runtime_error("cold start: pass@1 on the calibration split did not reach " +
                             std::to_string(rule_.pass_at_1_low) + " to " +
                             std::to_string(rule_.pass_at_1_high) + " in " +
                             std::to_string(settings_.max_habit_steps) + " steps");
  }

  void train(std::uint64_t stream, std::int64_t step, double learning_rate) {
    const double rest = (1.0 - result_.careful) / 2.0;
    const HabitMix mix{.careful = result_.careful, .guess = rest, .hasty = rest};
    std::vector<TrainingGroup> batch;
    for (std::int64_t i = 0; i < settings_.batch_size; ++i) {
      const auto index = static_cast<std::uint64_t>(step * settings_.batch_size + i);
      const auto seed = static_cast<std::uint64_t>(config_.seed);
      const RandomKey key{.seed = seed, .stream = stream, .index = index};
      RandomStream choice({.seed = seed, .stream = stream + kChoiceOffset, .index = index});
      const SumsProblem& sum = train_[choice.next_below(train_.size())];
      const Problem problem = sums_problem(sum);
      batch.push_back(make_example(policy_.tokenizer(), policy_.config().eos_token_ids[0],
                                   problem.question, sums_trace(sum, mix, key)));
    }
    trainer_.step(batch, learning_rate, {.beta2 = 0.95});
  }

  Evaluation measure(std::int64_t samples, bool greedy) {
    return evaluate(engine_, policy_.tokenizer(),
                    PromptTemplate::from_text("{question}", "quickstart"), calibration_, *right_,
                    {.num_generations = samples,
                     .max_completion_length = kMaxCompletionLength,
                     .seed = static_cast<std::uint64_t>(config_.seed),
                     .greedy = greedy});
  }

  void report(const char* phase, std::int64_t step, const Evaluation& evaluation) const {
    char line[160];
    std::snprintf(
        line, sizeof line,
        "cold start, %s: step %lld, calibration pass@1 %.3f, greedy %.3f, careful traces %.3f",
        phase, static_cast<long long>(step), evaluation.pass_at_1.mean, evaluation.greedy,
        result_.careful);
    hooks_.note(line);
  }

  const QuickstartConfig& config_;
  const ColdStartSettings& settings_;
  const ColdStartRule& rule_;
  const ColdStartHooks& hooks_;
  const std::vector<SumsProblem>& train_;
  TrainedPolicy policy_;
  Collectives alone_;
  SftTrainer trainer_;
  LocalEngine engine_;
  std::unique_ptr<Reward> right_;
  std::vector<Problem> calibration_;
  ColdStartResult result_;
};

}  // namespace

ColdStartResult cold_start(const Context& context, const QuickstartConfig& config,
                           const ColdStartSettings& settings, const ColdStartRule& rule,
                           const SumsTask& task, const std::filesystem::path& from,
                           const std::filesystem::path& to, const ColdStartHooks& hooks) {
  ColdStart run(context, config, settings, rule, task, from, hooks);
  const ColdStartResult result = run.run();
  save_model(to, run.policy().config(), run.policy().weights(), from);
  return result;
}

}  // namespace zeroth
