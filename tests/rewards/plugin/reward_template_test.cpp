#include "rewards/plugin/reward_template.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "rewards/embedded.h"
#include "rewards/host/plugin_host.h"
#include "rewards/registry.h"
#include "system/file.h"
#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("reward template: the examples in four languages are one rule", "[rewards]") {
  const std::string python =
      "python:" ZEROTH_SOURCE_DIR "/rewards/plugin/examples/example_reward.py:example_reward";
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
       {std::string(EXAMPLE_CPP_PLUGIN), std::string(EXAMPLE_C_PLUGIN), python,
        std::string("exec:" ZEROTH_SOURCE_DIR "/rewards/plugin/examples/example_reward.pl")}) {
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
      std::filesystem::create_directories((directory / file.name).parent_path());
      std::ofstream(directory / file.name) << file.text;
      CHECK(file.text.find("example_reward") == std::string::npos);
    }
    const std::string in = "cd '" + directory.path().string() + "' && ";
    if (made.is_built) {
      std::string build;
      for (const std::string& part : plugin_build_command(made.files[0].name)) build += part + " ";
      REQUIRE(std::system((in + build + "-Wall -Wextra -Werror").c_str()) == 0);
    }
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

TEST_CASE("reward template: the build file builds, and its test passes and can fail", "[rewards]") {
  if (std::system("command -v cmake >/dev/null") != 0) return;
  for (const char* language : {"cpp", "c"}) {
    const testing::TemporaryDirectory directory;
    for (const TemplateFile& file : reward_template("my_rule", language).files) {
      std::filesystem::create_directories((directory / file.name).parent_path());
      std::ofstream(directory / file.name) << file.text;
    }
    const std::string in = "cd '" + directory.path().string() + "' && ";
    const std::string out = " >>log 2>&1";
    CHECK(std::system((in + "cmake -S . -B build" + out).c_str()) == 0);
    CHECK(std::system((in + "cmake --build build" + out).c_str()) == 0);
    CHECK(std::filesystem::exists(directory / "my_rule.so"));
    const std::string test = in + "ctest --test-dir build --no-tests=error" + out;
    CHECK(std::system(test.c_str()) == 0);
    const std::filesystem::path source = directory / (std::string("my_rule_test.") + language);
    std::string text = read_file(source);
    text.replace(text.find("\"12\", 1.0"), 9, "\"12\", 0.5");
    std::ofstream(source) << text;
    CHECK(std::system((in + "cmake --build build" + out).c_str()) == 0);
    CHECK(std::system(test.c_str()) != 0);
    INFO(read_file(directory / "log"));
  }
}

TEST_CASE("reward template: what is compiled in is what stands in the tree", "[rewards]") {
  const std::string root = ZEROTH_SOURCE_DIR "/rewards/plugin/";
  CHECK(plugin_abi_source() == read_file(root + "plugin_abi.h"));
  CHECK(plugin_header_source() == read_file(root + "plugin.h"));
  CHECK(plugin_json_source() == read_file(root + "plugin_json.h"));
  CHECK(example_test_source() == read_file(root + "examples/example_test.c"));
  CHECK(example_cmake_source() == read_file(root + "examples/plugin.cmake"));
  CHECK(script_function_source() == read_file(root + "../host/script_function.py"));
  CHECK(script_host_source() == read_file(root + "../host/script_host.py"));
  CHECK(example_cpp_source() == read_file(root + "examples/example_reward.cpp"));
  CHECK(example_c_source() == read_file(root + "examples/example_reward.c"));
  CHECK(example_python_source() == read_file(root + "examples/example_reward.py"));
  CHECK(example_program_source() == read_file(root + "examples/example_reward.pl"));
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
