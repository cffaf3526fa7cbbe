// zeroth sft: supervised fine-tuning on a data set's solutions.

#include "rl/train_sft.h"
#include "rl/training_options.h"

#include <iostream>

#include "datasets/problem_source.h"
#include "policy/model_config.h"
#include "policy/mtp_checkpoint.h"
#include "rl/training_numerics.h"
#include "rl/training_options.h"
#include "tools/chat_prompts.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/memory_plan.h"
#include "tools/model_directory.h"
#include "tools/ranks.h"
#include "tools/training_command.h"

namespace zeroth {

int run_sft(int argc, char** argv) {
  SftConfig config;
  ResolvedOptions options = resolve(argc, argv, config,
                                    {.name = "sft",
                                     .summary = "supervised fine-tuning on a data set's solutions",
                                     .positional = ""});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  settle_chat_date(config, options, recorded_config(config));
  std::vector<Problem> problems =
      load_problems(config.dataset_name, config.dataset_split, "train", config.columns,
                    static_cast<std::uint64_t>(config.seed));
  const PromptTemplate prompt_template =
      prompts_of_problems(config, config.model_name_or_path, {&problems});
  if (options.dry_run) {
    ModelConfig model = read_model_config(config.model_name_or_path + "/config.json",
                                          parse_mla_prefix(config.mla_prefix));
    if (config.mtp_loss_weight > 0.0) train_mtp(model, config.model_name_or_path);
    std::cout << to_toml_with_provenance(options) << "\n"
              << problems.size() << " problems\n"
              << describe(plan_sft(model, config));
    return kExitDone;
  }
  Ranks ranks(config);
  const Compute compute(ranks.own_share(config));
  TrainingCommand command(config, "sft", "loss", ranks.is_first());
  command.save_config(options);
  if (ranks.is_first())
    std::cerr << to_toml_with_provenance(options) << "computes with " << compute.description()
              << ranks.description() << ", numerics "
              << training_numerics(compute.context(), parse_dtype(config.dtype)) << "; "
              << problems.size() << " problems\n";
  return command.report(train_sft(compute.context(), ranks.collectives(), config, problems,
                                  prompt_template, command.hooks()));
}

}  // namespace zeroth
