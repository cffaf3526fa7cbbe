// plugin.h and plugin_abi.h, as plugins see them.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "rewards/host/plugin_host.h"
#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;
using testing::outcome_of;
using testing::reward_host;
using testing::text_of;

std::unique_ptr<HostedReward> plugin(const std::string& file, const std::string& parameters) {
  RewardHost host = reward_host();
  host.parameters = parameters;
  return make_plugin_reward(file, host);
}

std::string refusal(const std::string& file, const std::string& parameters) {
  try {
    plugin(file, parameters);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

std::string with_columns(const Reward& reward, const std::string& completion,
                         const std::string& columns) {
  const RewardItem item{.completion = completion, .columns_json = columns};
  return text_of(reward.judge({&item, 1}, OnRewardError::exclude)[0]);
}

TEST_CASE("plugin header: an item by its fields", "[rewards]") {
  const auto reward = plugin(PROBE_PLUGIN, "{}");
  CHECK(reward->name() == "probe");
  CHECK(reward->description() == "what it is asked for");
  const std::int32_t ids[] = {1, 2, 3};
  const std::pair<const char*, double> rows[] = {
      {"prompt", 2},  {"reference", 3}, {"num_tokens", 5}, {"max_tokens", 6},  {"was_cut", 1},
      {"ids", 123.3}, {"limit", 200},   {"word", 0},       {"number level", 4}};
  for (const auto& [completion, expected] : rows) {
    INFO(completion);
    const RewardItem item{.prompt = "pp",
                          .completion = completion,
                          .reference = "rrr",
                          .columns_json = R"({"level": 4})",
                          .num_tokens = 5,
                          .max_tokens = 6,
                          .finish_reason = FinishReason::length,
                          .completion_ids = ids};
    CHECK(reward->score({&item, 1}) == std::vector{expected});
  }
  CHECK(outcome_of(*reward, "was_cut") == "0.000000");
  CHECK(outcome_of(*reward, "not applicable") == "not_applicable: ");
}

TEST_CASE("plugin header: what a rule throws becomes the error's text", "[rewards]") {
  const auto reward = plugin(PROBE_PLUGIN, "{}");
  CHECK(outcome_of(*reward, "no_kind x") == "raised: no such kind");
  CHECK(outcome_of(*reward, "throw 7") == "raised: an exception of an unknown type");
  CHECK(outcome_of(*reward, "bad_alloc") == "memory: std::bad_alloc");
  CHECK(outcome_of(*reward, "nothing") == "-1.000000");
}

TEST_CASE("plugin header: columns by name and type", "[rewards]") {
  const auto reward = plugin(PROBE_PLUGIN, "{}");
  const std::string columns =
      R"( {"n" : -1.5e2 , "i":9007199254740993, "t":"aä\"\\\n\u00e4\ud83d\ude00z", "yes":true,)"
      R"("no":false,"null":null,"list":[1,[{"n":"]}"}],2],"o":{"n":7},"":0,"a\"b":3,"big":1e999} )";
  const std::pair<const char*, const char*> rows[] = {
      {"number n", "-150.000000"},
      {"number i", "9007199254740992.000000"},
      {"integer i", "993.000000"},
      {"number a\"b", "3.000000"},
      {"number ", "0.000000"},
      {"text t", "13.000000"},  // a ä " \ newline ä, four bytes, z
      {"last t", "122.000000"},
      {"boolean yes", "1.000000"},
      {"boolean no", "0.000000"},
      {"json list", "18.000000"},
      {"json o", "7.000000"},
      {"has null", "0.000000"},
      {"has o", "1.000000"},
      {"names x", "11.000000"},
      {"number_or_7 null", "7.000000"},
      {"number_or_7 gone", "7.000000"},
      {"integer_or_7 gone", "7.000000"},
      {"boolean_or_true gone", "1.000000"},
      {"text_or_abc gone", "3.000000"},
      {"number gone", "raised: column gone: expected a number, got none"},
      {"number null", "raised: column null: expected a number, got none"},
      {"number yes", "raised: column yes: expected a number, got true"},
      {"number big", "raised: column big: expected a number, got 1e999"},
      {"number_or_7 t", "raised: column t: expected a number, got \"a"},
      {"integer n", "raised: column n: expected an integer, got -1.5e2"},
      {"boolean n", "raised: column n: expected true or false, got -1.5e2"},
      {"text n", "raised: column n: expected a text, got -1.5e2"},
      {"text list", "raised: column list: expected a text, got [1,[{"}};
  for (const auto& [asked, expected] : rows) {
    INFO(asked);
    CHECK_THAT(with_columns(*reward, asked, columns), Catch::Matchers::StartsWith(expected));
  }
  CHECK(with_columns(*reward, "names x", "") == "0.000000");
  CHECK(with_columns(*reward, "names x", "{}") == "0.000000");
  CHECK(with_columns(*reward, "number a", R"({"a": 1, "a": 2})") == "2.000000");  // the last counts
  CHECK(with_columns(*reward, "has a", R"({"a": 1, "a": null})") == "0.000000");
}

TEST_CASE("plugin header: what is no JSON object is refused and nothing is read behind its end",
          "[rewards]") {
  const auto reward = plugin(PROBE_PLUGIN, "{}");
  for (const char* columns :
       {"[",           "{",           "{\"",           "{\"a",       "{\"a\"",
        "{\"a\":",     "{\"a\":1",    "{\"a\":1,",     "{\"a\":1,}", "{\"a\":[",
        "{\"a\":[{\"", "{\"a\":\"\\", "{\"a\":\"\\\"", "{\"a\":1}x", "{a:1}",
        "{,}",         "1",           "nul",           "{\"a\":}",   "{\"a\" 1}"}) {
    INFO(columns);
    CHECK(with_columns(*reward, "has a", columns) ==
          "raised: what should be a JSON object is none");
  }
  for (const char* text :
       {R"("\u12")", R"("\uzzzz")", R"("\ud800")", R"("\ud800\u0041")", R"("\udc00")", R"("\x")"}) {
    INFO(text);
    CHECK_THAT(with_columns(*reward, "text a", std::string("{\"a\":") + text + "}"),
               Contains("raised: ") && Contains(" in JSON"));
  }
  CHECK(with_columns(*reward, "has a",
                     "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}") ==
        "1.000000");
}

TEST_CASE("plugin header: parameters of both kinds of rule, and of C", "[rewards]") {
  for (const char* file : {PROBE_PLUGIN, PROBE_CLASS_PLUGIN}) {
    const auto reward = plugin(file, R"({"limit": 30, "word": "four"})");
    CHECK(outcome_of(*reward, "limit") == "30.000000");
    CHECK(outcome_of(*reward, "word") == "4.000000");
    CHECK(outcome_of(*plugin(file, "{}"), "limit") == "200.000000");
    CHECK_THAT(refusal(file, R"({"limt": 30})"),
               Contains("reward_config: expected parameters that it takes, got parameter limt: "
                        "expected one of limit, word"));
  }
  CHECK_THAT(refusal(PROBE_CLASS_PLUGIN, R"({"limit": -1})"),
             Contains("got limit: expected 0 or more"));
  CHECK_THAT(refusal(PROBE_CLASS_PLUGIN, R"({"limit": "3"})"),
             Contains("got parameter limit: expected a number, got \"3\""));
  CHECK_THAT(refusal(EXAMPLE_CPP_PLUGIN, R"({"limit":3})"),
             Contains("got parameter limit: expected none, as this reward takes none"));
  CHECK_THAT(refusal(EXAMPLE_C_PLUGIN, R"({"limit":3})"),
             Contains("expected no parameters, as it takes none, got {\"limit\":3}"));
  CHECK(outcome_of(*plugin(SIZED_PLUGIN, R"({"limit":2})"), "abc") == "8.000000");
  CHECK_THAT(refusal(SIZED_PLUGIN, R"({"limit":1})"),
             Contains("reward_config") && Contains("got limit: expected 2 at least, got 1"));
  CHECK_THAT(refusal(SIZED_PLUGIN, R"({"refuse":""})"), Contains("got it gave no reason"));
}

TEST_CASE("plugin header: a struct of another size, where what it lacks may be lacking",
          "[rewards]") {
  CHECK(outcome_of(*plugin(SIZED_SMALL_PLUGIN, "{}"), "abc") == "-1.000000");
  CHECK(outcome_of(*plugin(SIZED_LARGE_PLUGIN, "{}"), "a") == "1.000000");
  CHECK_THAT(refusal(SIZED_SMALL_PLUGIN, "{\"a\":1}"), Contains("expected no parameters"));
  CHECK_THAT(refusal(SIZED_SHORT_PLUGIN, "{}"),
             Contains("struct_size: expected 32 bytes at least, got 24"));
  CHECK_THAT(refusal(SIZED_FIRST_PLUGIN, "{}"),
             Contains("abi: expected 2; build the plugin with the headers that `zeroth reward new` "
                      "writes, got 1"));
}

TEST_CASE("plugin header: every compiler and standard that is there", "[rewards]") {
  const testing::TemporaryDirectory directory;
  const std::string source = ZEROTH_SOURCE_DIR "/tests/rewards/plugins/";
  const std::string flags =
      " -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror -O0 -fPIC -shared -I" PLUGIN_INCLUDE;
  int compiled = 0;
  const auto compile = [&](const std::string& compiler, const std::string& file) {
    const std::string program = compiler.substr(0, compiler.find(' '));
    if (std::system(("command -v " + program + " >/dev/null").c_str()) != 0) return;
    const std::string out = (directory / ("p" + std::to_string(++compiled) + ".so")).string();
    const std::string command = compiler + flags + " -o " + out + " " + source + file;
    INFO(command);
    REQUIRE(std::system(command.c_str()) == 0);
    const bool is_c = file.back() == 'c';
    CHECK(outcome_of(*plugin(out, "{}"), is_c ? "a" : "limit") ==
          (is_c ? "1.000000" : "200.000000"));
  };
  for (const char* compiler :
       {"g++ -std=c++17", "g++ -std=c++20", "clang++ -std=c++17", "clang++ -std=c++20"})
    compile(compiler, "probe_plugin.cpp");
  for (const char* compiler : {"gcc -std=c99", "clang -std=c99"})
    compile(compiler, "sized_plugin.c");
  CHECK(compiled >= 1);
}

}  // namespace
}  // namespace zeroth
