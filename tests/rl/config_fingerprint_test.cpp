#include "rl/config_fingerprint.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "rl/config.h"

namespace zeroth {
namespace {

// Visits a configuration, changing the value of field number `change` (none: -1).
class Changer {
 public:
  explicit Changer(int change) : change_(change) {}
  template <class Value>
  void operator()(std::string_view key, Value& value, std::string_view /*help*/,
                  std::initializer_list<std::string_view> /*choices*/ = {}) {
    if (visited_++ != change_) return;
    key_ = key;
    alter(value);
  }
  int visited() const { return visited_; }
  const std::string& key() const { return key_; }

 private:
  // The smallest change there is.
  static void alter(std::string& value) { value += "x"; }
  static void alter(bool& value) { value = !value; }
  static void alter(std::int64_t& value) { value += 1; }
  static void alter(double& value) { value = std::nextafter(value, 2.0 * value + 1.0); }
  static void alter(std::optional<double>& value) { value = 0.2; }
  static void alter(std::vector<std::string>& value) { value.emplace_back("format"); }
  static void alter(std::vector<double>& value) { value.push_back(1.0); }

  int change_;
  int visited_ = 0;
  std::string key_;
};

// The keys whose change leaves the fingerprint as it is.
template <class Config>
std::set<std::string> free_keys() {
  Config config;
  Changer counter(-1);
  visit_fields(counter, config);
  REQUIRE(counter.visited() > 20);
  const std::string reference = config_fingerprint(config);
  std::set<std::string> keys;
  for (int field = 0; field < counter.visited(); ++field) {
    Config changed;
    Changer changer(field);
    visit_fields(changer, changed);
    if (config_fingerprint(changed) == reference) keys.insert(changer.key());
  }
  return keys;
}

const std::set<std::string> kFreeInEveryRun = {
    "output_dir", "num_threads",      "isa",         "micro_batch_tokens",    "logging_steps",
    "save_steps", "save_total_limit", "max_seconds", "resume_from_checkpoint"};

TEST_CASE("config_fingerprint: place, speed and logging are free, every other key counts", "[rl]") {
  CHECK(free_keys<SftConfig>() == kFreeInEveryRun);
  std::set<std::string> grpo = kFreeInEveryRun;
  grpo.insert({"log_completions", "max_num_seqs", "page_size", "eval_steps", "eval_dataset_name",
               "num_eval_problems", "num_eval_generations"});
  CHECK(free_keys<GrpoConfig>() == grpo);
}

TEST_CASE("config_fingerprint: an unset number is not the number it stands for", "[rl]") {
  GrpoConfig unset;
  GrpoConfig zero;
  zero.epsilon_high = 0.0;
  GrpoConfig low;
  low.epsilon_high = 0.2;
  CHECK(config_fingerprint(unset) != config_fingerprint(zero));
  CHECK(config_fingerprint(unset) != config_fingerprint(low));
}

TEST_CASE("config_fingerprint: the order of rewards counts", "[rl]") {
  GrpoConfig a;
  a.reward_funcs = {"accuracy", "format"};
  GrpoConfig b;
  b.reward_funcs = {"format", "accuracy"};
  CHECK(config_fingerprint(a) != config_fingerprint(b));
}

TEST_CASE("config_fingerprint: sixty-four hexadecimal digits, the same each time", "[rl]") {
  const std::string fingerprint = config_fingerprint(SftConfig{});
  CHECK(fingerprint == config_fingerprint(SftConfig{}));
  CHECK(fingerprint.size() == 64);
  CHECK(fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos);
}

}  // namespace
}  // namespace zeroth
