// What a user sets for each command: plain structs with defaults, and one visit_fields each.
//
// Goal: a key is written down once. Flags, recipes, help texts, the saved configuration and errors
// all come from visit_fields. Keys carry TRL's names where TRL has the notion, so that a recipe
// reads the same in both. Non-goal: reading files or flags (tools/options.h does).
//
// A visitor is called as v(key, member, help) and, for a text that must be one of a few words, as
// v(key, member, help, {words…}). Help texts name the unit and what 0 or an empty text means.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rl/prompt_options.h"

namespace zeroth {

/// The model a command works on and how it computes.
struct PolicyOptions {
  std::string model_name_or_path;
  std::int64_t seed = 42;
  std::string dtype = "bfloat16";
  std::string mla_prefix = "absorbed";
  std::int64_t num_threads = 0;
  std::string isa = "auto";
};

template <class Visitor>
void visit_fields(Visitor& v, PolicyOptions& c) {
  v("model_name_or_path", c.model_name_or_path, "directory of the checkpoint");
  v("seed", c.seed, "key of every random number");
  v("dtype", c.dtype, "type of products; sums and master weights stay float32",
    {"float32", "bfloat16"});
  v("mla_prefix", c.mla_prefix,
    "how latent attention meets prompts; expanded: fewer products, more memory, other bits in bf16",
    {"absorbed", "expanded"});
  v("num_threads", c.num_threads, "threads; 0 = every core; never changes a number");
  v("isa", c.isa, "instruction set of the kernels; never changes a number",
    {"auto", "portable", "avx2", "avx512"});
}

/// Where problems come from and how they become prompts.
struct DatasetOptions : PromptOptions {
  std::string dataset_name;
  std::string dataset_split;
  std::string columns = "plain";
};

template <class Visitor>
void visit_fields(Visitor& v, DatasetOptions& c) {
  v("dataset_name", c.dataset_name, "JSONL file, or the name of a problem generator");
  v("dataset_split", c.dataset_split, "split of a problem generator; empty = the command's own");
  v("columns", c.columns,
    "how a record is read: plain, gsm8k, math, trl, messages, or question=Q,answer=A");
  visit_fields(v, static_cast<PromptOptions&>(c));
}

/// How rewards find the answer; how those of the user's own, which live in child processes, are
/// run, and what is done when a reward fails.
struct NamedRewardOptions {
  std::string answer_rules = "tag,boxed,hashes";
  std::string reward_config;
  std::string reward_on_error = "stop";
  double reward_timeout = 10.0;
  std::int64_t reward_memory = std::int64_t{4} << 30;
  std::int64_t reward_workers = 1;
  std::string reward_python = "python3";
  std::string sandbox = "full";
  std::string sandbox_min = "limits";
  std::vector<std::string> sandbox_paths;
};

template <class Visitor>
void visit_fields(Visitor& v, NamedRewardOptions& c) {
  v("answer_rules", c.answer_rules,
    "where an answer is looked for, in this order: tag (<answer>…</answer>), boxed, hashes (####), "
    "phrase (the answer is …), choice (a letter), number (the last), after=PREFIX (the line's "
    "rest)");
  v("reward_config", c.reward_config,
    "parameters of rewards: {\"word of reward_funcs\": {\"parameter\": value, …}, …} as JSON, or a "
    ".json file of that; empty = every default (zeroth reward list)");
  v("reward_on_error", c.reward_on_error,
    "a completion that a reward fails on: stop = the command ends where it can be resumed, "
    "exclude = it is left out, a number = that reward gives it this score");
  v("reward_timeout", c.reward_timeout,
    "seconds that a .so, python: or exec: reward may take for up to 64 completions");
  v("reward_memory", c.reward_memory,
    "bytes of memory of each process of a .so, python: or exec: reward");
  v("reward_workers", c.reward_workers,
    "processes of each .so, python: or exec: reward, which share the completions of a step");
  v("reward_python", c.reward_python, "Python 3 interpreter that runs python: rewards");
  v("sandbox", c.sandbox,
    "how far a reward's process is held, where the system can: full = no network, and of the files "
    "its own directory, to read; seccomp = the user's files, no network; limits = memory, time; "
    "none",
    {"none", "limits", "seccomp", "full"});
  v("sandbox_min", c.sandbox_min,
    "level of sandbox without which the command refuses to start, as the system may have no higher",
    {"none", "limits", "seccomp", "full"});
  v("sandbox_paths", c.sandbox_paths,
    "files and directories that rewards may read under sandbox = full, beside their own");
}

/// InputError naming the key.
void check_named_rewards(const NamedRewardOptions& options);

/// Which tokens are drawn from, after the temperature; neutral by default.
struct TruncationOptions {
  std::int64_t top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
};

template <class Visitor>
void visit_fields(Visitor& v, TruncationOptions& c) {
  v("top_k", c.top_k, "most likely tokens that are drawn from; 0 = all");
  v("top_p", c.top_p, "share of the probability that is drawn from, after top_k; 1 = all");
  v("min_p", c.min_p,
    "least probability that is drawn from, as a share of the greatest, after top_p; 0 = all");
}

/// The keys of everything that trains.
struct TrainingOptions : PolicyOptions, DatasetOptions {
  std::string output_dir;
  double learning_rate = 2e-3;
  std::string lr_scheduler_type = "linear";
  std::int64_t warmup_steps = 0;
  std::int64_t max_steps = 1000;
  double max_grad_norm = 1.0;
  double weight_decay = 0.0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  std::int64_t micro_batch_tokens = 1024;
  std::int64_t logging_steps = 1;
  std::vector<std::string> report_to;
  std::int64_t save_steps = 0;
  std::int64_t save_total_limit = 0;
  std::string resume_from_checkpoint;
  bool allow_mixed_numerics = false;
  double max_seconds = 0.0;
  bool exact_ranks = false;
  double ranks_timeout = 300.0;

  bool reports_to_tensorboard() const {
    return std::find(report_to.begin(), report_to.end(), "tensorboard") != report_to.end();
  }
};

template <class Visitor>
void visit_fields(Visitor& v, TrainingOptions& c) {
  visit_fields(v, static_cast<PolicyOptions&>(c));
  visit_fields(v, static_cast<DatasetOptions&>(c));
  v("output_dir", c.output_dir,
    "directory of the run: config.toml, metrics.jsonl, checkpoint-N, report.html");
  v("learning_rate", c.learning_rate, "peak step size of AdamW");
  v("lr_scheduler_type", c.lr_scheduler_type, "course of the learning rate after the warm-up",
    {"linear", "constant", "cosine"});
  v("warmup_steps", c.warmup_steps, "steps over which the learning rate rises from 0");
  v("max_steps", c.max_steps, "optimizer steps of the whole run");
  v("max_grad_norm", c.max_grad_norm, "longer gradients are scaled to this L2 norm; 0 = never");
  v("weight_decay", c.weight_decay, "decoupled decay of matrices, times the learning rate");
  v("adam_beta1", c.adam_beta1, "decay of AdamW's first moment");
  v("adam_beta2", c.adam_beta2, "decay of AdamW's second moment");
  v("adam_epsilon", c.adam_epsilon, "added to the root of AdamW's second moment");
  v("micro_batch_tokens", c.micro_batch_tokens,
    "completion tokens whose activations are kept at once; bounds memory, never changes a number");
  v("logging_steps", c.logging_steps, "steps between lines of metrics.jsonl");
  v("report_to", c.report_to,
    "tensorboard: also write events.out.tfevents.* to the run's directory; none or empty = "
    "metrics.jsonl alone");
  v("save_steps", c.save_steps, "steps between checkpoints; 0 = only at the end");
  v("save_total_limit", c.save_total_limit, "checkpoints kept, the newest; 0 = all");
  v("resume_from_checkpoint", c.resume_from_checkpoint,
    "latest, or a checkpoint directory; empty = start anew");
  v("allow_mixed_numerics", c.allow_mixed_numerics,
    "go on from a checkpoint, or with workers, of another numerics fingerprint; gives up that a "
    "run "
    "is a function of (config, data, seed)");
  v("max_seconds", c.max_seconds, "seconds after which to save and stop; 0 = no limit");
  v("exact_ranks", c.exact_ranks,
    "sum gradients as integers: weights have the same bytes for any number of ranks");
  v("ranks_timeout", c.ranks_timeout, "seconds that ranks wait for each other at the start");
}

/// zeroth sft: next-token prediction of the data set's solutions.
struct SftConfig : TrainingOptions {
  std::int64_t per_device_train_batch_size = 64;
  std::int64_t max_length = 512;
  double mtp_loss_weight = 0.0;
};

template <class Visitor>
void visit_fields(Visitor& v, SftConfig& c) {
  visit_fields(v, static_cast<TrainingOptions&>(c));
  v("per_device_train_batch_size", c.per_device_train_batch_size, "sequences a step");
  v("max_length", c.max_length, "tokens of prompt and solution; a longer sequence is left out");
  v("mtp_loss_weight", c.mtp_loss_weight,
    "weight of the mean loss of the checkpoint's multi-token-prediction modules, which are then "
    "trained with the model; 0 = they stay as they are");
}

/// zeroth grpo: reinforcement learning with group-relative advantages.
///
/// Under top_k, top_p or min_p the ratios of the loss stay those of the whole distribution, as in
/// TRL; sampling/kept_probability says how much of it was sampled from (docs/numerics.md).
struct GrpoConfig : TrainingOptions, TruncationOptions, NamedRewardOptions {
  GrpoConfig() {
    learning_rate = 3e-4;
    lr_scheduler_type = "constant";
    max_steps = 100;
    adam_beta2 = 0.95;
  }

  std::int64_t num_generations = 100;
  std::int64_t num_prompts_per_step = 8;
  std::int64_t max_completion_length = 56;
  double temperature = 1.0;
  double beta = 0.0;
  double epsilon = 0.2;
  std::optional<double> epsilon_high;
  std::int64_t num_iterations = 1;
  std::string scale_rewards = "group";
  std::string multi_objective_aggregation = "sum_then_normalize";
  std::string loss_type = "grpo";
  std::string importance_sampling_level = "token";
  bool use_bias_correction_kl = true;
  bool mask_truncated_completions = false;
  std::vector<std::string> reward_funcs;
  std::vector<double> reward_weights;
  double router_bias_update_speed = 0.0;
  std::string eval_dataset_name;
  std::int64_t eval_steps = 0;
  std::int64_t num_eval_problems = 0;
  std::int64_t num_eval_generations = 4;
  bool log_completions = false;
  std::int64_t max_num_seqs = 800;
  std::int64_t page_size = 16;
  std::int64_t max_cache_bytes = 0;
  std::vector<std::string> workers;
  std::string worker_token_file;
  std::string worker_ca_file;
  double worker_lost_seconds = 10.0;
  double no_worker_seconds = 600.0;

  /// The upper clip: epsilon_high where it is set, else epsilon.
  double upper_epsilon() const { return epsilon_high.value_or(epsilon); }
};

template <class Visitor>
void visit_fields(Visitor& v, GrpoConfig& c) {
  visit_fields(v, static_cast<TrainingOptions&>(c));
  v("num_generations", c.num_generations, "completions of one prompt: a group");
  v("num_prompts_per_step", c.num_prompts_per_step, "groups a step");
  v("max_completion_length", c.max_completion_length, "tokens of the longest completion");
  v("temperature", c.temperature, "divides the logits, in sampling and in the loss");
  visit_fields(v, static_cast<TruncationOptions&>(c));
  v("beta", c.beta, "weight of the KL divergence to the starting policy; 0 = no reference kept");
  v("epsilon", c.epsilon, "lower clip: ratios below 1 - epsilon get no gradient");
  v("epsilon_high", c.epsilon_high, "upper clip: ratios above 1 + epsilon_high; unset = epsilon");
  v("num_iterations", c.num_iterations, "optimizer steps on the same completions");
  v("scale_rewards", c.scale_rewards, "standard deviation that advantages are divided by",
    {"group", "batch", "none"});
  v("multi_objective_aggregation", c.multi_objective_aggregation,
    "several rewards: normalize_then_sum brings each to one scale in its group first (GDPO)",
    {"sum_then_normalize", "normalize_then_sum"});
  v("loss_type", c.loss_type,
    "normaliser: grpo = each sequence's mean, bnpo and dapo = all tokens, "
    "dr_grpo = max_completion_length",
    {"grpo", "bnpo", "dapo", "dr_grpo"});
  v("importance_sampling_level", c.importance_sampling_level,
    "what a ratio is of: each token, or a completion's tokens together (GSPO)",
    {"token", "sequence"});
  v("use_bias_correction_kl", c.use_bias_correction_kl,
    "weigh the KL term by the ratio, so that its gradient is that of the KL divergence");
  v("mask_truncated_completions", c.mask_truncated_completions,
    "leave completions that reach max_completion_length out of the loss");
  v("reward_funcs", c.reward_funcs,
    "rewards by name, FILE.so, python:FILE:FUNCTION or exec:FILE; an evaluation counts as right "
    "what the "
    "first "
    "gives more than 0.5");
  v("reward_weights", c.reward_weights, "one weight a reward; empty = 1 each");
  visit_fields(v, static_cast<NamedRewardOptions&>(c));
  v("router_bias_update_speed", c.router_bias_update_speed,
    "step of the experts' selection bias towards equal load; 0 = frozen");
  v("eval_dataset_name", c.eval_dataset_name, "JSONL file or generator held out; empty = none");
  v("eval_steps", c.eval_steps, "steps between evaluations; 0 = only at the end");
  v("num_eval_problems", c.num_eval_problems, "problems of an evaluation; 0 = all");
  v("num_eval_generations", c.num_eval_generations, "completions of one evaluated problem");
  v("log_completions", c.log_completions, "write every step's completions to completions/");
  v("max_num_seqs", c.max_num_seqs, "sequences decoded at once; bounds memory");
  v("page_size", c.page_size, "tokens of one page of the cache");
  v("max_cache_bytes", c.max_cache_bytes,
    "bytes of the cache; 0 = as max_num_seqs need; never changes a number");
  v("workers", c.workers,
    "zeroth worker processes that sample, as host:port (http) or a URL; empty = sample here");
  v("worker_token_file", c.worker_token_file,
    "file that holds the workers' bearer token (scopes generate and publish); empty = none");
  v("worker_ca_file", c.worker_ca_file,
    "PEM certificates that https workers are checked against; empty = the system's");
  v("worker_lost_seconds", c.worker_lost_seconds,
    "seconds of silence after which a worker's groups go to others");
  v("no_worker_seconds", c.no_worker_seconds,
    "seconds to wait for a worker when there is none, before the run stops");
}

/// zeroth worker: samples for learners on other processes or machines.
struct WorkerOptions {
  std::string host = "127.0.0.1";
  std::int64_t port = 8471;
  std::string token_file;
  std::string tls_certificate_file;
  std::string tls_key_file;
  std::string staging_dir;
  std::int64_t num_threads = 0;
  std::string isa = "auto";
  std::int64_t max_num_seqs = 800;
  std::int64_t page_size = 16;
  std::int64_t max_cache_bytes = 0;
  std::int64_t max_weights_bytes = std::int64_t{64} << 30;
  std::int64_t max_request_bytes = std::int64_t{16} << 20;
  std::int64_t max_queue = 64;
  std::int64_t max_connections = 256;
};

template <class Visitor>
void visit_fields(Visitor& v, WorkerOptions& c) {
  v("host", c.host, "address to listen on; others than the loopback's need a token and TLS");
  v("port", c.port, "port to listen on; 0 = a free one, which is printed");
  v("token_file", c.token_file,
    "lines 'scope[,scope] token' with the scopes generate, publish, metrics; empty = no token is "
    "asked for");
  v("tls_certificate_file", c.tls_certificate_file,
    "PEM: certificate, then its chain; empty = http");
  v("tls_key_file", c.tls_key_file, "PEM: private key of the certificate");
  v("staging_dir", c.staging_dir,
    "directory for weights on their way, emptied at start; empty = one in the system's temporary "
    "directory");
  v("num_threads", c.num_threads, "threads; 0 = every core; never changes a number");
  v("isa", c.isa, "instruction set of the kernels; never changes a number",
    {"auto", "portable", "avx2", "avx512"});
  v("max_num_seqs", c.max_num_seqs, "sequences decoded at once; bounds memory");
  v("page_size", c.page_size, "tokens of one page of the cache");
  v("max_cache_bytes", c.max_cache_bytes,
    "bytes of the cache; 0 = as max_num_seqs need; never changes a number");
  v("max_weights_bytes", c.max_weights_bytes, "bytes of the largest policy that is taken");
  v("max_request_bytes", c.max_request_bytes, "bytes of the largest request for rollouts");
  v("max_queue", c.max_queue, "requests that may wait");
  v("max_connections", c.max_connections, "connections at a time");
}

/// zeroth eval: pass@k, maj@k and greedy accuracy of a checkpoint.
struct EvalConfig : PolicyOptions, DatasetOptions, TruncationOptions, NamedRewardOptions {
  std::vector<std::string> reward_funcs;
  std::int64_t num_problems = 0;
  std::int64_t num_generations = 16;
  std::vector<std::int64_t> pass_at;
  std::vector<std::int64_t> maj_at;
  bool greedy = true;
  std::int64_t max_completion_length = 56;
  double temperature = 1.0;
  std::string group_by;
  std::string baseline;
  std::string output;
  std::int64_t max_num_seqs = 800;
  std::int64_t page_size = 16;
  std::int64_t max_cache_bytes = 0;
  bool json = false;
};

template <class Visitor>
void visit_fields(Visitor& v, EvalConfig& c) {
  visit_fields(v, static_cast<PolicyOptions&>(c));
  visit_fields(v, static_cast<DatasetOptions&>(c));
  v("reward_funcs", c.reward_funcs,
    "rewards by name, FILE.so, python:FILE:FUNCTION or exec:FILE; right is what the first gives "
    "more than "
    "0.5, "
    "the others are recorded");
  visit_fields(v, static_cast<NamedRewardOptions&>(c));
  v("num_problems", c.num_problems, "problems, the first of the data set; 0 = all");
  v("num_generations", c.num_generations, "completions sampled of one problem");
  v("pass_at", c.pass_at,
    "the k of every pass@k, each at most num_generations; empty = 1, 4, 16, … and num_generations");
  v("maj_at", c.maj_at,
    "the k of every maj@k, each at most num_generations; empty = 4, 16, … and num_generations");
  v("greedy", c.greedy, "also decode every problem once at temperature 0");
  v("max_completion_length", c.max_completion_length, "tokens of the longest completion");
  v("temperature", c.temperature, "divides the logits before sampling");
  visit_fields(v, static_cast<TruncationOptions&>(c));
  v("group_by", c.group_by, "column of the data whose values get a row each; empty = none");
  v("baseline", c.baseline,
    "what zeroth eval --json printed for another checkpoint; differences are paired by problem");
  v("output", c.output, "JSONL file of every completion with its rewards; empty = none");
  v("max_num_seqs", c.max_num_seqs, "sequences decoded at once; bounds memory");
  v("page_size", c.page_size, "tokens of one page of the cache");
  v("max_cache_bytes", c.max_cache_bytes,
    "bytes of the cache; 0 = as max_num_seqs need; never changes a number");
  v("json", c.json, "print one JSON object, a record of every problem included");
}

/// zeroth sample: completions of prompts.
struct SampleConfig : PolicyOptions, PromptOptions, TruncationOptions {
  std::string prompt;
  std::string prompts_file;
  bool chat = false;
  std::string system;
  std::int64_t num_generations = 1;
  std::int64_t max_completion_length = 0;
  double temperature = 1.0;
  std::int64_t max_num_seqs = 256;
  bool json = false;
};

template <class Visitor>
void visit_fields(Visitor& v, SampleConfig& c) {
  visit_fields(v, static_cast<PolicyOptions&>(c));
  v("prompt", c.prompt, "text that fills the template's {question}; - = standard input");
  v("prompts_file", c.prompts_file,
    "a prompt a line; a blank one is passed over, and one that begins with { is a JSON object "
    "whose \"prompt\" it is; - = "
    "standard input. With chat, also objects with \"messages\", or one list of messages");
  v("chat", c.chat, "short for prompt_template chat: a prompt is what a user says");
  v("system", c.system, "with chat: a system message before a prompt that is a text");
  visit_fields(v, static_cast<PromptOptions&>(c));
  v("num_generations", c.num_generations, "completions of each prompt");
  v("max_completion_length", c.max_completion_length,
    "tokens of the longest completion; 0 = 512, or what the model's context leaves");
  v("temperature", c.temperature, "divides the logits before sampling; 0 = greedy");
  visit_fields(v, static_cast<TruncationOptions&>(c));
  v("max_num_seqs", c.max_num_seqs, "sequences decoded at once; bounds memory");
  v("json", c.json, "print one JSON object a completion");
}

/// zeroth score: rewards of completions that stand in a file.
struct ScoreConfig : NamedRewardOptions {
  ScoreConfig() { reward_on_error = "exclude"; }

  std::string dataset_name;
  std::vector<std::string> reward_funcs;
  std::vector<double> reward_weights;
  std::string cases;
  bool explain = false;
  std::int64_t num_explained = 0;
  bool json = false;
};

template <class Visitor>
void visit_fields(Visitor& v, ScoreConfig& c) {
  v("dataset_name", c.dataset_name, "JSONL file of {prompt, completion, reference or answer}");
  v("reward_funcs", c.reward_funcs, "rewards by name, FILE.so, python:FILE:FUNCTION or exec:FILE");
  v("reward_weights", c.reward_weights, "one weight a reward; empty = 1 each");
  visit_fields(v, static_cast<NamedRewardOptions&>(c));
  v("cases", c.cases,
    "instead: JSONL file, or directory of such, of recorded cases to compare our verdicts with");
  v("explain", c.explain,
    "instead: how each completion's answer is found by answer_rules, read and judged");
  v("num_explained", c.num_explained, "of explain: the first completions; 0 = all");
  v("json", c.json, "print one JSON object; of cases and explain, one a row");
}

/// zeroth init: a checkpoint with random weights.
struct InitConfig {
  std::string preset = "tiny-mla-moe";
  std::string tokenizer = "byte";
  std::string dtype = "float32";
  std::int64_t seed = 42;
  std::string output_dir;
};

template <class Visitor>
void visit_fields(Visitor& v, InitConfig& c) {
  v("preset", c.preset,
    "shape: tiny-mla-moe, tiny-dense, or that of a published model (qwen2.5-0.5b, qwen3-0.6b, "
    "llama-3.2-1b, deepseek-v2-lite, deepseek-v3, moonlight, kimi-k2, glm-4.5-air, …; a name that "
    "is none is answered with all), or a config.json");
  v("tokenizer", c.tokenizer,
    "byte (256 tokens), the characters that are one token each, or a tokenizer.json or its "
    "directory, such as zeroth tokenizer train writes");
  v("dtype", c.dtype, "type that the weights are written in", {"float32", "bfloat16"});
  v("seed", c.seed, "key of every random number");
  v("output_dir", c.output_dir, "directory of the checkpoint; must not hold one");
}

/// zeroth inspect: what a checkpoint is.
struct InspectConfig {
  std::string model_name_or_path;
  bool tensors = false;
  bool checksums = false;
  bool quick = false;
  bool json = false;
};

template <class Visitor>
void visit_fields(Visitor& v, InspectConfig& c) {
  v("model_name_or_path", c.model_name_or_path, "directory of the checkpoint, or a GGUF file");
  v("tensors", c.tensors, "list every tensor with its type, shape, mean and deviation");
  v("checksums", c.checksums, "print the sha256 of every file of weights");
  v("quick", c.quick, "read headers only: neither the values of weights nor SHA256SUMS");
  v("json", c.json, "print one JSON object");
}

/// Ranges and the rules between keys. Throws InputError naming the key, what it has to be and what
/// it is.
void check(const SftConfig& config);
void check(const GrpoConfig& config);
void check(const WorkerOptions& config);
void check(const EvalConfig& config);
void check(const SampleConfig& config);
void check(const ScoreConfig& config);
void check(const InitConfig& config);
void check(const InspectConfig& config);

}  // namespace zeroth
