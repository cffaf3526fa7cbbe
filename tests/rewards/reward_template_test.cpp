#include "rewards/reward_template.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "rewards/embedded.h"
#include "rewards/plugin_host.h"
#include "rewards/registry.h"
#include "system/file.h"
#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("reward template: the examples in three languages are one rule", "[rewards]") {
  const std::string python =
      "python:" ZEROTH_SOURCE_DIR "/rewards/examples/example_reward.py:example_reward";
  const RewardItem items[] = {{.completion = "7 + 5 is 12.", .reference = "12"},
                              {.completion = "-12", .reference = "-12"},
                              {.completion = "12", .reference = "-12"},
                              {.completion = "1-2", .reference = "-2"},
                              {.completion = "3.14", .reference = "14"},
                              {.completion = "none", .reference = ""},
                              {.completion = "", .reference = "1"},
                              {.completion = "7\xff 8", .reference = "8"}};
  const std::vector<double> expected = {1, 1, 0, 1, 1, 0, 0, 1};
  for (const std::string& name :
       {std::string(EXAMPLE_CPP_PLUGIN), std::string(EXAMPLE_C_PLUGIN), python}) {
    INFO(name);
    const auto reward = make_reward(name, {.host = testing::reward_host()});
    CHECK(reward->name() == "example_reward");
    CHECK(reward->score(items) == expected);
  }
}

TEST_CASE("reward template: files of a name of one's own that build and score", "[rewards]") {
  for (const char* language : {"cpp", "c", "python"}) {
    const testing::TemporaryDirectory directory;
    const RewardTemplate made = reward_template("my_rule", language);
    for (const TemplateFile& file : made.files) {
      std::ofstream(directory / file.name) << file.text;
      CHECK(file.text.find("example_reward") == std::string::npos);
    }
    const std::string in = "cd '" + directory.path().string() + "' && ";
    if (!made.build.empty())
      REQUIRE(std::system((in + made.build + " -Wall -Wextra -Werror").c_str()) == 0);
    const bool script = std::string(language) == "python";
    const std::string name = script ? "python:" + (directory / "my_rule.py").string() + ":my_rule"
                                    : (directory / "my_rule.so").string();
    CHECK(made.reward_funcs == (script ? "python:my_rule.py:my_rule" : "./my_rule.so"));
    const auto reward = make_reward(name, {.host = testing::reward_host()});
    CHECK(reward->name() == "my_rule");
    const RewardItem item{.completion = "12", .reference = "12"};
    CHECK(reward->score({&item, 1}) == std::vector{1.0});
  }
}

TEST_CASE("reward template: what is compiled in is what stands in the tree", "[rewards]") {
  const std::string root = ZEROTH_SOURCE_DIR "/rewards/";
  CHECK(plugin_abi_source() == read_file(root + "plugin_abi.h"));
  CHECK(script_host_source() == read_file(root + "script_host.py"));
  CHECK(example_cpp_source() == read_file(root + "examples/example_reward.cpp"));
  CHECK(example_c_source() == read_file(root + "examples/example_reward.c"));
  CHECK(example_python_source() == read_file(root + "examples/example_reward.py"));
  CHECK(example_items() == read_file(root + "examples/items.jsonl"));
}

TEST_CASE("reward template: names that no function can have are refused", "[rewards]") {
  for (const char* name : {"", "1st", "My", "a-b", "a b", "../x", "class", "return", "über"}) {
    CHECK_THROWS_AS(reward_template(name, "cpp"), InputError);
  }
  CHECK_THROWS_AS(reward_template(std::string(65, 'a'), "cpp"), InputError);
  CHECK_THROWS_WITH(reward_template("accuracy", "cpp"), Contains("no reward of zeroth's has"));
  CHECK_NOTHROW(reward_template("a1_b", "python"));
  CHECK_THROWS_AS(reward_template("a", "rust"), std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
