// zeroth: finds the command, and turns exceptions into text and exit codes.

#include <malloc.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "policy/chat/template_host.h"
#include "rewards/host/reward_child.h"
#include "system/error.h"
#include "system/nearest_name.h"
#include "tools/commands.h"
#include "tools/printable.h"

namespace {

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);
};

constexpr Command kCommands[] = {
    {"quickstart", "random weights to a trained model in minutes", zeroth::run_quickstart},
    {"init", "write a checkpoint with random weights", zeroth::run_init},
    {"sft", "supervised fine-tuning on a data set's solutions", zeroth::run_sft},
    {"grpo", "reinforcement learning with group-relative advantages", zeroth::run_grpo},
    {"distill", "a student from a teacher's samples that pass the rules", zeroth::run_distill},
    {"sample", "completions of prompts, streamed", zeroth::run_sample},
    {"eval", "pass@k, maj@k and greedy accuracy, with intervals", zeroth::run_eval},
    {"score", "reward the completions of a JSONL file", zeroth::run_score},
    {"reward", "a reward of your own: begin, build, test; and those there are", zeroth::run_reward},
    {"inspect", "say what a checkpoint is, and check it", zeroth::run_inspect},
    {"export", "write a checkpoint for transformers, vLLM or llama.cpp", zeroth::run_export},
    {"report", "runs as one page of HTML that needs no network", zeroth::run_report},
    {"worker", "sample for learners (zeroth grpo --workers …) over HTTP", zeroth::run_worker},
    {"logits", "logits of every position of a text or of tokens", zeroth::run_logits},
    {"tokenize", "ids of texts, and the text of those ids", zeroth::run_tokenize},
    {"tokenizer", "train a tokenizer on texts", zeroth::run_tokenizer},
    {"chat-template", "conversations as a model's template has them", zeroth::run_chat_template},
    {"bench", "speed, measured in one run beside what it is compared with", zeroth::run_bench},
};

void print_help() {
  std::cout << "zeroth " ZEROTH_VERSION ": trains language models with rule-based rewards\n\n"
            << "usage: zeroth COMMAND [--config recipe.toml] [--key value]…\n"
            << "       zeroth COMMAND --help    every key with its type, default and unit\n\n";
  for (const Command& command : kCommands) {
    std::cout << "  " << command.name << std::string(15 - command.name.size(), ' ')
              << command.summary << "\n";
  }
  std::cout << "\nexit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted at a resumable "
               "point\n";
}

int run(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "--help";
  if (name == "--help" || name == "-h" || name == "help") {
    print_help();
    return zeroth::kExitDone;
  }
  if (name == "--version") {
    std::cout << "zeroth " ZEROTH_VERSION "\n";
    return zeroth::kExitDone;
  }
  // Started by what lives in a process of its own, and by nobody else: not in the list.
  if (name == "reward-host") return zeroth::run_reward_child(argc - 1, argv + 1);
  if (name == "template-host") return zeroth::run_template_host(argc - 1, argv + 1);
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (command.name == name) return command.run(argc - 1, argv + 1);
    names.emplace_back(command.name);
  }
  throw zeroth::InputError({.source = "command line",
                            .field = "",
                            .expected = "a command, such as " + zeroth::nearest_name(name, names),
                            .actual = "\"" + name + "\"; zeroth --help lists them"});
}

// A command's exit code, which is not 0 where what it printed did not arrive: a full disk or a
// closed descriptor may say so only here.
int with_output_checked(int code) {
  errno = 0;
  std::cout.flush();
  const bool arrived = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
  if (arrived) return code;
  std::cerr << "zeroth: standard output: "
            << (errno != 0 ? std::strerror(errno) : "an earlier write was refused") << "\n";
  return code == zeroth::kExitDone ? zeroth::kExitFailed : code;
}

}  // namespace

int main(int argc, char** argv) {
  // Kernels take and give back scratch of any size all the time: keep it in the process.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  try {
    return with_output_checked(run(argc, argv));
  } catch (const zeroth::InputError& error) {
    std::cerr << "zeroth: " << zeroth::printable(error.what(), "\n\t") << "\n";
    return zeroth::kExitWrongInput;
  } catch (const std::exception& error) {
    std::cerr << "zeroth: " << zeroth::printable(error.what(), "\n\t") << "\n";
    return zeroth::kExitFailed;
  }
}
