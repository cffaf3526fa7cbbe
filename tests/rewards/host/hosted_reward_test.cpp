#include "rewards/host/hosted_reward.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "rewards/host/plugin_host.h"
#include "rewards/host/script_host.h"
#include "rewards/weighted_sum.h"
#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;
using testing::items_of;
using testing::outcomes_of;
using testing::reward_host;
using testing::texts_of;

TEST_CASE("hosted reward: one poisonous completion does not fail its mates", "[rewards]") {
  for (const std::string poison : {"segfault", "throw", "exit", "count", "garble", "nan"}) {
    const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
    const std::string alone = testing::outcome_of(*reward, poison);
    for (const std::size_t at : {0, 9, 19}) {
      std::vector<std::string> completions(20, "1234");
      completions[at] = poison;
      const std::vector<std::string> texts = texts_of(outcomes_of(*reward, completions));
      for (std::size_t i = 0; i < texts.size(); ++i)
        CHECK(texts[i] == (i == at ? alone : "4.000000"));
    }
  }
}

TEST_CASE("hosted reward: outcomes do not depend on how items come together", "[rewards]") {
  std::mt19937 random(1);
  const char* kinds[] = {"abort", "throw", "nan", "count"};
  std::vector<std::string> completions;
  for (int i = 0; i < 150; ++i)
    completions.push_back(random() % 12 == 0 ? kinds[random() % 4]
                                             : std::string(random() % 9, 'x'));
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  const std::vector<std::string> together = texts_of(outcomes_of(*reward, completions));
  for (const std::size_t batch : {1, 7, 64}) {
    const auto another = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
    std::vector<std::string> apart;
    for (std::size_t first = 0; first < completions.size(); first += batch) {
      const auto end = completions.begin() + std::min(first + batch, completions.size());
      for (const std::string& text :
           texts_of(outcomes_of(*another, {completions.begin() + first, end})))
        apart.push_back(text);
    }
    CHECK(apart == together);
  }
  CHECK(reward->num_starts() > 1);
}

TEST_CASE("hosted reward: what a process suffers from its past is no item's fault", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  REQUIRE(reward->num_starts() == 1);
  for (int i = 0; i < 3; ++i) CHECK(testing::outcome_of(*reward, "leak") == "4.000000");
  CHECK(reward->num_starts() == 3);
  const std::vector<std::string> texts = texts_of(outcomes_of(*reward, {"leak", "leak", "ok"}));
  CHECK(texts == std::vector<std::string>{"4.000000", "4.000000", "2.000000"});
}

TEST_CASE("hosted reward: ten thousand items at once, in order, some of them fatal", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  std::vector<std::string> completions;
  for (std::size_t i = 0; i < 10'000; ++i) completions.emplace_back(i % 251, 'x');
  for (const std::size_t at : {0, 63, 64, 5000, 9999}) completions[at] = "abort";
  const std::vector<RewardOutcome> outcomes = outcomes_of(*reward, completions);
  REQUIRE(outcomes.size() == completions.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < completions.size(); ++i) {
    if (completions[i] == "abort")
      wrong += outcomes[i].result != RewardResult::crash;
    else
      wrong += outcomes[i].score != static_cast<double>(completions[i].size());
  }
  CHECK(wrong == 0);
  CHECK(reward->take_call_seconds().size() >= 10'000 / 64);
  CHECK(reward->take_call_seconds().empty());
}

TEST_CASE("hosted reward: a child is kept while it does not fail", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  for (int i = 0; i < 20; ++i) outcomes_of(*reward, {"a", "throw", "nan", "count"});
  CHECK(reward->num_starts() == 1);
  outcomes_of(*reward, {"abort"});  // twice: the process was not fresh
  outcomes_of(*reward, {"a"});
  CHECK(reward->num_starts() == 3);
}

TEST_CASE("hosted reward: under stop the first failure is thrown, with its item", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  for (const bool strict : {true, false}) {
    try {
      const std::vector<std::string> completions = {"a", "b", "throw", "abort", "nan"};
      const auto items = items_of(completions);  // which look at the texts
      if (strict) reward->judge(items, OnRewardError::stop);
      if (!strict) reward->score(items);
      FAIL("no RewardError");
    } catch (const RewardError& error) {
      CHECK(error.reward() == "wayward");
      CHECK(error.item() == 2);
      CHECK(error.outcome().result == RewardResult::raised);
      CHECK(std::string(error.what()) ==
            "reward wayward: raised on item 2: exception: thrown by the plugin");
    }
  }
}

TEST_CASE("hosted reward: one that hangs whatever it is given ends the run", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host(0.25));
  CHECK_THROWS_WITH(outcomes_of(*reward, std::vector<std::string>(6, "sleep")),
                    Contains("hang on item 3") && Contains("as on the 3 completions before"));
}

TEST_CASE("hosted reward: one that ends its process whatever it is given ends the run",
          "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  std::vector<std::string> completions(30, "abort");
  CHECK_THROWS_WITH(outcomes_of(*reward, completions),
                    Contains("crash on item 15") && Contains("as on the 15 completions before"));
  // The control: one that it survives begins the count again.
  completions[15] = "fine";
  completions.resize(20);
  CHECK(outcomes_of(*reward, completions)[15].result == RewardResult::scored);
}

TEST_CASE("hosted reward: many items that end the process cost the search once", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  std::vector<std::string> completions(64, "abcd");
  for (std::size_t i = 20; i < 64; i += 8) completions[i] = "abort";
  const std::vector<std::string> texts = texts_of(outcomes_of(*reward, completions));
  for (std::size_t i = 0; i < texts.size(); ++i)
    CHECK(texts[i] == (i >= 20 && i % 8 == 4 ? "crash: killed by SIGABRT (aborted)" : "4.000000"));
  // Seven or eight for the first, and two or three for each of the five others; a search of its own
  // for each takes some thirty.
  CHECK(reward->num_restarts() <= 8 + 5 * 3);
}

TEST_CASE("hosted reward: a request to stop does not wait for a reward that hangs", "[rewards]") {
  struct Stopped : std::exception {};
  bool stop = false;
  RewardHost host = reward_host(1000.0);
  host.check_stop = [&] {
    if (stop) throw Stopped();
    stop = true;
  };
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host);
  stop = false;
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(outcomes_of(*reward, {"sleep"}), Stopped);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  host.check_stop = {};
  stop = false;
  CHECK(testing::outcome_of(*reward, "abc") == "3.000000");  // in a process of its own
  CHECK(reward->num_restarts() == 1);
}

// Whether a process runs; one that is dead and not cleared away yet does not.
bool runs(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.size() > name_end + 2 && text[name_end + 2] != 'Z';
}

TEST_CASE("hosted reward: kill -9 ends the reward's process and all that it started", "[rewards]") {
  const testing::TemporaryDirectory directory;
  const std::string file = (directory / "pid").string();
  const pid_t trainer = fork();
  if (trainer == 0) {
    try {
      RewardHost host = reward_host(1000.0);
      host.sandbox = Isolation::seccomp;  // so that the file is seen; isolation_test.cpp has full
      const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host);
      reward->judge(std::vector<RewardItem>{{.completion = "tell", .reference = file}},
                    OnRewardError::exclude);
    } catch (...) {
    }
    _exit(1);
  }
  pid_t grandchild = 0;
  const auto wait_for = [](const std::function<bool()>& condition) {
    for (int i = 0; i < 3000 && !condition(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  };
  REQUIRE(wait_for([&] { return (std::ifstream(file) >> grandchild) && grandchild > 0; }));
  CHECK(runs(grandchild));
  const pid_t group = getpgid(grandchild);
  CHECK(group != getpgid(0));
  kill(trainer, SIGKILL);
  waitpid(trainer, nullptr, 0);
  CHECK(wait_for([&] { return !runs(grandchild) && !runs(group); }));
}

TEST_CASE("hosted reward: a file that is another one by now is not started again", "[rewards]") {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path file = directory / "plugin.so";
  std::filesystem::copy_file(WAYWARD_PLUGIN, file);
  const auto reward = make_plugin_reward(file.string(), reward_host());
  std::filesystem::remove(file);
  std::filesystem::copy_file(EXAMPLE_CPP_PLUGIN, file);
  CHECK(testing::outcome_of(*reward, "abc") == "3.000000");  // the process is the old one
  CHECK_THROWS_WITH(outcomes_of(*reward, {"abort"}),
                    Contains("cannot be started again") &&
                        Contains("plugin.so is not what it was when the run began"));
}

TEST_CASE("hosted reward: several threads may ask at once", "[rewards]") {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, reward_host());
  std::vector<std::thread> threads;
  std::vector<std::vector<std::string>> texts(4);
  for (std::size_t t = 0; t < texts.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i)
        texts[t] = texts_of(outcomes_of(*reward, {std::string(t, 'x'), "throw"}));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < texts.size(); ++t)
    CHECK(texts[t].at(0) == std::to_string(static_cast<double>(t)));
}

RewardHost with_workers(std::int64_t workers, double timeout = 20.0) {
  RewardHost host = reward_host(timeout);
  host.workers = workers;
  return host;
}

TEST_CASE("hosted reward: several workers give what one gives, in order", "[rewards]") {
  std::mt19937 random(2);
  const char* kinds[] = {"abort", "throw", "nan", "count"};
  std::vector<std::string> completions;
  for (int i = 0; i < 203; ++i)
    completions.push_back(random() % 12 == 0 ? kinds[random() % 4]
                                             : std::string(random() % 9, 'x'));
  const std::vector<std::string> expected =
      texts_of(outcomes_of(*make_plugin_reward(WAYWARD_PLUGIN, reward_host()), completions));
  for (const std::int64_t workers : {2, 5, 64}) {
    const auto reward = make_plugin_reward(WAYWARD_PLUGIN, with_workers(workers));
    CHECK(reward->num_starts() == 1);  // the others when there is work for them
    CHECK(outcomes_of(*reward, {"ab"}).at(0).score == 2.0);
    CHECK(reward->num_starts() == 1);
    CHECK(texts_of(outcomes_of(*reward, completions)) == expected);
    CHECK(texts_of(outcomes_of(*reward, completions)) == expected);
    const std::int64_t used = std::min<std::int64_t>(workers, 203 / 8);
    CHECK(reward->num_starts() - reward->num_restarts() == used);
  }
  CHECK_THROWS_AS(make_plugin_reward(WAYWARD_PLUGIN, with_workers(0)), std::invalid_argument);
}

TEST_CASE("hosted reward: workers are processes of their own, and wait at one time", "[rewards]") {
  constexpr double kNap = 1.0;
  const auto seconds = [&](std::int64_t workers) {
    const auto reward = make_plugin_reward(WAYWARD_PLUGIN, with_workers(workers));
    std::vector<std::string> completions(32, "ab");
    outcomes_of(*reward, completions);  // all of them are there
    for (std::size_t i = 0; i < completions.size(); i += 8) completions[i] = "nap";
    const auto start = std::chrono::steady_clock::now();
    outcomes_of(*reward, completions);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  CHECK(seconds(1) >= 4 * kNap);
  CHECK(seconds(4) < 4 * kNap);
}

TEST_CASE("hosted reward: of several workers that fail, the first item's failure is told",
          "[rewards]") {
  std::vector<std::string> completions(64, "ab");
  completions[20] = "nap";  // the failure before is later than the one after
  completions[21] = "throw";
  completions[50] = "nan";
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, with_workers(4));
  try {
    reward->judge(items_of(completions), OnRewardError::stop);
    FAIL("nothing was thrown");
  } catch (const RewardError& error) {
    CHECK(error.item() == 21);
    CHECK(error.outcome().result == RewardResult::raised);
  }
  CHECK(outcomes_of(*reward, {"abc"}).at(0).score == 3.0);
}

TEST_CASE("hosted reward: in a weighted sum, each policy", "[rewards]") {
  const auto scored = [](OnRewardError on_error) {
    std::vector<std::unique_ptr<Reward>> rewards;
    rewards.push_back(make_plugin_reward(WAYWARD_PLUGIN, reward_host()));
    const WeightedRewards sum(std::move(rewards), {2.0}, {.action = on_error, .score = -0.25});
    return sum.score(items_of({"abc", "abort", "nan"}));
  };
  CHECK_THROWS_AS(scored(OnRewardError::stop), RewardError);
  const ScoredItems excluded = scored(OnRewardError::exclude);
  CHECK(excluded.total[0] == 6.0);
  CHECK(std::isnan(excluded.total[1]));
  CHECK(std::isnan(excluded.total[2]));
  CHECK(std::isnan(excluded.by_reward[0][1]));
  const ScoredItems fixed = scored(OnRewardError::score);
  CHECK(fixed.total == std::vector{6.0, -0.5, -0.5});
  for (const ScoredItems& items : {excluded, fixed}) {
    REQUIRE(items.failures.size() == 2);
    CHECK(items.failures[0].item == 1);
    CHECK(items.failures[0].result == RewardResult::crash);
    CHECK(items.failures[1].item == 2);
    CHECK(items.failures[1].result == RewardResult::not_finite);
  }
}

}  // namespace
}  // namespace zeroth
