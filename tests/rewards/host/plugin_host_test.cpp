#include "rewards/host/plugin_host.h"

#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using testing::outcome_of;
using testing::outcomes_of;
using testing::reward_host;
using testing::text_of;
using testing::texts_of;

TEST_CASE("plugin host: what a plugin can do to itself, by name", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  CHECK(reward->name() == "wayward");
  CHECK(reward->description() == "what it is told");
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");
  CHECK(outcome_of(*reward, "segfault") == "crash: killed by SIGSEGV (segmentation fault)");
  CHECK(outcome_of(*reward, "abort") == "crash: killed by SIGABRT (aborted)");
  CHECK(outcome_of(*reward, "exit") == "exit: exit code 3");
  CHECK(outcome_of(*reward, "throw") == "raised: exception: thrown by the plugin");
  CHECK(outcome_of(*reward, "error") == "raised: item 0 of 1 is one");
  CHECK(outcome_of(*reward, "nan") == "not_finite: the score nan");
  CHECK(outcome_of(*reward, "infinity") == "not_finite: the score inf");
  CHECK(outcome_of(*reward, "unwritten") == "not_finite: the score nan");
  CHECK(outcome_of(*reward, "count") == "wrong_count: 0 scores for 1 items");
  CHECK(outcome_of(*reward, "overrun") == "wrong_count: more scores for 1 items");
  CHECK(outcome_of(*reward, "none") == "not_applicable: ");
  CHECK(outcome_of(*reward, "exhausted") == "memory: std::bad_alloc");
  CHECK(outcome_of(*reward, "close") == "garbled: it closed its channel");
  CHECK(outcome_of(*reward, "garble") == "garbled: the result 63");
  CHECK(outcome_of(*reward, "print") == "5.000000");
  CHECK(outcome_of(*reward, "read") == "-1.000000");  // there is nothing to read
  if (testing::kMemoryIsLimited) CHECK(outcome_of(*reward, "allocate") == "memory: std::bad_alloc");
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");
}

TEST_CASE("plugin host: a plugin that does not answer is ended at the deadline", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host(1.0));
  for (const char* completion : {"loop", "sleep", "fork"}) {
    const auto start = std::chrono::steady_clock::now();
    CHECK(outcome_of(*reward, completion) == "hang: no answer within 1 s");
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  }
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");
}

TEST_CASE("plugin host: a copy of the process that returns says nothing", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  for (int i = 0; i < 5; ++i)
    CHECK(texts_of(outcomes_of(*reward, {"twice", std::string(std::size_t(i), 'x')})) ==
          std::vector<std::string>{"5.000000", std::to_string(double(i))});
  CHECK(reward->num_restarts() == 0);
}

TEST_CASE("plugin host: an answer that nobody asked for moves no score to another item",
          "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  // The forged answer is taken, as it is the first; the true one is noticed before the next call.
  CHECK(outcome_of(*reward, "forge") == "1.000000");
  CHECK(outcome_of(*reward, "1234567") == "7.000000");
  CHECK(reward->num_restarts() == 1);
  // To a call that is past: no score, as the process is a fresh one.
  const auto again = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  CHECK(outcome_of(*again, "12") == "2.000000");
  CHECK(texts_of(outcomes_of(*again, {"forge", "123"})) ==
        std::vector<std::string>{"1.000000", "3.000000"});
}

TEST_CASE("plugin host: a request that there is no memory for", "[rewards]") {
  if (!testing::kMemoryIsLimited) return;
  RewardHost host = reward_host();
  host.memory = std::int64_t{64} << 20;
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host);
  const std::vector<std::int32_t> ids(std::size_t{10} << 20);
  const std::string text(std::size_t{80} << 20, 'x');
  CHECK_THAT(text_of(reward->judge(std::vector<RewardItem>{{.completion_ids = ids}},
                                   OnRewardError::exclude)[0]),
             StartsWith("memory: std::bad_alloc, for a request of "));
  CHECK_THAT(outcome_of(*reward, text), StartsWith("memory: std::bad_alloc, for a request of "));
  CHECK(outcome_of(*reward, "1234567") == "7.000000");
}

TEST_CASE("plugin host: every field of an item arrives", "[rewards]") {
  // The example compares completion and reference; the protocol's test has the other fields.
  const auto reward = make_plugin_reward(EXAMPLE_CPP_PLUGIN, reward_host());
  const RewardItem items[] = {{.completion = "it is -12.", .reference = "-12"},
                              {.completion = "it is 12", .reference = "-12"},
                              {.completion = "", .reference = ""}};
  CHECK(reward->score(items) == std::vector{1.0, 0.0, 0.0});
  CHECK(reward->score({}).empty());
}

TEST_CASE("plugin host: files that are no plugin are refused with the reason", "[rewards]") {
  const auto refusal = [](const std::string& file) -> std::string {
    try {
      make_plugin_reward(file, reward_host());
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK_THAT(refusal("nowhere.so"), StartsWith("nowhere.so: ") && Contains("No such file"));
  const testing::TemporaryDirectory directory;
  const std::string text = (directory / "text.so").string();
  std::ofstream(text) << "int main() {}\n";
  CHECK_THAT(refusal(text),
             Contains("expected a shared object that can be loaded, got") && Contains("text.so"));
  CHECK_THAT(refusal(PLUGIN_WITHOUT_ENTRY),
             Contains("zeroth_reward: expected an exported C function of plugin_abi.h"));
  CHECK_THAT(refusal(PLUGIN_OF_ANOTHER_ABI), Contains("abi: expected 2; ") && Contains(", got 3"));
  CHECK_THAT(refusal(PLUGIN_WITH_A_BAD_NAME),
             Contains("name: expected 1 to 64 letters") && Contains("\"two words\""));
  CHECK_THAT(refusal(PLUGIN_THAT_CRASHES_AT_LOAD),
             Contains("expected a reward that can be loaded, got killed by SIGABRT (aborted)"));
}

TEST_CASE("plugin host: a wrong number of scores is found before a run", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  reward->try_on(testing::items_of({"a", "b"}));
  reward->try_on(testing::items_of({"a", "segfault"}));  // a matter of the item
  CHECK_THROWS_WITH(reward->try_on(testing::items_of({"a", "count"})),
                    Contains("wayward: expected a score for each item, got 1 scores for 2 items"));
}

}  // namespace
}  // namespace zeroth
