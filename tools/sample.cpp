// zeroth sample: completions of one prompt.

#include <boost/json.hpp>
#include <iostream>
#include <iterator>

#include "rollout/local_engine.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/loaded_policy.h"
#include "tools/named_prompt.h"
#include "tools/options.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kSampleStream = 3;

std::string prompt_text(const SampleConfig& config) {
  if (config.prompt != "-") return config.prompt;
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void print_json(const LoadedPolicy& policy, const Completion& completion) {
  double total = 0.0;
  for (const float logprob : completion.logprobs) total += static_cast<double>(logprob);
  const boost::json::object json = {
      {"completion", policy.tokenizer.decode(completion.tokens, true)},
      {"token_ids", boost::json::array(completion.tokens.begin(), completion.tokens.end())},
      {"logprob", total},
      {"finish_reason", completion.stop_reason == StopReason::length ? "length" : "stop"}};
  std::cout << write_json(json) << "\n";
}

}  // namespace

int run_sample(int argc, char** argv) {
  SampleConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "sample", .summary = "completions of one prompt", .positional = "prompt"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  const PromptTemplate prompt_template = named_prompt(config.prompt_template);
  const std::string prompt = prompt_template.render(prompt_text(config));
  if (options.dry_run) {
    std::cout << prompt << "\n";
    return kExitDone;
  }
  const Compute compute(config);
  LoadedPolicy policy(config.model_name_or_path, config.dtype, config.mla_prefix);
  LocalEngine engine(compute.context(), policy.packed, {});
  const GenerateRequest request{.prompt = policy.tokenizer.encode(prompt),
                                .num_generations = config.num_generations};
  const std::vector<Group> groups =
      engine.generate({&request, 1}, {.temperature = config.temperature,
                                      .max_new_tokens = config.max_completion_length,
                                      .seed = static_cast<std::uint64_t>(config.seed),
                                      .stream = kSampleStream});
  for (const Completion& completion : groups[0].completions) {
    if (config.json) {
      print_json(policy, completion);
    } else {
      std::cout << policy.tokenizer.decode(completion.tokens, true) << "\n";
    }
  }
  return kExitDone;
}

}  // namespace zeroth
