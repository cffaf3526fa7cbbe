// zeroth eval: how often a checkpoint is right.

#include <boost/json.hpp>
#include <cstdio>
#include <iostream>

#include "datasets/problem_source.h"
#include "rl/evaluate.h"
#include "rollout/local_engine.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/evaluation_report.h"
#include "tools/loaded_policy.h"
#include "tools/named_prompt.h"
#include "tools/named_rewards.h"
#include "tools/options.h"

namespace zeroth {

int run_eval(int argc, char** argv) {
  EvalConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "eval",
               .summary = "pass@1, greedy, maj@n and pass@n of a checkpoint",
               .positional = ""});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  const PromptTemplate prompt_template = named_prompt(config.prompt_template);
  std::vector<Problem> problems =
      load_problems(config.dataset_name, config.dataset_split, "test", config.columns,
                    static_cast<std::uint64_t>(config.seed));
  const auto limit = static_cast<std::size_t>(config.num_problems);
  if (limit > 0 && problems.size() > limit) problems.resize(limit);
  const std::unique_ptr<Reward> right = make_reward(config.reward_funcs[0], reward_options(config));
  try_on(*right, problems);
  if (options.dry_run) {
    std::cout << "would evaluate " << problems.size() << " problems, " << config.num_generations
              << " samples of each\n";
    return kExitDone;
  }
  const Compute compute(config);
  LoadedPolicy policy(config.model_name_or_path, config.dtype, config.mla_prefix);
  LocalEngine engine(compute.context(), policy.packed,
                     {.max_num_seqs = config.max_num_seqs, .page_size = config.page_size});
  const Evaluation result =
      evaluate(engine, policy.tokenizer, prompt_template, problems, *right,
               {.num_generations = config.num_generations,
                .max_completion_length = config.max_completion_length,
                .temperature = config.temperature,
                .seed = static_cast<std::uint64_t>(config.seed),
                .on_reward_error = parse_on_reward_error(config.reward_on_error)});
  if (result.reward_failures > 0)
    std::cerr << "eval: " << right->name() << " failed on " << result.reward_failures
              << " completions, which count as not right\n";
  if (config.json) {
    boost::json::object json = evaluation_json(result);
    json["parameters"] = policy.weights.num_parameters();
    std::cout << write_json(json) << "\n";
  } else {
    std::cout << evaluation_header() << evaluation_row(config.model_name_or_path, result);
  }
  return kExitDone;
}

}  // namespace zeroth
