// zeroth bench, and its comparison with a plain PyTorch program: steps of both, turn by turn, from
// the same checkpoint on the same training problems (each draws its own), with the same threads.

#include "tools/bench.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "datasets/problem_source.h"
#include "rl/grpo_trainer.h"
#include "rl/training_options.h"
#include "rollout/local_engine.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/line_process.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/named_rewards.h"
#include "tools/options.h"

namespace zeroth {

namespace fs = std::filesystem;

namespace {

struct Benchmark {
  std::string_view name;  // as `what` says it
  int (*run)(const BenchConfig&);
};

constexpr Benchmark kBenchmarks[] = {
    {"quickstart", bench_quickstart},  {"worker", bench_worker},
    {"remote", bench_remote},          {"cache", bench_cache},
    {"rewards", bench_rewards},        {"plugin", bench_plugin},
    {"tokenizer", bench_tokenizer},    {"tokenizer_training", bench_tokenizer_training},
    {"checkpoints", bench_checkpoints}};

const Benchmark* find_benchmark(std::string_view name) {
  for (const Benchmark& one : kBenchmarks)
    if (one.name == name) return &one;
  return nullptr;
}

}  // namespace

void check(const BenchConfig& config) {
  const auto refuse = [](const char* field, const std::string& expected,
                         const std::string& actual) {
    throw InputError({.source = "bench", .field = field, .expected = expected, .actual = actual});
  };
  if (find_benchmark(config.what) == nullptr) {
    std::string names;
    for (const Benchmark& one : kBenchmarks)
      names += (names.empty()                       ? ""
                : &one == std::end(kBenchmarks) - 1 ? " or "
                                                    : ", ") +
               std::string(one.name);
    refuse("what", names, config.what.empty() ? "nothing" : config.what);
  }
  if (config.warmup < 0 || config.steps <= config.warmup) {
    refuse("steps", "more than warmup (" + std::to_string(config.warmup) + ")",
           std::to_string(config.steps));
  }
  if (config.num_generations < 1)
    refuse("num_generations", "at least 1", std::to_string(config.num_generations));
  if (config.megabytes < 1 || config.megabytes > 1'000'000)
    refuse("megabytes", "from 1 to 1000000", std::to_string(config.megabytes));
  if (config.what == "plugin" && config.plugin.empty())
    refuse("plugin", "FILE.so, python:FILE:FUNCTION or exec:FILE", "nothing");
  const bool takes_cases = config.what == "rewards" || config.what.starts_with("tokenizer");
  if (takes_cases && !fs::exists(config.cases)) {
    refuse("cases", "a file of recorded cases, or a directory of them",
           config.cases.empty() ? "nothing" : config.cases);
  }
  std::vector<std::string> files;
  if (config.what == "quickstart" || config.what == "checkpoints" || takes_cases)
    files = {config.python, peer_of(config)};
  if (config.what == "quickstart" || config.what == "remote")
    files.push_back(config.model_name_or_path + "/config.json");
  for (const std::string& file : files) {
    const bool is_in_path = file == config.python && file.find('/') == std::string::npos;
    if (!is_in_path && !fs::exists(file)) refuse("", "the file " + file, "none");
  }
}

std::string peer_of(const BenchConfig& config) {
  if (!config.peer.empty()) return config.peer;
  if (config.what == "tokenizer") return "tests/interop/tokenizers_peer.py";
  if (config.what == "tokenizer_training") return "tests/interop/tokenizers_training_peer.py";
  if (config.what == "checkpoints") return "tests/interop/safetensors_peer.py";
  return config.what == "rewards" ? "tests/interop/math_verify_peer.py"
                                  : "tests/interop/plain_torch_grpo.py";
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

GrpoConfig bench_recipe(const BenchConfig& config) {
  GrpoConfig grpo;
  grpo.model_name_or_path = config.model_name_or_path;
  grpo.seed = config.seed;
  grpo.loss_type = "dr_grpo";
  grpo.scale_rewards = "none";
  grpo.reward_funcs = {"accuracy_in_format", "format"};
  grpo.reward_weights = {1.0, 0.1};
  return grpo;
}

double metric(const std::vector<Metric>& metrics, const char* name) {
  for (const Metric& m : metrics) {
    if (m.name == name) return m.value;
  }
  throw std::logic_error(std::string("bench: no metric ") + name);
}

namespace {

struct Rates {
  std::vector<double> sampling, learning;  // tokens a second, one a step
};

fs::path write_prompts(const std::vector<Problem>& problems) {
  const fs::path file =
      fs::temp_directory_path() / ("zeroth-bench-" + std::to_string(getpid()) + ".jsonl");
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(1000, problems.size()); ++i) {
    text += write_json(boost::json::object{{"prompt", problems[i].question},
                                           {"answer", problems[i].answer}}) +
            "\n";
  }
  write_file_atomically(file, text);
  return file;
}

void print_line(const char* what, const std::vector<double>& peer,
                const std::vector<double>& ours) {
  std::printf("%-10s %14.0f %14.0f %9.2f\n", what, median(peer), median(ours),
              median(ours) / median(peer));
}

void print_result(const BenchConfig& config, const Compute& compute, const Rates& peer,
                  const Rates& ours) {
  if (config.json) {
    const auto entry = [](const std::vector<double>& p, const std::vector<double>& o) {
      return boost::json::object{
          {"peer", median(p)}, {"zeroth", median(o)}, {"ratio", median(o) / median(p)}};
    };
    std::cout << write_json(boost::json::object{
                     {"threads", compute.context().pool->num_threads()},
                     {"isa", isa_name(compute.context().isa)},
                     {"dtype", config.dtype},
                     {"steps", config.steps - config.warmup},
                     {"sampling_tokens_per_second", entry(peer.sampling, ours.sampling)},
                     {"learner_tokens_per_second", entry(peer.learning, ours.learning)}})
              << "\n";
    return;
  }
  std::printf("quickstart step, 8 x 100 completions, %s, %s; medians of %lld steps, turn by turn\n",
              compute.description().c_str(), config.dtype.c_str(),
              static_cast<long long>(config.steps - config.warmup));
  std::printf("%-10s %14s %14s %9s\n", "tokens/s", "plain PyTorch", "zeroth", "ratio");
  print_line("sampling", peer.sampling, ours.sampling);
  print_line("learner", peer.learning, ours.learning);
}

}  // namespace

int run_bench(int argc, char** argv) {
  BenchConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "bench",
               .summary = "speed, measured in one run beside what it is compared with",
               .positional = "what",
               .aliases = {{"architecture", "preset"}}});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  if (options.dry_run) {
    std::cout << "would run " << config.steps << " steps: bench " << config.what << "\n";
    return kExitDone;
  }
  return find_benchmark(config.what)->run(config);
}

int bench_quickstart(const BenchConfig& config) {
  const Compute compute(config);
  const int threads = compute.context().pool->num_threads();
  const GrpoConfig grpo = bench_recipe(config);
  const std::vector<Problem> problems =
      load_problems("sums", "train", "train", "plain", static_cast<std::uint64_t>(config.seed));
  const PromptTemplate prompt_template = PromptTemplate::from_text("{question}", "bench");
  const WeightedRewards rewards = named_rewards(grpo.reward_funcs, grpo.reward_weights);
  TrainedPolicy policy(compute.context(), config.model_name_or_path, parse_dtype(config.dtype),
                       parse_mla_prefix(config.mla_prefix));
  LocalEngine engine(compute.context(), policy.packed(),
                     {.max_num_seqs = grpo.max_num_seqs, .record_experts = true});
  Collectives alone;
  GrpoTrainer trainer(compute.context(), alone, policy, nullptr, engine, problems, prompt_template,
                      rewards, grpo);

  const fs::path prompts = write_prompts(problems);
  LineProcess peer({config.python, peer_of(config), "--checkpoint", config.model_name_or_path,
                    "--prompts", prompts.string(), "--steps", std::to_string(config.steps),
                    "--warmup", std::to_string(config.warmup), "--threads", std::to_string(threads),
                    "--dtype", config.dtype, "--wait_for_line"});
  Rates peer_rates;
  Rates our_rates;
  std::int64_t tokens_before = 0;
  for (std::int64_t step = 1; step <= config.steps; ++step) {
    peer.write_line("step");
    const JsonReader line = JsonReader::parse(peer.read_line(), peer_of(config));
    const GrpoStep ours = trainer.step(step, grpo.learning_rate, false);
    const double prompt_tokens = static_cast<double>(engine.statistics().prompt_tokens);
    const double completion_tokens =
        static_cast<double>(trainer.num_tokens() - tokens_before) - prompt_tokens;
    tokens_before = trainer.num_tokens();
    // The learner's tokens are counted as one that repeats the prompt would: once a sequence.
    const double learner_tokens =
        completion_tokens + prompt_tokens * static_cast<double>(grpo.num_generations);
    if (step > config.warmup) {
      peer_rates.sampling.push_back(line.get_double("sample_tokens") /
                                    line.get_double("sample_seconds"));
      peer_rates.learning.push_back(line.get_double("learn_tokens") /
                                    line.get_double("learn_seconds"));
      our_rates.sampling.push_back(completion_tokens / metric(ours.metrics, "time/rollout"));
      our_rates.learning.push_back(learner_tokens / metric(ours.metrics, "time/learn"));
    }
    std::fprintf(stderr, "step %lld of %lld\n", static_cast<long long>(step),
                 static_cast<long long>(config.steps));
  }
  fs::remove(prompts);
  print_result(config, compute, peer_rates, our_rates);
  return kExitDone;
}

}  // namespace zeroth
