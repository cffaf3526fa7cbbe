#include "rl/config.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <string>

#include "system/error.h"

namespace zeroth {
namespace {

GrpoConfig valid_grpo() {
  GrpoConfig config;
  config.model_name_or_path = "m";
  config.dataset_name = "d";
  config.output_dir = "o";
  config.reward_funcs = {"accuracy", "format"};
  return config;
}

std::string refused_key(const std::function<void(GrpoConfig&)>& change) {
  GrpoConfig config = valid_grpo();
  change(config);
  try {
    check(config);
  } catch (const InputError& error) {
    return error.parts().field;
  }
  return "nothing";
}

TEST_CASE("config: a plain GRPO run is valid", "[tools]") {
  CHECK(refused_key([](GrpoConfig&) {}) == "nothing");
  CHECK(valid_grpo().upper_epsilon() == 0.2);
}

TEST_CASE("config: each rule refuses its key and no other", "[tools]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refused_key([](GrpoConfig& c) { c.model_name_or_path.clear(); }) == "model_name_or_path");
  CHECK(refused_key([](GrpoConfig& c) { c.dataset_name.clear(); }) == "dataset_name");
  CHECK(refused_key([](GrpoConfig& c) { c.output_dir.clear(); }) == "output_dir");
  CHECK(refused_key([](GrpoConfig& c) { c.seed = -1; }) == "seed");
  CHECK(refused_key([](GrpoConfig& c) { c.learning_rate = 0; }) == "learning_rate");
  CHECK(refused_key([nan](GrpoConfig& c) { c.learning_rate = nan; }) == "learning_rate");
  CHECK(refused_key([](GrpoConfig& c) { c.adam_beta2 = 1; }) == "adam_beta2");
  CHECK(refused_key([](GrpoConfig& c) { c.warmup_steps = 101; }) == "warmup_steps");
  CHECK(refused_key([](GrpoConfig& c) { c.num_generations = 1; }) == "num_generations");
  CHECK(refused_key([](GrpoConfig& c) { c.temperature = 0; }) == "temperature");
  CHECK(refused_key([](GrpoConfig& c) { c.top_k = -1; }) == "top_k");
  CHECK(refused_key([](GrpoConfig& c) { c.top_p = 0; }) == "top_p");
  CHECK(refused_key([](GrpoConfig& c) { c.top_p = 1.01; }) == "top_p");
  CHECK(refused_key([](GrpoConfig& c) { c.min_p = -0.1; }) == "min_p");
  CHECK(refused_key([](GrpoConfig& c) { c.min_p = 1.01; }) == "min_p");
  CHECK(refused_key([](GrpoConfig& c) { c.epsilon = 1; }) == "epsilon");
  CHECK(refused_key([](GrpoConfig& c) { c.epsilon_high = -0.1; }) == "epsilon_high");
  CHECK(refused_key([](GrpoConfig& c) { c.epsilon_high = 5; }) == "nothing");
  CHECK(refused_key([](GrpoConfig& c) { c.reward_funcs.clear(); }) == "reward_funcs");
  CHECK(refused_key([](GrpoConfig& c) { c.reward_weights = {1}; }) == "reward_weights");
  CHECK(refused_key([](GrpoConfig& c) { c.reward_weights = {1, -1}; }) == "nothing");
  CHECK(refused_key([](GrpoConfig& c) {
          c.multi_objective_aggregation = "normalize_then_sum";
          c.scale_rewards = "none";
        }) == "scale_rewards");
  CHECK(refused_key([](GrpoConfig& c) { c.multi_objective_aggregation = "normalize_then_sum"; }) ==
        "nothing");
  CHECK(refused_key([](GrpoConfig& c) { c.answer_rules = "boxed,guess"; }) == "answer_rules");
  CHECK(refused_key([](GrpoConfig& c) { c.answer_rules = "phrase,number"; }) == "nothing");
  CHECK(refused_key([](GrpoConfig& c) { c.reward_timeout = 0; }) == "reward_timeout");
  CHECK(refused_key([](GrpoConfig& c) { c.reward_timeout = 1e-9; }) == "reward_timeout");
  CHECK(refused_key([](GrpoConfig& c) { c.reward_memory = 1; }) == "reward_memory");
  CHECK(refused_key([](GrpoConfig& c) { c.reward_python.clear(); }) == "reward_python");
  CHECK(refused_key([](GrpoConfig& c) {
          c.sandbox = "limits";
          c.sandbox_min = "seccomp";
        }) == "sandbox");
  CHECK(refused_key([](GrpoConfig& c) { c.sandbox_min = "full"; }) == "nothing");
  CHECK(refused_key([](GrpoConfig& c) { c.eval_steps = 5; }) == "eval_steps");
  CHECK(refused_key([](GrpoConfig& c) { c.page_size = 0; }) == "page_size");
  CHECK(refused_key([](GrpoConfig& c) { c.max_cache_bytes = -1; }) == "max_cache_bytes");
}

TEST_CASE("config: an evaluation asks for no more samples than there are", "[tools]") {
  EvalConfig config;
  config.model_name_or_path = "m";
  config.dataset_name = "d";
  config.reward_funcs = {"accuracy"};
  CHECK_NOTHROW(check(config));
  config.pass_at = {1, 17};
  CHECK_THROWS_WITH(check(config), Catch::Contains("pass_at") && Catch::Contains("(16)"));
  config.num_generations = 17;
  CHECK_NOTHROW(check(config));
  config.maj_at = {0};
  CHECK_THROWS_WITH(check(config), Catch::Contains("maj_at"));
}

TEST_CASE("config: a sample has one source of prompts", "[tools]") {
  SampleConfig config;
  config.model_name_or_path = "m";
  CHECK_THROWS_WITH(check(config), Catch::Contains("prompts_file"));
  config.prompts_file = "-";
  CHECK_NOTHROW(check(config));
  config.prompt = "x";
  CHECK_THROWS_WITH(check(config), Catch::Contains("prompts_file"));
}

TEST_CASE("config: a refusal says what was expected and what stood there", "[tools]") {
  GrpoConfig config = valid_grpo();
  config.reward_weights = {1, 2, 3};
  try {
    check(config);
    FAIL("accepted");
  } catch (const InputError& error) {
    CHECK(error.parts().expected == "one number for each of the 2 reward_funcs, or none");
    CHECK(error.parts().actual == "3 numbers");
  }
}

}  // namespace
}  // namespace zeroth
