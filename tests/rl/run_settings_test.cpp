#include "rl/run_settings.h"

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

// The keys whose change leaves the settings as they are.
template <class Config>
std::set<std::string> free_keys() {
  Config config;
  Changer counter(-1);
  visit_fields(counter, config);
  REQUIRE(counter.visited() > 20);
  const RunSettings reference = run_settings(config);
  std::set<std::string> keys;
  for (int field = 0; field < counter.visited(); ++field) {
    Config changed;
    Changer changer(field);
    visit_fields(changer, changed);
    if (run_settings(changed) == reference) keys.insert(changer.key());
  }
  return keys;
}

const std::set<std::string> kFreeInEveryRun = {
    "model_name_or_path",   "dataset_name",  "report_to",
    "dataset_split",        "columns",       "prompt_template",
    "output_dir",           "num_threads",   "isa",
    "micro_batch_tokens",   "logging_steps", "save_steps",
    "save_total_limit",     "max_seconds",   "resume_from_checkpoint",
    "allow_mixed_numerics", "ranks_timeout", "chat_template_path",
    "chat_template_kwargs", "chat_date",     "chat_python"};

TEST_CASE("run settings: place, speed and logging are free, every other key counts", "[rl]") {
  CHECK(free_keys<SftConfig>() == kFreeInEveryRun);
  std::set<std::string> grpo = kFreeInEveryRun;
  grpo.insert({"log_completions",   "max_num_seqs",         "page_size",
               "max_cache_bytes",   "eval_steps",           "eval_dataset_name",
               "num_eval_problems", "num_eval_generations", "workers",
               "worker_token_file", "worker_ca_file",       "worker_lost_seconds",
               "no_worker_seconds", "reward_on_error",      "reward_workers",
               "reward_timeout",    "reward_memory",        "reward_python",
               "sandbox",           "sandbox_min",          "sandbox_paths"});
  CHECK(free_keys<GrpoConfig>() == grpo);
}

TEST_CASE("run settings: an unset number is not the number it stands for", "[rl]") {
  GrpoConfig unset;
  GrpoConfig zero;
  zero.epsilon_high = 0.0;
  GrpoConfig low;
  low.epsilon_high = 0.2;
  CHECK(run_settings(unset) != run_settings(zero));
  CHECK(run_settings(unset) != run_settings(low));
}

TEST_CASE("run settings: the order of rewards counts", "[rl]") {
  GrpoConfig a;
  a.reward_funcs = {"accuracy", "format"};
  GrpoConfig b;
  b.reward_funcs = {"format", "accuracy"};
  CHECK(run_settings(a) != run_settings(b));
}

TEST_CASE("run settings: the parameters of rewards count", "[rl]") {
  GrpoConfig a;
  GrpoConfig b;
  b.reward_config = R"({"format":{"x":1}})";
  CHECK(run_settings(a) != run_settings(b));
}

TEST_CASE("run settings: a line a key, in the order of the configuration", "[rl]") {
  SftConfig config;
  config.seed = 7;
  config.learning_rate = 0.25;
  const std::string text = settings_text(run_settings(config));
  CHECK(text.find("seed=7\ndtype=bfloat16\nmla_prefix=absorbed\nlearning_rate=0.25\n"
                  "lr_scheduler_type=linear\n") == 0);
}

TEST_CASE("run settings: the algebra of prompts is part of a run", "[rl]") {
  GrpoConfig absorbed;
  GrpoConfig expanded;
  expanded.mla_prefix = "expanded";
  const auto difference = first_difference(run_settings(absorbed), run_settings(expanded));
  REQUIRE(difference);
  CHECK(difference->key == "mla_prefix");
  CHECK(difference->expected == "absorbed");
  CHECK(difference->actual == "expanded");
}

TEST_CASE("run settings: the first difference is named, missing keys too", "[rl]") {
  const RunSettings settings{{"a", "1"}, {"b", "2"}};
  CHECK_FALSE(first_difference(settings, settings));
  CHECK_FALSE(first_difference(settings, {{"b", "2"}, {"a", "1"}}));
  const auto changed = first_difference(settings, {{"a", "1"}, {"b", "3"}});
  REQUIRE(changed);
  CHECK(changed->key == "b");
  CHECK(changed->expected == "2");
  CHECK(changed->actual == "3");
  CHECK(first_difference(settings, {{"a", "1"}})->actual == "nothing");
  CHECK(first_difference({{"a", "1"}}, settings)->key == "b");
  CHECK(first_difference({{"a", "1"}}, settings)->expected == "nothing");
}

TEST_CASE("run settings: data is what becomes of it, not where it lies", "[rl]") {
  const auto plain = PromptTemplate::from_text("{question}", "test");
  const auto asked = PromptTemplate::from_text("Q: {question}", "test");
  const std::vector<Problem> problems{
      {.id = "x:1", .question = "1+1=", .answer = "2", .solution = "s", .columns_json = "{}"},
      {.id = "x:2", .question = "1+2=", .answer = "3", .solution = "", .columns_json = "{}"}};
  const std::string hash = data_sha256(problems, plain);
  CHECK(hash.size() == 64);
  std::vector<Problem> same = problems;
  same[0].id = "y:1";
  CHECK(data_sha256(same, plain) == hash);
  CHECK(data_sha256(problems, asked) != hash);
  std::set<std::string> hashes{hash};
  for (std::string Problem::*field :
       {&Problem::question, &Problem::answer, &Problem::solution, &Problem::columns_json}) {
    std::vector<Problem> changed = problems;
    changed[1].*field += "9";
    hashes.insert(data_sha256(changed, plain));
  }
  std::vector<Problem> swapped{problems[1], problems[0]};
  hashes.insert(data_sha256(swapped, plain));
  std::vector<Problem> moved = problems;  // the same bytes in a row, cut elsewhere
  moved[0].question = "1+1=2";
  moved[0].answer = "";
  hashes.insert(data_sha256(moved, plain));
  CHECK(hashes.size() == 7);
}

}  // namespace
}  // namespace zeroth
