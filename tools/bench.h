// zeroth bench: what is measured, one file each, and what the measurements share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rl/config.h"
#include "rl/metrics.h"

namespace zeroth {

struct BenchConfig : PolicyOptions {
  BenchConfig() {
    dtype = "float32";
    seed = 1;
    model_name_or_path = "runs/quickstart/base";
  }
  std::string what;
  std::int64_t steps = 15;
  std::int64_t warmup = 2;
  std::int64_t num_generations = 100;
  std::string preset = "tiny-mla-moe";
  std::int64_t megabytes = 1000;
  std::string python = ".venv/bin/python";
  std::string peer;
  std::string cases;
  std::string plugin;
  bool json = false;
};

template <class Visitor>
void visit_fields(Visitor& v, BenchConfig& c) {
  v("what", c.what, "what to measure",
    {"quickstart", "worker", "remote", "cache", "rewards", "plugin", "tokenizer",
     "tokenizer_training", "checkpoints"});
  visit_fields(v, static_cast<PolicyOptions&>(c));
  v("steps", c.steps, "GRPO steps of each program, warm-up included");
  v("warmup", c.warmup, "first steps that are not counted");
  v("num_generations", c.num_generations, "completions of a group, of 8 groups; bench cache only");
  v("preset", c.preset, "as zeroth init takes it; bench cache only");
  v("megabytes", c.megabytes, "size of the model in float32; bench checkpoints only");
  v("python", c.python, "interpreter with the peer's packages (tools/setup --interop makes .venv)");
  v("peer", c.peer,
    "the program to compare with; empty = plain_torch_grpo.py, math_verify_peer.py, "
    "tokenizers_peer.py, tokenizers_training_peer.py or safetensors_peer.py of tests/interop");
  v("cases", c.cases,
    "bench rewards: recorded cases of graders, as zeroth score --cases takes them; bench "
    "tokenizer: "
    "a directory with tokenizer.json and vectors_hf.jsonl, or of such; bench tokenizer_training: "
    "a JSONL file of {text}");
  v("plugin", c.plugin, "bench plugin: a reward of one's own, as reward_funcs names it");
  v("json", c.json, "print one JSON object");
}

void check(const BenchConfig& config);

/// Steps of the plain PyTorch program and of ours, turn by turn.
int bench_quickstart(const BenchConfig& config);
/// Completions a second that come through a worker which does nothing but hand them out.
int bench_worker(const BenchConfig& config);
/// Steps that sample here and steps that sample in a worker on the loopback, turn by turn.
int bench_remote(const BenchConfig& config);

/// Pairs of answers a second, and agreement with their labels, beside Math-Verify.
int bench_rewards(const BenchConfig& config);
/// Completions a second through a reward in a process of its own.
int bench_plugin(const BenchConfig& config);
/// Megabytes of text a second to ids and back, beside Hugging Face's tokenizers.
int bench_tokenizer(const BenchConfig& config);
/// Megabytes of text a second from which a tokenizer is learned, beside Hugging Face's trainer.
int bench_tokenizer_training(const BenchConfig& config);

/// Gigabytes a second of checkpoints loaded and saved, beside the safetensors package.
int bench_checkpoints(const BenchConfig& config);

/// Tokens a second with caches of several sizes, turn by turn.
int bench_cache(const BenchConfig& config);

/// The quickstart's step, 8 groups of 100.
GrpoConfig bench_recipe(const BenchConfig& config);
/// The program to compare with: `peer`, or the measurement's own.
std::string peer_of(const BenchConfig& config);
double median(std::vector<double> values);
double metric(const std::vector<Metric>& metrics, const char* name);

}  // namespace zeroth
