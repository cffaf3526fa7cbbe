// zeroth grpo: reinforcement learning with group-relative advantages.

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "datasets/problem_source.h"
#include "policy/model_config.h"
#include "policy/tokenizer.h"
#include "rl/train_grpo.h"
#include "rl/training_numerics.h"
#include "rl/training_options.h"
#include "tools/chat_prompts.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/memory_plan.h"
#include "tools/model_directory.h"
#include "tools/named_rewards.h"
#include "tools/ranks.h"
#include "tools/reward_config.h"
#include "tools/training_command.h"
#include "tools/worker_pool.h"

namespace zeroth {
namespace {

int dry_run(const GrpoConfig& config, const ResolvedOptions& options,
            const std::vector<Problem>& problems, const PromptTemplate& prompt_template) {
  const Tokenizer tokenizer = Tokenizer::load(config.model_name_or_path);
  std::size_t longest = 0;
  for (const Problem& problem : problems) {
    longest = std::max(longest, tokenizer.encode(prompt_template.render(problem)).size());
  }
  std::cout << to_toml_with_provenance(options) << "\n"
            << problems.size() << " problems, the longest prompt has " << longest << " tokens; "
            << config.num_prompts_per_step * config.num_generations << " completions a step\n"
            << describe(plan_grpo(read_model_config(config.model_name_or_path + "/config.json",
                                                    parse_mla_prefix(config.mla_prefix)),
                                  config, static_cast<std::int64_t>(longest)));
  return kExitDone;
}

}  // namespace

int run_grpo(int argc, char** argv) {
  GrpoConfig config;
  ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "grpo",
               .summary = "reinforcement learning with group-relative advantages",
               .positional = ""});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  config.reward_config = read_reward_config(config.reward_config);
  const auto seed = static_cast<std::uint64_t>(config.seed);
  settle_chat_date(config, options, recorded_config(config));
  std::function<void()> check_stop;  // from when there is somebody to ask for it
  const WeightedRewards rewards = named_rewards(config.reward_funcs, config.reward_weights, config,
                                                [&check_stop] {
                                                  if (check_stop) check_stop();
                                                },
                                                {config.output_dir, config.worker_token_file});
  std::vector<Problem> problems =
      load_problems(config.dataset_name, config.dataset_split, "train", config.columns, seed);
  std::vector<Problem> eval_problems;
  if (!config.eval_dataset_name.empty()) {
    eval_problems = load_problems(config.eval_dataset_name, "", "validation", config.columns, seed);
    const auto limit = static_cast<std::size_t>(config.num_eval_problems);
    if (limit > 0 && eval_problems.size() > limit) eval_problems.resize(limit);
  }
  const PromptTemplate prompt_template =
      prompts_of_problems(config, config.model_name_or_path, {&problems, &eval_problems});
  try_on(rewards, problems);
  if (!eval_problems.empty()) try_on(rewards, eval_problems);
  if (options.dry_run) return dry_run(config, options, problems, prompt_template);
  Ranks ranks(config);
  const bool first = ranks.is_first();
  const Compute compute(ranks.own_share(config));
  TrainingCommand command(config, "grpo", "reward", first);
  command.save_config(options);
  check_stop = [requested = command.hooks().stop_requested] {
    if (requested()) throw StoppedWaiting();
  };
  if (first)
    std::cerr << to_toml_with_provenance(options) << "computes with " << compute.description()
              << ranks.description() << ", numerics "
              << training_numerics(compute.context(), parse_dtype(config.dtype)) << "; "
              << problems.size() << " problems\n";
  const std::string isolation = isolation_of(rewards, config.reward_funcs);
  if (first && !isolation.empty()) std::cerr << "rewards in processes: " << isolation << "\n";
  std::function<std::unique_ptr<Engine>(SamplingRun)> make_engine;
  if (!config.workers.empty())
    make_engine = [&](SamplingRun run) {
      return connect_workers(config, ranks.collectives(), std::move(run));
    };
  const RunResult result = train_grpo(
      compute.context(), ranks.collectives(), config,
      {.problems = problems,
       .eval_problems = eval_problems,
       .prompt_template = prompt_template,
       .rewards = rewards,
       .right = rewards.reward(0),
       .on_evaluation =
           [=](std::int64_t step, const Evaluation& evaluation) {
             if (!first) return true;
             std::fprintf(stderr, "step %lld: pass@1 %.3f [%.3f, %.3f], greedy %.3f, format %.3f\n",
                          static_cast<long long>(step), evaluation.pass_at_1.mean,
                          evaluation.pass_at_1.low, evaluation.pass_at_1.high, evaluation.greedy,
                          evaluation.format_rate);
             return true;
           },
       .make_engine = std::move(make_engine)},
      command.hooks());
  return command.report(result);
}

}  // namespace zeroth
