#include "rl/config.h"

#include <cmath>

#include "rewards/answers/answer_extraction.h"
#include "rewards/reward.h"
#include "system/error.h"
#include "system/json.h"
#include "system/sandbox.h"

namespace zeroth {
namespace {

std::string to_text(std::int64_t value) {
  return std::to_string(value);
}
std::string to_text(const std::string& value) {
  return value.empty() ? "nothing" : value;
}
std::string to_text(double value) {
  return std::isfinite(value) ? json_number(value) : "no finite number";
}

template <class Value>
void require(bool holds, const std::string& key, const std::string& expected, const Value& actual) {
  if (holds) return;
  throw InputError(
      {.source = "configuration", .field = key, .expected = expected, .actual = to_text(actual)});
}

void require_text(const std::string& key, const std::string& expected, const std::string& value) {
  require(!value.empty(), key, expected, value);
}

void require_at_least(const std::string& key, std::int64_t minimum, std::int64_t value) {
  require(value >= minimum, key, "at least " + std::to_string(minimum), value);
}

void require_not_negative(const std::string& key, double value) {
  require(std::isfinite(value) && value >= 0, key, "a finite number of at least 0", value);
}

void require_positive(const std::string& key, double value) {
  require(std::isfinite(value) && value > 0, key, "a finite number above 0", value);
}

void require_fraction(const std::string& key, double value) {
  require(value >= 0 && value < 1, key, "at least 0 and below 1", value);
}

void check_weights(const std::vector<std::string>& rewards, const std::vector<double>& weights) {
  require(weights.empty() || weights.size() == rewards.size(), "reward_weights",
          "one number for each of the " + std::to_string(rewards.size()) + " reward_funcs, or none",
          std::to_string(weights.size()) + " numbers");
  for (const double weight : weights) {
    require(std::isfinite(weight), "reward_weights", "finite numbers", weight);
  }
}

void check_rewards(const std::vector<std::string>& rewards) {
  require(!rewards.empty(), "reward_funcs", "at least one reward",
          static_cast<std::int64_t>(rewards.size()));
}

// A process that does nothing takes a part of this to answer on a busy machine.
constexpr double kLeastRewardTimeout = 0.01;
constexpr std::int64_t kMostRewardWorkers = 256;

void check_policy(const PolicyOptions& c) {
  require_text("model_name_or_path", "a checkpoint directory", c.model_name_or_path);
  require_at_least("seed", 0, c.seed);
  require_at_least("num_threads", 0, c.num_threads);
}

void check_prompts(const PromptOptions& c) {
  require_text("prompt_template", "plain, r1_zero, chat or a text file", c.prompt_template);
  require_text("chat_template_kwargs", "a JSON object", c.chat_template_kwargs);
  require_text("chat_python", "a program", c.chat_python);
}

void check_dataset(const DatasetOptions& c) {
  require_text("dataset_name", "a JSONL file or the name of a problem generator", c.dataset_name);
  require_text("columns", "plain, gsm8k, math, trl, messages or question=Q,answer=A", c.columns);
  check_prompts(c);
}

void check_training(const TrainingOptions& c) {
  check_policy(c);
  check_dataset(c);
  require_text("output_dir", "a directory", c.output_dir);
  require_positive("learning_rate", c.learning_rate);
  require_at_least("warmup_steps", 0, c.warmup_steps);
  require_at_least("max_steps", 1, c.max_steps);
  require(c.warmup_steps <= c.max_steps, "warmup_steps",
          "at most max_steps (" + std::to_string(c.max_steps) + ")", c.warmup_steps);
  require_not_negative("max_grad_norm", c.max_grad_norm);
  require_not_negative("weight_decay", c.weight_decay);
  require_fraction("adam_beta1", c.adam_beta1);
  require_fraction("adam_beta2", c.adam_beta2);
  require_positive("adam_epsilon", c.adam_epsilon);
  require_at_least("micro_batch_tokens", 1, c.micro_batch_tokens);
  require_at_least("logging_steps", 1, c.logging_steps);
  for (const std::string& sink : c.report_to) {
    require(sink == "tensorboard" || (sink == "none" && c.report_to.size() == 1), "report_to",
            "tensorboard, or none alone", sink);
  }
  require_at_least("save_steps", 0, c.save_steps);
  require_at_least("save_total_limit", 0, c.save_total_limit);
  require_not_negative("max_seconds", c.max_seconds);
  require_positive("ranks_timeout", c.ranks_timeout);
}

void check_truncation(const TruncationOptions& c) {
  require_at_least("top_k", 0, c.top_k);
  require(c.top_p > 0 && c.top_p <= 1, "top_p", "above 0, at most 1", c.top_p);
  require(c.min_p >= 0 && c.min_p <= 1, "min_p", "0 to 1", c.min_p);
}

void check_counts(const std::string& key, std::int64_t most,
                  const std::vector<std::int64_t>& counts) {
  for (const std::int64_t count : counts) {
    require(count >= 1 && count <= most, key,
            "numbers from 1 to num_generations (" + std::to_string(most) + ")", count);
  }
}

// Of any configuration that holds an engine.
template <class Config>
void check_engine(const Config& c) {
  require_at_least("max_num_seqs", 1, c.max_num_seqs);
  require_at_least("page_size", 1, c.page_size);
  require_at_least("max_cache_bytes", 0, c.max_cache_bytes);
}

}  // namespace

// parse_extraction's own error, with the key.
void require_answer_rules(const std::string& rules) {
  try {
    parse_extraction(rules);
  } catch (const InputError& error) {
    require(false, "answer_rules", error.parts().expected, error.parts().actual);
  }
}

void check_named_rewards(const NamedRewardOptions& c) {
  require_answer_rules(c.answer_rules);
  require(std::isfinite(c.reward_timeout) && c.reward_timeout >= kLeastRewardTimeout,
          "reward_timeout", "at least 0.01 seconds", c.reward_timeout);
  // What an interpreter needs before it has done anything is a tenth of this.
  require_at_least("reward_memory", std::int64_t{64} << 20, c.reward_memory);
  require(c.reward_workers >= 1 && c.reward_workers <= kMostRewardWorkers, "reward_workers",
          "from 1 to " + std::to_string(kMostRewardWorkers), c.reward_workers);
  parse_reward_error_policy(c.reward_on_error, "configuration", "reward_on_error");
  require_text("reward_python", "a program", c.reward_python);
  require(parse_isolation(c.sandbox) >= parse_isolation(c.sandbox_min), "sandbox",
          "at least sandbox_min, which is " + c.sandbox_min, c.sandbox);
}

void check(const SftConfig& c) {
  check_training(c);
  require_at_least("per_device_train_batch_size", 1, c.per_device_train_batch_size);
  require_at_least("max_length", 2, c.max_length);
  require_not_negative("mtp_loss_weight", c.mtp_loss_weight);
}

void check(const GrpoConfig& c) {
  check_training(c);
  // One completion is its own mean: every advantage would be 0.
  require_at_least("num_generations", 2, c.num_generations);
  require_at_least("num_prompts_per_step", 1, c.num_prompts_per_step);
  require_at_least("max_completion_length", 1, c.max_completion_length);
  require_positive("temperature", c.temperature);
  check_truncation(c);
  require_not_negative("beta", c.beta);
  require_fraction("epsilon", c.epsilon);
  require_not_negative("epsilon_high", c.upper_epsilon());
  require_at_least("num_iterations", 1, c.num_iterations);
  check_rewards(c.reward_funcs);
  check_weights(c.reward_funcs, c.reward_weights);
  // The other divides by deviations, whatever scale_rewards says.
  require(c.multi_objective_aggregation == "sum_then_normalize" || c.scale_rewards == "group",
          "scale_rewards", "group where multi_objective_aggregation is normalize_then_sum",
          c.scale_rewards);
  check_named_rewards(c);
  require_not_negative("router_bias_update_speed", c.router_bias_update_speed);
  require_at_least("eval_steps", 0, c.eval_steps);
  require(c.eval_steps == 0 || !c.eval_dataset_name.empty(), "eval_steps",
          "0 where eval_dataset_name is empty", c.eval_steps);
  require_at_least("num_eval_problems", 0, c.num_eval_problems);
  require_at_least("num_eval_generations", 1, c.num_eval_generations);
  check_engine(c);
  for (const std::string& worker : c.workers) require_text("workers", "host:port or a URL", worker);
  require(c.worker_token_file.empty() || !c.workers.empty(), "worker_token_file",
          "nothing where workers is empty", c.worker_token_file);
  require(c.worker_ca_file.empty() || !c.workers.empty(), "worker_ca_file",
          "nothing where workers is empty", c.worker_ca_file);
  require_positive("worker_lost_seconds", c.worker_lost_seconds);
  require_positive("no_worker_seconds", c.no_worker_seconds);
}

void check(const WorkerOptions& c) {
  require_text("host", "an IP address or localhost", c.host);
  require(c.port >= 0 && c.port <= 65535, "port", "0 to 65535", c.port);
  require(c.tls_certificate_file.empty() == c.tls_key_file.empty(), "tls_key_file",
          "a file where tls_certificate_file is one, and only there", c.tls_key_file);
  require_at_least("num_threads", 0, c.num_threads);
  check_engine(c);
  require_at_least("max_weights_bytes", 1, c.max_weights_bytes);
  require_at_least("max_request_bytes", 1, c.max_request_bytes);
  require_at_least("max_queue", 1, c.max_queue);
  require_at_least("max_connections", 1, c.max_connections);
}

void check(const EvalConfig& c) {
  check_policy(c);
  check_dataset(c);
  check_rewards(c.reward_funcs);
  check_named_rewards(c);
  require_at_least("num_problems", 0, c.num_problems);
  require_at_least("num_generations", 1, c.num_generations);
  require_at_least("max_completion_length", 1, c.max_completion_length);
  check_counts("pass_at", c.num_generations, c.pass_at);
  check_counts("maj_at", c.num_generations, c.maj_at);
  require_positive("temperature", c.temperature);
  check_truncation(c);
  check_engine(c);
}

void check(const SampleConfig& c) {
  check_policy(c);
  require(!c.prompt.empty() || !c.prompts_file.empty(), "prompt",
          "a text, - for standard input, or --prompts_file", c.prompt);
  require(c.prompt.empty() || c.prompts_file.empty(), "prompts_file",
          "nothing where there is a prompt", c.prompts_file);
  check_prompts(c);
  require(!c.chat || c.prompt_template == "plain" || c.has_chat_prompts(), "prompt_template",
          "chat, as --chat is given", c.prompt_template);
  require(c.system.empty() || c.chat || c.has_chat_prompts(), "system", "nothing without --chat",
          c.system);
  require_at_least("num_generations", 1, c.num_generations);
  require_at_least("max_completion_length", 0, c.max_completion_length);
  require_not_negative("temperature", c.temperature);
  check_truncation(c);
  require_at_least("max_num_seqs", 1, c.max_num_seqs);
}

void check(const ScoreConfig& c) {
  if (!c.cases.empty()) {
    require(c.dataset_name.empty() && c.reward_funcs.empty(), "cases",
            "to stand alone, without dataset_name and reward_funcs", c.cases);
    return;
  }
  require_text("dataset_name", "a JSONL file", c.dataset_name);
  require_at_least("num_explained", 0, c.num_explained);
  if (c.explain) {
    require(c.reward_funcs.empty(), "explain", "to stand without reward_funcs",
            std::string("both"));
    return require_answer_rules(c.answer_rules);
  }
  check_rewards(c.reward_funcs);
  check_weights(c.reward_funcs, c.reward_weights);
  check_named_rewards(c);
}

void check(const InitConfig& c) {
  require_text("preset", "tiny-mla-moe, tiny-dense or a config.json", c.preset);
  require_text("tokenizer", "byte, or the characters of an alphabet", c.tokenizer);
  require_text("output_dir", "a directory", c.output_dir);
  require_at_least("seed", 0, c.seed);
}

void check(const InspectConfig& c) {
  require_text("model_name_or_path", "a checkpoint directory", c.model_name_or_path);
}

}  // namespace zeroth
