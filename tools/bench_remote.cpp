// zeroth bench remote: the quickstart's step with a worker on the loopback beside the step that
// samples in this process, turn by turn, from the same checkpoint on the same problems. Both make
// the same bytes, which is checked, so that nothing but the way differs.

#include <boost/json.hpp>
#include <cstdio>
#include <iostream>
#include <stdexcept>

#include "datasets/problem_source.h"
#include "rl/grpo_trainer.h"
#include "rl/training_options.h"
#include "rollout/local_backend.h"
#include "rollout/local_engine.h"
#include "system/json.h"
#include "tools/bench.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/loopback_worker.h"
#include "tools/named_rewards.h"

namespace zeroth {
namespace {

struct Times {
  std::vector<double> step, rollout;  // seconds, one a step
};

void take_step(GrpoTrainer& trainer, std::int64_t step, double learning_rate, bool counts,
               Times& times) {
  const double start = monotonic_seconds();
  const GrpoStep result = trainer.step(step, learning_rate, false);
  if (!counts) return;
  times.step.push_back(monotonic_seconds() - start);
  times.rollout.push_back(metric(result.metrics, "time/rollout"));
}

bool same_weights(const TrainedPolicy& a, const TrainedPolicy& b) {
  const auto x = a.weights().values(), y = b.weights().values();
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

}  // namespace

int bench_remote(const BenchConfig& config) {
  const Compute compute(config), workers_compute(config);
  const GrpoConfig grpo = bench_recipe(config);
  const std::vector<Problem> problems =
      load_problems("sums", "train", "train", "plain", static_cast<std::uint64_t>(config.seed));
  const PromptTemplate prompt_template = PromptTemplate::from_text("{question}", "bench");
  const WeightedRewards rewards = named_rewards(grpo.reward_funcs, grpo.reward_weights);
  const auto load = [&] {
    return TrainedPolicy(compute.context(), config.model_name_or_path, parse_dtype(config.dtype),
                         parse_mla_prefix(config.mla_prefix));
  };
  TrainedPolicy here = load(), there = load();
  const EngineConfig engine{.max_num_seqs = grpo.max_num_seqs, .record_experts = true};
  LocalEngine local(compute.context(), here.packed(), engine);
  LocalBackend backend(workers_compute.context(), engine);
  LoopbackWorker worker(compute.context(), there.packed(), backend);
  Collectives alone;
  const auto trainer = [&](TrainedPolicy& policy, Engine& sampler) {
    return GrpoTrainer(compute.context(), alone, policy, nullptr, sampler, problems,
                       prompt_template, rewards, grpo);
  };
  GrpoTrainer local_trainer = trainer(here, local);
  GrpoTrainer remote_trainer = trainer(there, worker.engine());
  Times local_times, remote_times;
  for (std::int64_t step = 1; step <= config.steps; ++step) {
    const bool counts = step > config.warmup;
    take_step(local_trainer, step, grpo.learning_rate, counts, local_times);
    take_step(remote_trainer, step, grpo.learning_rate, counts, remote_times);
    if (!same_weights(here, there)) throw std::runtime_error("bench: the two runs differ");
    std::fprintf(stderr, "step %lld of %lld\n", static_cast<long long>(step),
                 static_cast<long long>(config.steps));
  }
  const double local_step = median(local_times.step), remote_step = median(remote_times.step);
  const double local_rollout = median(local_times.rollout);
  const double remote_rollout = median(remote_times.rollout);
  if (config.json) {
    std::cout << write_json(boost::json::object{
                     {"threads", compute.context().pool->num_threads()},
                     {"isa", isa_name(compute.context().isa)},
                     {"dtype", config.dtype},
                     {"steps", config.steps - config.warmup},
                     {"step_seconds", {{"local", local_step}, {"remote", remote_step}}},
                     {"rollout_seconds", {{"local", local_rollout}, {"remote", remote_rollout}}},
                     {"step_ratio", remote_step / local_step}})
              << "\n";
    return kExitDone;
  }
  std::printf("quickstart step, 8 x 100 completions, %s, %s; medians of %lld steps, turn by turn\n",
              compute.description().c_str(), config.dtype.c_str(),
              static_cast<long long>(config.steps - config.warmup));
  std::printf("%-10s %12s %12s %9s\n", "seconds", "local", "one worker", "ratio");
  std::printf("%-10s %12.4f %12.4f %9.3f\n", "step", local_step, remote_step,
              remote_step / local_step);
  std::printf("%-10s %12.4f %12.4f %9.3f\n", "rollout", local_rollout, remote_rollout,
              remote_rollout / local_rollout);
  return kExitDone;
}

}  // namespace zeroth
