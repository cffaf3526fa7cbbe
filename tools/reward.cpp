// zeroth reward: begin a reward of one's own, build and test it, and list the rewards there are.

#include <filesystem>
#include <iomanip>
#include <iostream>
#include <string_view>

#include "rewards/host/hosted_reward.h"
#include "rewards/plugin/reward_template.h"
#include "rewards/registry.h"
#include "system/file.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/reward_commands.h"
#include "tools/reward_options.h"

namespace zeroth {
namespace {

constexpr std::string_view kUsage =
    "zeroth reward: a reward of your own, and the rewards there are\n\n"
    "usage: zeroth reward new NAME [--language cpp|c|python|exec]  write a reward to begin with\n"
    "       zeroth reward build [DIRECTORY]                        compile one in C or C++\n"
    "       zeroth reward test REWARD [--items FILE]               batteries before a run\n"
    "       zeroth reward list [REWARD,…]                          names and descriptions\n\n"
    "REWARD is a word of reward_funcs: FILE.so, python:FILE:FUNCTION, exec:FILE or a name.\n"
    "Each says more with --help.\n";

int run_new(int argc, char** argv) {
  RewardNewConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "reward new",
                                           .summary = "write the files of a reward to begin with",
                                           .positional = "name"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  const RewardTemplate made = reward_template(config.name, config.language);
  const std::filesystem::path directory =
      config.output_dir.empty() ? config.name : config.output_dir;
  if (std::filesystem::exists(directory))
    throw InputError({.source = "reward new",
                      .field = "output_dir",
                      .expected = "a directory that is not there yet",
                      .actual = directory.string()});
  if (options.dry_run) {
    for (const TemplateFile& file : made.files)
      std::cout << "would write " << (directory / file.name).string() << "\n";
    return kExitDone;
  }
  for (const TemplateFile& file : made.files) {
    std::filesystem::create_directories((directory / file.name).parent_path());
    write_file_atomically(directory / file.name, file.text);
    if (file.is_program)
      std::filesystem::permissions(directory / file.name, std::filesystem::perms::owner_exec,
                                   std::filesystem::perm_options::add);
  }
  std::cout << "wrote";
  for (const TemplateFile& file : made.files) std::cout << " " << (directory / file.name).string();
  std::cout << "\nthe rule is in the first of them; next:\n\n  cd " << directory.string() << "\n";
  if (made.is_built) std::cout << "  zeroth reward build\n";
  std::cout << "  zeroth reward test " << made.reward_funcs << "\n"
            << "  zeroth score items.jsonl --reward_funcs " << made.reward_funcs << "\n"
            << "  zeroth grpo --reward_funcs " << made.reward_funcs << " …\n";
  return kExitDone;
}

void print_row(std::string_view name, std::string_view description) {
  std::cout << std::left << std::setw(20) << name << " " << description << "\n";
}

int run_list(int argc, char** argv) {
  RewardListConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "reward list",
               .summary = "names, descriptions and parameters of rewards",
               .positional = "reward_funcs"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  for (const RewardEntry& entry : reward_entries()) {
    print_row(entry.name, entry.description);
    for (const RewardParameter& parameter : entry.parameters())
      std::cout << "    " << parameter.key << " = " << parameter.default_json << ": "
                << parameter.help << "\n";
  }
  for (const std::string& name : config.reward_funcs) {
    const auto reward = make_reward(name, {.host = {.python = config.reward_python}});
    const auto* hosted = dynamic_cast<const HostedReward*>(reward.get());
    if (hosted != nullptr)
      print_row(hosted->name(), std::string(hosted->description()) + " (" + name + ", isolation " +
                                    std::string(isolation_name(*hosted->isolation())) + ")");
  }
  return kExitDone;
}

}  // namespace

int run_reward(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "--help";
  if (what == "new") return run_new(argc - 1, argv + 1);
  if (what == "build") return run_reward_build(argc - 1, argv + 1);
  if (what == "test") return run_reward_test(argc - 1, argv + 1);
  if (what == "list") return run_list(argc - 1, argv + 1);
  if (what == "--help" || what == "-h") {
    std::cout << kUsage;
    return kExitDone;
  }
  throw InputError({.source = "zeroth reward",
                    .field = "",
                    .expected = "new, build, test or list",
                    .actual = std::string(what)});
}

}  // namespace zeroth
