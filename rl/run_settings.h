// What a run's numbers depend on, as keys and values: the configuration without what is a matter of
// place, speed and logging, and hashes of the model and the data it names. A checkpoint is resumed,
// and a journal read, only under the same.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datasets/problem.h"
#include "policy/mesh/collectives.h"
#include "policy/prompt_template.h"
#include "policy/weights.h"
#include "system/json.h"

namespace zeroth {

/// In the order in which the configuration states its keys.
using RunSettings = std::vector<std::pair<std::string, std::string>>;

/// The setting that holds training_numerics().
inline constexpr std::string_view kNumericsKey = "numerics";

/// Collects every key that is not a matter of place, speed or logging.
class SettingsCollector {
 public:
  template <class Value>
  void operator()(std::string_view key, const Value& value, std::string_view /*help*/,
                  std::initializer_list<std::string_view> /*choices*/ = {}) {
    for (const std::string_view free : kFree) {
      if (key == free) return;
    }
    settings_.emplace_back(key, text_of(value));
  }
  RunSettings take() { return std::move(settings_); }

 private:
  // Names of files are free: model_sha256 and data_sha256 say what was in them. What is done about
  // a reward that fails is free, so that a run it stopped can go on.
  static constexpr std::string_view kFree[] = {"output_dir",
                                               "model_name_or_path",
                                               "dataset_name",
                                               "dataset_split",
                                               "columns",
                                               "prompt_template",
                                               "chat_template_path",
                                               "chat_template_kwargs",
                                               "chat_date",
                                               "chat_python",
                                               "num_threads",
                                               "isa",
                                               "micro_batch_tokens",
                                               "logging_steps",
                                               "report_to",
                                               "save_steps",
                                               "save_total_limit",
                                               "max_seconds",
                                               "ranks_timeout",
                                               "log_completions",
                                               "resume_from_checkpoint",
                                               "allow_mixed_numerics",
                                               "max_num_seqs",
                                               "page_size",
                                               "max_cache_bytes",
                                               "workers",
                                               "worker_token_file",
                                               "worker_ca_file",
                                               "worker_lost_seconds",
                                               "no_worker_seconds",
                                               "reward_on_error",
                                               "reward_workers",
                                               "reward_timeout",
                                               "reward_memory",
                                               "reward_python",
                                               "sandbox",
                                               "sandbox_min",
                                               "sandbox_paths",
                                               "eval_steps",
                                               "eval_dataset_name",
                                               "num_eval_problems",
                                               "num_eval_generations"};

  static std::string text_of(const std::string& value) { return value; }
  static std::string text_of(bool value) { return value ? "true" : "false"; }
  static std::string text_of(std::int64_t value) { return std::to_string(value); }
  static std::string text_of(double value) { return write_json(value); }
  static std::string text_of(const std::optional<double>& value) {
    return value ? text_of(*value) : "unset";
  }
  template <class Item>
  static std::string text_of(const std::vector<Item>& values) {
    std::string text;
    for (const Item& item : values) text += text_of(item) + ",";
    return text;
  }

  RunSettings settings_;
};

template <class Config>
RunSettings run_settings(Config config) {
  SettingsCollector collector;
  visit_fields(collector, config);
  return collector.take();
}

/// A line "key=value" each.
std::string settings_text(const RunSettings& settings);

/// The setting that says how many ranks a run has; a run of one rank, and one whose sums are exact,
/// do not depend on it and have none.
inline constexpr std::string_view kNumRanks = "num_ranks";

/// InputError naming the rank and the first setting in which it differs from rank 0. Thrown on
/// every rank.
void check_same_settings(Collectives& ranks, const RunSettings& settings);

/// Hash of what a data set makes of a run: prompts, answers, solutions and other columns, in order.
std::string data_sha256(const std::vector<Problem>& problems,
                        const PromptTemplate& prompt_template);

/// Hash of a model: its config.json and its weights in fp32.
std::string model_sha256(const ModelConfig& config, const Weights& weights);

/// The first key that differs, with what `expected` and `actual` say of it ("nothing" where it is
/// absent); nullopt when they agree.
struct SettingsDifference {
  std::string key, expected, actual;
};
std::optional<SettingsDifference> first_difference(const RunSettings& expected,
                                                   const RunSettings& actual);

}  // namespace zeroth
