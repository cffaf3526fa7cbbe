// One step of each trainer on a tiny model, its numbers recomputed by hand; and that a rollout
// whose log-probs or experts are not the learner's is found out.
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "rl/grpo_trainer.h"
#include "rl/sft_trainer.h"
#include "rollout/local_engine.h"
#include "tests/rl/tiny_run.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

using testing::metric;

const char* const kModels[] = {testing::kTinyDeepseek, testing::kTinyQwen2};

// Passes on what the engine sampled after `change`.
class TamperingEngine : public Engine {
 public:
  TamperingEngine(Engine& engine, std::function<void(std::vector<Group>&)> change)
      : engine_(engine), change_(std::move(change)) {}
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& on_group = {}) override {
    std::vector<Group> groups = engine_.generate(requests, sampling, on_group);
    if (change_) change_(groups);
    return groups;
  }

 private:
  Engine& engine_;
  std::function<void(std::vector<Group>&)> change_;
};

GrpoConfig tiny_grpo() {
  GrpoConfig config;
  config.num_generations = 5;
  config.num_prompts_per_step = 3;
  config.max_completion_length = 7;
  config.temperature = 0.9;
  config.learning_rate = 0.01;
  config.micro_batch_tokens = 20;
  return config;
}

// Scores as SevensReward does, and fails on completions of an odd size.
class OddlyFailingReward final : public testing::SevensReward {
 public:
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override {
    std::vector<RewardOutcome> outcomes = SevensReward::judge(items, on_error);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].completion.size() % 2 == 0) continue;
      outcomes[i] = {.result = RewardResult::crash, .message = "odd"};
      if (on_error == OnRewardError::stop) throw RewardError("sevens", i, outcomes[i]);
    }
    return outcomes;
  }
};

WeightedRewards oddly_failing(OnRewardError on_error) {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<OddlyFailingReward>());
  return WeightedRewards(std::move(rewards), {}, {.action = on_error});
}

struct GrpoRun {
  explicit GrpoRun(const char* json, GrpoConfig settings = tiny_grpo(),
                   Dtype dtype = Dtype::float32,
                   std::function<void(std::vector<Group>&)> change = {},
                   WeightedRewards reward = testing::sevens_reward())
      : config(std::move(settings)), rewards(std::move(reward)) {
    testing::write_tiny_checkpoint(directory.path(), json);
    policy.emplace(context, directory.path(), dtype);
    if (config.beta > 0.0) {
      reference_weights.emplace(load_weights(directory.path(), policy->config()));
      reference.emplace(policy->config(), *reference_weights, dtype, false);
    }
    local.emplace(context, policy->packed(),
                  EngineConfig{.max_num_seqs = 6, .page_size = 4, .record_experts = true});
    engine.emplace(*local, std::move(change));
    trainer.emplace(context, alone, *policy, reference ? &*reference : nullptr, *engine, problems,
                    prompt_template, rewards, config);
  }
  GrpoStep step(std::int64_t number) { return trainer->step(number, config.learning_rate, true); }

  GrpoConfig config;
  Context context = testing::best_context();
  Collectives alone;
  testing::TemporaryDirectory directory;
  std::vector<Problem> problems = testing::sums_problems();
  PromptTemplate prompt_template = testing::plain_template();
  WeightedRewards rewards;
  std::optional<TrainedPolicy> policy;
  std::optional<Weights> reference_weights;
  std::optional<PackedPolicy> reference;
  std::optional<LocalEngine> local;
  std::optional<TamperingEngine> engine;
  std::optional<GrpoTrainer> trainer;
};

TEST_CASE("grpo trainer: truncated completions are left out of the loss on request", "[rl]") {
  for (const char* json : kModels) {
    GrpoConfig config = tiny_grpo();
    config.loss_type = "dapo";
    config.max_completion_length = 12;
    config.mask_truncated_completions = true;
    GrpoRun run(json, config);
    const GrpoStep step = run.step(1);
    double weighted = 0.0;
    double tokens = 0.0;
    std::size_t kept = 0;
    for (const CompletionRecord& record : step.completions) {
      if (record.finish_reason == FinishReason::length) continue;
      weighted += record.advantage * static_cast<double>(record.num_tokens);
      tokens += static_cast<double>(record.num_tokens);
      ++kept;
    }
    REQUIRE(kept > 0);
    REQUIRE(kept < step.completions.size());
    CHECK(metric(step.metrics, "loss") == Approx(-weighted / tokens).margin(1e-9));
  }
}

TEST_CASE("grpo trainer: what a reward failed on is left out of the loss, or gets 0", "[rl]") {
  for (const char* json : kModels) {
    for (const OnRewardError on_error : {OnRewardError::exclude, OnRewardError::score}) {
      const bool excludes = on_error == OnRewardError::exclude;
      GrpoConfig config = tiny_grpo();
      config.loss_type = "dapo";
      config.beta = 0.1;  // would train what has no advantage
      config.max_completion_length = 12;
      GrpoRun run(json, config, Dtype::float32, {}, oddly_failing(on_error));
      const GrpoStep step = run.step(1);
      double weighted = 0.0;
      double tokens = 0.0;
      double failures = 0.0;
      for (const CompletionRecord& record : step.completions) {
        const bool failed = record.completion.size() % 2 == 1;
        failures += failed ? 1.0 : 0.0;
        CHECK(std::isnan(record.reward) == (failed && excludes));
        if (failed && excludes) {
          CHECK(record.advantage == 0.0);
          continue;
        }
        if (failed) CHECK(record.reward == 0.0);
        weighted += record.advantage * static_cast<double>(record.num_tokens);
        tokens += static_cast<double>(record.num_tokens);
      }
      REQUIRE(failures > 0.0);
      REQUIRE(failures < static_cast<double>(step.completions.size()));
      CHECK(metric(step.metrics, "rewards/sevens/failures/crash") == failures);
      // In the first step the policy is the reference: the KL term is 0.
      CHECK(metric(step.metrics, "loss") == Approx(-weighted / tokens).margin(1e-9));
      REQUIRE(step.notes.size() == 1);
      for (const char* part : {"reward sevens: crash on ", " of 15 completions of step 1, which ",
                               excludes ? "are left out" : "get 0 from it", "sample ", ": odd"})
        CHECK_THAT(step.notes[0], Catch::Matchers::Contains(part));
      CHECK(run.step(2).notes.empty());  // said once
    }
  }
}

// Fails on everything, as often as it is told.
class BrokenReward final : public testing::SevensReward {
 public:
  explicit BrokenReward(int calls) : calls_left_(calls) {}
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override {
    if (--calls_left_ < 0) return SevensReward::judge(items, on_error);
    return std::vector<RewardOutcome>(items.size(),
                                      {.result = RewardResult::raised, .message = "broken"});
  }
  std::int64_t num_restarts() const override { return 2 * calls_left_ * calls_left_; }

 private:
  mutable int calls_left_;
};

TEST_CASE("grpo trainer: a reward that fails on everything ends the run, also where it gives 0",
          "[rl]") {
  const auto broken_for = [](int steps) {
    std::vector<std::unique_ptr<Reward>> rewards;
    rewards.push_back(std::make_unique<BrokenReward>(steps));
    return WeightedRewards(std::move(rewards), {}, {.action = OnRewardError::score});
  };
  GrpoRun run(testing::kTinyQwen2, tiny_grpo(), Dtype::float32, {}, broken_for(3));
  run.step(1);
  run.step(2);
  CHECK_THROWS_WITH(
      run.step(3),
      Catch::Matchers::Contains("reward sevens: raised on problem ") &&
          Catch::Matchers::Contains("broken; as on every one of the 15 completions of 3 steps"));
  GrpoRun control(testing::kTinyQwen2, tiny_grpo(), Dtype::float32, {}, broken_for(2));
  for (std::int64_t step = 1; step <= 4; ++step) CHECK_NOTHROW(control.step(step));
}

TEST_CASE("grpo trainer: restarts of a reward's process are a metric", "[rl]") {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<BrokenReward>(0));
  GrpoRun run(testing::kTinyQwen2, tiny_grpo(), Dtype::float32, {},
              WeightedRewards(std::move(rewards), {}));
  CHECK(metric(run.step(1).metrics, "rewards/sevens/restarts") == 2.0);  // from 0 to 2
  CHECK(metric(run.step(2).metrics, "rewards/sevens/restarts") == 6.0);  // to 8
  GrpoRun without(testing::kTinyQwen2);
  CHECK(std::isnan(metric(without.step(1).metrics, "rewards/sevens/restarts")));
}

TEST_CASE("grpo trainer: what has no reward is in no mean over sequences", "[rl]") {
  for (const OnRewardError on_error : {OnRewardError::exclude, OnRewardError::score}) {
    GrpoConfig config = tiny_grpo();
    config.loss_type = "grpo";
    config.beta = 0.0;
    config.max_completion_length = 12;
    config.mask_truncated_completions = true;  // else the advantages cancel
    GrpoRun run(testing::kTinyDeepseek, config, Dtype::float32, {}, oddly_failing(on_error));
    const GrpoStep step = run.step(1);
    double sum = 0.0;
    double rewarded = 0.0;
    for (const CompletionRecord& record : step.completions) {
      if (record.finish_reason == FinishReason::stop) sum += record.advantage;
      rewarded += std::isnan(record.reward) ? 0.0 : 1.0;
    }
    REQUIRE(std::abs(sum) > 0.01);
    CHECK((rewarded < 15.0) == (on_error == OnRewardError::exclude));
    CHECK(metric(step.metrics, "loss") == Approx(-sum / rewarded).margin(1e-9));
  }
}

TEST_CASE("grpo trainer: under stop a failure ends the step before anything is learned", "[rl]") {
  GrpoConfig config = tiny_grpo();
  config.max_completion_length = 12;
  GrpoRun run(testing::kTinyDeepseek, config, Dtype::float32, {},
              oddly_failing(OnRewardError::stop));
  const std::vector<float> before(run.policy->weights().values().begin(),
                                  run.policy->weights().values().end());
  CHECK_THROWS_WITH(run.step(1), Catch::Matchers::Contains("reward sevens: crash on problem ") &&
                                     Catch::Matchers::Contains(", completion \""));
  CHECK(std::equal(before.begin(), before.end(), run.policy->weights().values().begin()));
}

TEST_CASE("grpo trainer: under truncation the learner's log-probs are still the rollout's",
          "[rl]") {
  for (const char* json : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      GrpoConfig config = tiny_grpo();
      config.top_k = 6;
      config.top_p = 0.9;
      bool truncated = true;
      GrpoRun run(json, config, dtype, [&](std::vector<Group>& groups) {
        for (const Completion& completion : groups[0].completions)
          truncated = truncated && completion.sampling_logprobs.size() == completion.tokens.size();
      });
      run.step(1);
      const GrpoStep step = run.step(2);
      CHECK(truncated);
      CHECK(metric(step.metrics, "sampling/sampling_logp_difference/max") == 0.0);
      CHECK(metric(step.metrics, "routing_disagreements") == 0.0);
      const double mean = metric(step.metrics, "sampling/kept_probability/mean");
      CHECK(mean > metric(step.metrics, "sampling/kept_probability/min"));
      CHECK(mean < 1.0);
    }
  }
}

TEST_CASE("grpo trainer: control: log-probs of the truncated distribution stop the run", "[rl]") {
  GrpoConfig config = tiny_grpo();
  config.top_k = 6;
  GrpoRun run(testing::kTinyDeepseek, config, Dtype::float32, [](std::vector<Group>& groups) {
    for (Group& group : groups) {
      for (Completion& completion : group.completions)
        completion.logprobs = completion.sampling_logprobs;
    }
  });
  CHECK_THROWS_WITH(run.step(1), Catch::Contains("log-probs of the learner differ"));
}

TEST_CASE("grpo trainer: without truncation nothing is said of it", "[rl]") {
  GrpoRun run(testing::kTinyDeepseek);
  for (const Metric& value : run.step(1).metrics)
    CHECK(value.name.find("kept_probability") == std::string::npos);
}

TEST_CASE("grpo trainer: level of the ratio and correction of the KL reach the loss", "[rl]") {
  const auto loss_of = [](const GrpoConfig& config) {
    GrpoRun run(testing::kTinyDeepseek, config);
    run.step(1);
    return metric(run.step(2).metrics, "loss");
  };
  GrpoConfig config = tiny_grpo();
  config.num_iterations = 2;  // off-policy in the second
  const double token = loss_of(config);
  config.importance_sampling_level = "sequence";
  CHECK(loss_of(config) != token);
  config.importance_sampling_level = "token";
  config.beta = 0.1;
  const double corrected = loss_of(config);
  config.use_bias_correction_kl = false;
  CHECK(loss_of(config) != corrected);
}

TEST_CASE("grpo trainer: a step's metrics and advantages by hand from its completions", "[rl]") {
  for (const char* json : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      GrpoConfig config = tiny_grpo();
      config.loss_type = "dapo";
      GrpoRun run(json, config, dtype);
      const GrpoStep step = run.step(1);
      REQUIRE(step.completions.size() == 15);
      double total = 0.0;
      double tokens = 0.0;
      double weighted_advantages = 0.0;
      int equal_groups = 0;
      for (std::size_t g = 0; g < 3; ++g) {
        double mean = 0.0;
        for (std::size_t i = 5 * g; i < 5 * g + 5; ++i) mean += step.completions[i].reward / 5;
        double squares = 0.0;
        for (std::size_t i = 5 * g; i < 5 * g + 5; ++i) {
          squares += std::pow(step.completions[i].reward - mean, 2);
        }
        const double deviation = std::sqrt(squares / 4);
        equal_groups += deviation == 0.0 ? 1 : 0;
        for (std::size_t i = 5 * g; i < 5 * g + 5; ++i) {
          const CompletionRecord& record = step.completions[i];
          CHECK(record.prompt == step.completions[5 * g].prompt);
          CHECK(record.advantage ==
                Approx((record.reward - mean) / (deviation + 1e-4)).margin(1e-12));
          REQUIRE(record.rewards.size() == 1);
          CHECK(record.rewards[0].name == "sevens");
          CHECK(record.rewards[0].value == record.reward);
          CHECK(record.num_tokens <= 7);
          if (record.finish_reason == FinishReason::length) CHECK(record.num_tokens == 7);
          total += record.reward;
          tokens += static_cast<double>(record.num_tokens);
          weighted_advantages += record.advantage * static_cast<double>(record.num_tokens);
        }
      }
      REQUIRE(total > 0.0);  // else nothing is learned and nothing is tested
      const auto& m = step.metrics;
      CHECK(metric(m, "reward") == Approx(total / 15));
      CHECK(metric(m, "rewards/sevens/mean") == Approx(total / 15));
      CHECK(metric(m, "frac_reward_zero_std") == Approx(equal_groups / 3.0));
      CHECK(metric(m, "completions/mean_length") == Approx(tokens / 15));
      // On-policy every ratio is 1: the loss is minus the mean advantage over tokens.
      CHECK(metric(m, "loss") == Approx(-weighted_advantages / tokens).margin(1e-9));
      CHECK(metric(m, "sampling/sampling_logp_difference/max") == 0.0);
      CHECK(metric(m, "sampling/sampling_logp_difference/mean") == 0.0);
      CHECK(metric(m, "routing_disagreements") == 0.0);
      CHECK(metric(m, "clip_ratio/region_mean") == 0.0);
      CHECK(metric(m, "grad_norm") > 0.0);
      CHECK(metric(m, "entropy") > 0.0);
      CHECK(metric(m, "entropy") < std::log(21.0));
      CHECK(metric(m, "learning_rate") == 0.01);
      double prompts = 0.0;
      for (std::size_t g = 0; g < 3; ++g) {
        prompts +=
            static_cast<double>(step.completions[5 * g].prompt.size());  // a token a character
      }
      CHECK(metric(m, "num_tokens") == tokens + prompts);
      CHECK(static_cast<double>(run.trainer->num_tokens()) == tokens + prompts);
      CHECK(run.policy->num_updates() == 1);
      CHECK(std::isnan(metric(m, "kl")));  // no reference, no such metric
    }
  }
}

// The share of '7' among completions that have one; else nothing to say.
class SevensIfAnyReward final : public testing::SevensReward {
 public:
  std::string_view name() const override { return "sevens_if_any"; }
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override {
    std::vector<RewardOutcome> outcomes = SevensReward::judge(items, on_error);
    for (RewardOutcome& outcome : outcomes) {
      if (outcome.score == 0.0) outcome = {.result = RewardResult::not_applicable};
    }
    return outcomes;
  }
};

class EvenLengthReward final : public testing::SevensReward {
 public:
  std::string_view name() const override { return "even_length"; }
  std::vector<double> score(std::span<const RewardItem> items) const override {
    std::vector<double> scores;
    for (const RewardItem& item : items) scores.push_back(item.completion.size() % 2 == 0 ? 9 : 0);
    return scores;
  }
};

TEST_CASE("grpo trainer: several rewards come to one scale before they are added, on request",
          "[rl]") {
  GrpoConfig config = tiny_grpo();
  config.max_completion_length = 12;
  const auto advantages_of = [&](const char* aggregation) {
    config.multi_objective_aggregation = aggregation;
    std::vector<std::unique_ptr<Reward>> rewards;
    rewards.push_back(std::make_unique<SevensIfAnyReward>());
    rewards.push_back(std::make_unique<EvenLengthReward>());
    GrpoRun run(testing::kTinyQwen2, config, Dtype::float32, {},
                WeightedRewards(std::move(rewards), {2.0, 1.0}));
    const GrpoStep step = run.step(1);
    std::vector<double> sevens, even, total, advantages;
    for (const CompletionRecord& record : step.completions) {
      sevens.push_back(record.rewards.at(0).value);
      even.push_back(record.rewards.at(1).value);
      total.push_back(record.reward);
      advantages.push_back(record.advantage);
    }
    const std::vector<double> expected =
        config.multi_objective_aggregation == "normalize_then_sum"
            ? decoupled_advantages(std::vector{sevens, even}, std::vector{2.0, 1.0}, total, 5)
                  .advantages
            : group_advantages(total, 5, ScaleRewards::group).advantages;
    CHECK(advantages == expected);
    return advantages;
  };
  CHECK(advantages_of("normalize_then_sum") != advantages_of("sum_then_normalize"));
}

TEST_CASE("grpo trainer: the metrics of lengths by hand", "[rl]") {
  GrpoRun run(testing::kTinyQwen2);
  const GrpoStep step = run.step(1);
  double ended = 0.0;
  double ended_tokens = 0.0;
  double shortest = 100.0;
  double longest = 0.0;
  for (const CompletionRecord& record : step.completions) {
    const auto length = static_cast<double>(record.num_tokens);
    shortest = std::min(shortest, length);
    longest = std::max(longest, length);
    if (record.finish_reason == FinishReason::length) continue;
    ended += 1.0;
    ended_tokens += length;
  }
  REQUIRE(ended > 0.0);
  REQUIRE(ended < 15.0);
  CHECK(metric(step.metrics, "completions/min_length") == shortest);
  CHECK(metric(step.metrics, "completions/max_length") == longest);
  CHECK(metric(step.metrics, "completions/mean_terminated_length") == Approx(ended_tokens / ended));
  CHECK(metric(step.metrics, "completions/clipped_ratio") == Approx(1.0 - ended / 15));
}

TEST_CASE("grpo trainer: what is rewarded becomes more likely", "[rl]") {
  GrpoConfig config = tiny_grpo();
  config.num_generations = 16;
  GrpoRun run(testing::kTinyQwen2, config);
  double first = 0.0;
  double last = 0.0;
  for (std::int64_t step = 1; step <= 24; ++step) {
    const double reward = metric(run.step(step).metrics, "reward");
    if (step <= 4) first += reward / 4;
    if (step > 20) last += reward / 4;
  }
  CHECK(last > first + 0.2);
}

TEST_CASE("grpo trainer: one log-prob off by one unit in the last place stops the run", "[rl]") {
  for (const char* json : kModels) {
    for (const float towards : {-100.0F, 0.0F}) {
      GrpoRun run(json, tiny_grpo(), Dtype::float32, [&](std::vector<Group>& groups) {
        float& logprob = groups[1].completions[2].logprobs.back();
        logprob = std::nextafter(logprob, towards);
      });
      const std::vector<float> before(run.policy->weights().values().begin(),
                                      run.policy->weights().values().end());
      CHECK_THROWS_WITH(run.step(1), Catch::Contains("1 of") && Catch::Contains("one numerics"));
      const std::vector<float> after(run.policy->weights().values().begin(),
                                     run.policy->weights().values().end());
      CHECK(testing::same_bits(before, after));  // nothing was learned from it
    }
  }
}

TEST_CASE("grpo trainer: one expert other than the learner's stops the run", "[rl]") {
  SECTION("of a completion") {
    GrpoRun run(testing::kTinyDeepseek, tiny_grpo(), Dtype::float32,
                [](std::vector<Group>& groups) {
                  for (Completion& completion : groups[0].completions) {
                    if (completion.experts.empty()) continue;
                    completion.experts[0] ^= 1;
                    return;
                  }
                });
    CHECK_THROWS_WITH(run.step(1),
                      Catch::Contains("1 routing decisions") && Catch::Contains("one numerics"));
  }
  SECTION("of a prompt") {
    GrpoRun run(testing::kTinyDeepseek, tiny_grpo(), Dtype::float32,
                [](std::vector<Group>& groups) { groups[2].prompt_experts.back() ^= 1; });
    CHECK_THROWS_WITH(run.step(1),
                      Catch::Contains("1 routing decisions") && Catch::Contains("one numerics"));
  }
  SECTION("a decision that was not reported") {
    GrpoRun run(testing::kTinyDeepseek, tiny_grpo(), Dtype::float32,
                [](std::vector<Group>& groups) { groups[2].prompt_experts.pop_back(); });
    CHECK_THROWS_WITH(run.step(1), Catch::Contains("slots"));
  }
}

TEST_CASE("grpo trainer: a second update on the same completions is off-policy and clips", "[rl]") {
  for (const char* json : kModels) {
    GrpoConfig config = tiny_grpo();
    config.num_iterations = 2;
    config.learning_rate = 0.05;
    config.epsilon = 0.01;
    GrpoRun run(json, config);
    const GrpoStep step = run.step(1);
    CHECK(run.policy->num_updates() == 2);
    CHECK(metric(step.metrics, "sampling/sampling_logp_difference/max") == 0.0);  // the first
    CHECK(metric(step.metrics, "clip_ratio/region_mean") > 0.0);
    CHECK(metric(step.metrics, "clip_ratio/region_mean") ==
          Approx(metric(step.metrics, "clip_ratio/low_mean") +
                 metric(step.metrics, "clip_ratio/high_mean")));
    CHECK(metric(step.metrics, "clip_ratio/high_max") >=
          metric(step.metrics, "clip_ratio/high_mean"));
    CHECK(metric(step.metrics, "clip_ratio/low_min") <=
          metric(step.metrics, "clip_ratio/low_mean"));
    // Going on after it is on-policy again.
    CHECK(metric(run.step(2).metrics, "sampling/sampling_logp_difference/max") == 0.0);
  }
}

TEST_CASE("grpo trainer: the KL to the starting policy is 0 in the first step, then positive",
          "[rl]") {
  for (const char* json : kModels) {
    GrpoConfig config = tiny_grpo();
    config.beta = 0.04;
    GrpoRun run(json, config);
    CHECK(metric(run.step(1).metrics, "kl") == 0.0);
    CHECK(metric(run.step(2).metrics, "kl") > 0.0);
  }
}

TEST_CASE("grpo trainer: a stronger KL term keeps the policy nearer to the reference", "[rl]") {
  double kl[2];
  for (const int strong : {0, 1}) {
    GrpoConfig config = tiny_grpo();
    config.beta = strong == 1 ? 5.0 : 1e-6;
    config.max_grad_norm = 0.0;
    GrpoRun run(testing::kTinyQwen2, config);
    for (std::int64_t step = 1; step <= 9; ++step) run.step(step);
    kl[strong] = metric(run.step(10).metrics, "kl");
  }
  CHECK(kl[1] < kl[0]);
}

TEST_CASE("grpo trainer: a step is a function of its number, not of the micro-batch", "[rl]") {
  for (const char* json : kModels) {
    GrpoConfig config = tiny_grpo();
    GrpoRun one(json, config);
    config.micro_batch_tokens = 1;
    GrpoRun other(json, config);
    for (const std::int64_t step : {1, 2}) {
      const GrpoStep a = one.step(step);
      const GrpoStep b = other.step(step);
      REQUIRE(a.completions.size() == b.completions.size());
      for (std::size_t i = 0; i < a.completions.size(); ++i) {
        CHECK(a.completions[i].completion == b.completions[i].completion);
      }
      CHECK(metric(a.metrics, "grad_norm") == metric(b.metrics, "grad_norm"));
      CHECK(metric(a.metrics, "loss") == metric(b.metrics, "loss"));
    }
    GrpoRun later(json);  // step 2 first: other problems, other samples
    CHECK(later.step(2).completions[0].prompt != one.step(1).completions[0].prompt);
  }
}

TEST_CASE("grpo trainer: experts are balanced when asked, by the counts of the step", "[rl]") {
  const std::string name = "model.layers.1.mlp.gate.e_score_correction_bias";
  GrpoConfig config = tiny_grpo();
  GrpoRun frozen(testing::kTinyDeepseek, config);
  frozen.step(1);
  for (const float b : frozen.policy->weights()[name]) CHECK(b == 0.0F);
  config.router_bias_update_speed = 0.25;
  GrpoRun balanced(testing::kTinyDeepseek, config);
  balanced.step(1);
  int up = 0;
  int down = 0;
  for (const float b : balanced.policy->weights()[name]) {
    CHECK((b == 0.0F || std::abs(b) == 0.25F));
    up += b > 0.0F ? 1 : 0;
    down += b < 0.0F ? 1 : 0;
  }
  CHECK(up > 0);
  CHECK(down > 0);
  CHECK(metric(balanced.step(2).metrics, "routing_disagreements") == 0.0);
}

struct SftRun {
  explicit SftRun(const char* json, Dtype dtype = Dtype::float32) {
    testing::write_tiny_checkpoint(directory.path(), json);
    policy.emplace(context, directory.path(), dtype);
    trainer.emplace(context, alone, *policy, SftTrainer::Config{.micro_batch_tokens = 50});
    for (const Problem& problem : testing::sums_problems()) {
      if (examples.size() == 6) break;
      examples.push_back(make_example(policy->tokenizer(), policy->config().eos_token_ids[0],
                                      problem.question, problem.solution));
    }
  }
  Context context = testing::best_context();
  Collectives alone;
  testing::TemporaryDirectory directory;
  std::optional<TrainedPolicy> policy;
  std::optional<SftTrainer> trainer;
  std::vector<TrainingGroup> examples;
};

TEST_CASE("sft trainer: an example is the prompt, and the completion with its end", "[rl]") {
  const Tokenizer tokenizer = testing::sums_tokenizer();
  const TrainingGroup example = make_example(tokenizer, 16, "1+2=", "<answer>3</answer>");
  CHECK(example.prompt == tokenizer.encode("1+2="));
  REQUIRE(example.completions.size() == 1);
  CHECK(tokenizer.decode(example.completions[0], false) == "<answer>3</answer><eos>");
  CHECK(example.completions[0].back() == 16);
}

TEST_CASE("sft trainer: the loss is the mean over completion tokens, and falls", "[rl]") {
  for (const char* json : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      SftRun run(json, dtype);
      Learner learner(run.context, run.policy->packed(), {});
      const BatchForward before = learner.evaluate(run.examples);
      double sum = 0.0;
      for (const float lp : before.logprobs) sum -= static_cast<double>(lp);
      const auto completion_tokens = static_cast<double>(before.logprobs.size());
      double prompt_tokens = 0.0;
      for (const TrainingGroup& example : run.examples) {
        prompt_tokens += static_cast<double>(example.prompt.size());
      }
      const auto first = run.trainer->step(run.examples, 0.01, {});
      CHECK(metric(first, "loss") == Approx(sum / completion_tokens));
      CHECK(metric(first, "entropy") == Approx(before.entropy_sum / completion_tokens));
      CHECK(metric(first, "grad_norm") > 0.0);
      CHECK(metric(first, "learning_rate") == 0.01);
      CHECK(metric(first, "num_tokens") == completion_tokens + prompt_tokens);
      double last = 0.0;
      for (int step = 0; step < 30; ++step) {
        last = metric(run.trainer->step(run.examples, 0.01, {}), "loss");
      }
      CHECK(last < 0.5 * metric(first, "loss"));
      CHECK(static_cast<double>(run.trainer->num_tokens()) ==
            31 * (completion_tokens + prompt_tokens));
    }
  }
}

}  // namespace
}  // namespace zeroth
