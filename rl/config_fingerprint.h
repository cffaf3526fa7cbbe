// The part of a configuration that a run's numbers depend on, as one hash: a checkpoint is resumed
// only under the same.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/file.h"
#include "system/json.h"

namespace zeroth {

/// Collects "key=value" lines of every key that is not a matter of place, speed or logging.
class FingerprintCollector {
 public:
  template <class Value>
  void operator()(std::string_view key, const Value& value, std::string_view /*help*/,
                  std::initializer_list<std::string_view> /*choices*/ = {}) {
    for (const std::string_view free : kFree) {
      if (key == free) return;
    }
    text_ += std::string(key) + "=" + text_of(value) + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  static constexpr std::string_view kFree[] = {"output_dir",
                                               "num_threads",
                                               "isa",
                                               "micro_batch_tokens",
                                               "logging_steps",
                                               "save_steps",
                                               "save_total_limit",
                                               "max_seconds",
                                               "log_completions",
                                               "resume_from_checkpoint",
                                               "max_num_seqs",
                                               "page_size",
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

  std::string text_;
};

template <class Config>
std::string config_fingerprint(Config config) {
  FingerprintCollector collector;
  visit_fields(collector, config);
  return sha256_hex(collector.text());
}

}  // namespace zeroth
