// zeroth inspect: what a checkpoint is, and whether it is whole; GGUF files: inspect_gguf.cpp.

#include <iostream>

#include "policy/model_config.h"
#include "rl/config.h"
#include "tools/commands.h"
#include "tools/inspect_checkpoint.h"
#include "tools/inspect_gguf.h"
#include "tools/inspect_report.h"
#include "tools/model_directory.h"
#include "tools/options.h"

namespace zeroth {

int run_inspect(int argc, char** argv) {
  InspectConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "inspect",
                                           .summary = "say what a checkpoint is, and check it",
                                           .positional = "model_name_or_path"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  if (is_gguf(config.model_name_or_path)) return inspect_gguf(config);
  const CheckpointReport report = inspect_checkpoint(
      config.model_name_or_path, {.values = !config.quick, .checksums = config.checksums});
  if (config.json) {
    print_json(config.model_name_or_path, report);
  } else {
    print_text(config.model_name_or_path, report, config.tensors);
  }
  return report.problems.empty() ? kExitDone : kExitWrongInput;
}

}  // namespace zeroth
