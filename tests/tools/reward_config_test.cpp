#include "tools/reward_config.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <vector>

#include "system/error.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("reward config: text and a file of it read as the same line", "[tools]") {
  const testing::TemporaryDirectory directory;
  const std::string file = (directory / "rewards.json").string();
  std::ofstream(file) << "{\n  \"length\": {\"max\": 2}\n}\n";
  CHECK(read_reward_config(R"( {"length" : {"max":2}})") == R"({"length":{"max":2}})");
  CHECK(read_reward_config(file) == R"({"length":{"max":2}})");
  CHECK(read_reward_config(read_reward_config(file)) == read_reward_config(file));
  CHECK(read_reward_config("").empty());
  CHECK(read_reward_config("{}").empty());
  CHECK(read_reward_config(R"({"length":{"max":3}})") != read_reward_config(file));
}

TEST_CASE("reward config: what is neither an object of objects nor a file is refused", "[tools]") {
  CHECK_THROWS_WITH(read_reward_config("length=2"),
                    "reward_config: expected a JSON object, or a file whose name ends in .json, "
                    "got length=2");
  CHECK_THROWS_WITH(read_reward_config(" "), Contains("expected"));
  CHECK_THROWS_AS(read_reward_config("/nowhere/rewards.json"), InputError);
  CHECK_THROWS_WITH(read_reward_config(R"({"length": )"), Contains("valid JSON"));
  CHECK_THROWS_WITH(read_reward_config(R"({"length": 2})"),
                    "reward_config: length: expected an object of parameters, got 2");
  CHECK_THROWS_WITH(read_reward_config(R"({"length": {"max": [1, 1e999]}})"),
                    Contains("length.max[1]: expected a finite number"));
}

TEST_CASE("reward config: a word that is not in reward_funcs is refused", "[tools]") {
  const std::vector<std::string> words = {"accuracy", "./brevity.so"};
  CHECK_NOTHROW(check_reward_words("", words));
  CHECK_NOTHROW(check_reward_words(R"({"./brevity.so":{},"accuracy":{}})", words));
  CHECK_THROWS_WITH(
      check_reward_words(R"({"acuracy":{}})", words),
      "reward_config: expected words of reward_funcs; nearest is accuracy, got acuracy");
}

TEST_CASE("reward config: each word gets its own object", "[tools]") {
  const std::string config = R"({"a":{"x":[1,2.5]},"b":{}})";
  CHECK(parameters_of(config, "a") == R"({"x":[1,2.5]})");
  CHECK(parameters_of(config, "b") == "{}");
  CHECK(parameters_of(config, "c") == "{}");
  CHECK(parameters_of("", "a") == "{}");
}

}  // namespace
}  // namespace zeroth
