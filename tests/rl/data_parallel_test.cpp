// The gradient of a step over one, two and three ranks: exactly the same, or the same up to the
// rounding of fp32; and whole runs of GRPO and SFT over ranks.
#include "rl/data_parallel.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "tests/rl/tiny_run.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/ranks.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

using testing::outcomes_of_ranks;
using testing::run_ranks;
using testing::what_of;

const char* const kModels[] = {testing::kTinyDeepseek, testing::kTinyQwen2};

std::vector<std::int64_t> loads(const std::vector<std::int64_t>& costs, int ranks) {
  const std::vector<int> rank_of = balance(costs, ranks);
  std::vector<std::int64_t> load(static_cast<std::size_t>(ranks), 0);
  for (std::size_t i = 0; i < costs.size(); ++i)
    load[static_cast<std::size_t>(rank_of[i])] += costs[i];
  return load;
}

TEST_CASE("balance: by hand", "[rl]") {
  CHECK(balance(std::vector<std::int64_t>{5, 3, 4, 4}, 2) == std::vector<int>{0, 0, 1, 1});
  CHECK(balance(std::vector<std::int64_t>{7, 7, 7}, 2) == std::vector<int>{0, 1, 0});
  CHECK(balance(std::vector<std::int64_t>{1, 9}, 3) == std::vector<int>{1, 0});
  CHECK(balance(std::vector<std::int64_t>{3, 1, 2}, 1) == std::vector<int>{0, 0, 0});
  CHECK(balance({}, 2).empty());
}

TEST_CASE("balance: no rank has more than the mean and one item", "[rl]") {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    std::vector<std::int64_t> costs;
    for (const float x : testing::random_floats(5 + seed, seed, 500.0))
      costs.push_back(501 + static_cast<std::int64_t>(x));
    for (const int ranks : {2, 3, 7}) {
      const auto load = loads(costs, ranks);
      const std::int64_t total = std::accumulate(costs.begin(), costs.end(), std::int64_t{0});
      const std::int64_t dearest = *std::max_element(costs.begin(), costs.end());
      CHECK(*std::max_element(load.begin(), load.end()) <= total / ranks + dearest);
      CHECK(std::accumulate(load.begin(), load.end(), std::int64_t{0}) == total);
    }
  }
}

// A step of seven groups of different sizes, and its gradient over a number of ranks.
struct Step {
  explicit Step(const char* json) {
    testing::write_tiny_checkpoint(directory.path(), json);
    std::int32_t token = 3;
    const auto next = [&] { return token = (token * 5 + 3) % 17; };
    for (std::size_t g = 0; g < 7; ++g) {
      TrainingGroup& group = groups.emplace_back();
      for (std::size_t i = 0; i < 3 + g % 3; ++i) group.prompt.push_back(next());
      for (std::size_t c = 0; c < 2 + g % 4; ++c) {
        auto& completion = group.completions.emplace_back();
        for (std::size_t i = 0; i < 1 + (3 * g + c) % 8; ++i) completion.push_back(next());
      }
      tokens.push_back(static_cast<std::int64_t>(group.prompt.size()));
      for (const auto& completion : group.completions)
        tokens.back() += static_cast<std::int64_t>(completion.size());
    }
  }

  // L = sum of w lp^2 / 2, with a weight for each group.
  static ChunkLoss loss_of(double weight) {
    return [=](const ChunkOfCompletions& chunk) {
      LossOutputs out;
      for (std::size_t i = 0; i + 1 < chunk.offsets.size(); ++i) {
        LossSums& sums = out.sequence_sums.emplace_back();
        for (std::int64_t t = chunk.offsets[i]; t < chunk.offsets[i + 1]; ++t) {
          const auto lp = static_cast<double>(chunk.logprobs[static_cast<std::size_t>(t)]);
          out.dlogprobs.push_back(static_cast<float>(weight * lp));
          sums.loss += weight * lp * lp / 2.0;
          ++sums.num_tokens;
        }
      }
      return out;
    };
  }

  struct Result {
    std::vector<float> gradient;
    StepSums sums;
    std::vector<TrainingUnit> units;
  };

  // Of each rank. `weight` scales the loss.
  std::vector<Result> results(int num_ranks, DataParallel::Config config,
                              double weight = 1.0) const {
    std::vector<Result> all(static_cast<std::size_t>(num_ranks));
    run_ranks(num_ranks, [&](Collectives& ranks) {
      all[static_cast<std::size_t>(ranks.rank())] = result(ranks, config, weight);
    });
    return all;
  }

  Result result(Collectives& ranks, DataParallel::Config config, double weight) const {
    const Context context = testing::best_context();
    TrainedPolicy policy(context, directory.path(), Dtype::float32);
    Learner learner(context, policy.packed(), {.micro_batch_tokens = 11});
    DataParallel parallel(context, ranks, policy, config);
    Result out;
    out.units = parallel.deal(tokens);
    out.sums = parallel.gradient(out.units, groups.size(),
                                 [&](const TrainingUnit& unit, std::span<float> gradients) {
                                   std::vector<TrainingGroup> batch;
                                   for (const std::size_t g : unit.groups)
                                     batch.push_back(groups[g]);
                                   return learner.train(batch, loss_of(weight), gradients);
                                 });
    out.gradient.assign(policy.gradients().begin(), policy.gradients().end());
    return out;
  }

  testing::TemporaryDirectory directory;
  std::vector<TrainingGroup> groups;
  std::vector<std::int64_t> tokens;
};

double norm(const std::vector<float>& x) {
  double sum = 0.0;
  for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(sum);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum);
}

TEST_CASE("data parallel: an exact gradient has the same bits over any number of ranks", "[rl]") {
  for (const char* json : kModels) {
    const Step step(json);
    for (const std::size_t groups_per_unit : {1, 3}) {
      const DataParallel::Config exact{.exact = true, .groups_per_unit = groups_per_unit};
      const Step::Result one = step.results(1, exact)[0];
      CHECK(norm(one.gradient) > 0.1);
      for (const int ranks : {2, 3, 4, 9}) {  // 9: some have nothing to do
        for (const Step::Result& result : step.results(ranks, exact)) {
          CHECK(testing::same_bits(result.gradient, one.gradient));
          CHECK(result.sums.loss.loss == one.sums.loss.loss);
          CHECK(result.sums.entropy_sum == one.sums.entropy_sum);
          CHECK(result.sums.expert_counts == one.sums.expert_counts);
        }
      }
    }
  }
}

TEST_CASE("data parallel: by default ranks agree with each other, and with one up to rounding",
          "[rl]") {
  for (const char* json : kModels) {
    const Step step(json);
    const Step::Result one = step.results(1, {})[0];
    bool differs = false;
    for (const int ranks : {2, 3, 9}) {
      const auto results = step.results(ranks, {});
      for (const Step::Result& result : results) {
        CHECK(testing::same_bits(result.gradient, results[0].gradient));
        CHECK(distance(result.gradient, one.gradient) <= 1e-6 * norm(one.gradient));
        CHECK(result.sums.loss.loss == Approx(one.sums.loss.loss).epsilon(1e-12));
        CHECK(result.sums.loss.num_tokens == one.sums.loss.num_tokens);
        CHECK(result.sums.expert_counts == one.sums.expert_counts);
      }
      differs = differs || !testing::same_bits(results[0].gradient, one.gradient);
    }
    // The control: sums of floats in another order are others, so the exact ones above mean
    // something.
    CHECK(differs);
    const Step::Result exact = step.results(1, {.exact = true})[0];
    CHECK_FALSE(testing::same_bits(exact.gradient, one.gradient));
    CHECK(distance(exact.gradient, one.gradient) <= 1e-6 * norm(one.gradient));
  }
}

TEST_CASE("data parallel: one rank's default gradient is a single pass over all groups", "[rl]") {
  const Step step(testing::kTinyDeepseek);
  const Step::Result one = step.results(1, {})[0];
  const Context context = testing::best_context();
  TrainedPolicy policy(context, step.directory.path(), Dtype::float32);
  Learner learner(context, policy.packed(), {.micro_batch_tokens = 11});
  const BatchForward forward = learner.train(step.groups, Step::loss_of(1.0), policy.gradients());
  CHECK(testing::same_bits(one.gradient, {policy.gradients().begin(), policy.gradients().end()}));
  CHECK(one.sums.loss.loss == forward.loss.loss);
  CHECK(one.sums.entropy_sum == forward.entropy_sum);
  CHECK(one.sums.expert_counts == forward.expert_counts);
}

TEST_CASE("data parallel: every group is trained once, and the ranks have about as many tokens",
          "[rl]") {
  const Step step(testing::kTinyQwen2);
  for (const bool exact : {false, true}) {
    std::vector<std::size_t> trained;
    std::vector<std::int64_t> load;
    for (const Step::Result& result : step.results(3, {.exact = exact})) {
      load.push_back(0);
      for (const TrainingUnit& unit : result.units) {
        trained.insert(trained.end(), unit.groups.begin(), unit.groups.end());
        for (const std::size_t g : unit.groups) load.back() += step.tokens[g];
      }
    }
    std::sort(trained.begin(), trained.end());
    CHECK(trained == std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6});
    CHECK(*std::max_element(load.begin(), load.end()) <
          *std::min_element(load.begin(), load.end()) +
              *std::max_element(step.tokens.begin(), step.tokens.end()));
  }
}

TEST_CASE("data parallel: what an exact sum cannot hold is an error that names the tensor",
          "[rl]") {
  const Step step(testing::kTinyQwen2);
  for (const double weight : {1e9, std::numeric_limits<double>::quiet_NaN()}) {
    const auto outcomes = outcomes_of_ranks(
        2, [&](Collectives& ranks) { step.result(ranks, {.exact = true}, weight); });
    // Whichever rank saw it first; the other one has seen it as well, or heard that the first is
    // gone.
    bool named = false;
    for (const auto& outcome : outcomes) {
      const std::string what = what_of(outcome);
      REQUIRE_FALSE(what.empty());
      named = named || (what.find("exact_ranks: the gradient of ") == 0 &&
                        what.find("the weights are unchanged") != std::string::npos);
    }
    CHECK(named);
  }
}

TEST_CASE("data parallel: ranks that have come apart are named", "[rl]") {
  const testing::TemporaryDirectory directory;
  testing::write_tiny_checkpoint(directory.path(), testing::kTinyQwen2);
  const auto outcomes = outcomes_of_ranks(3, [&](Collectives& ranks) {
    const Context context = testing::best_context();
    TrainedPolicy policy(context, directory.path(), Dtype::float32);
    DataParallel parallel(context, ranks, policy, {});
    parallel.check_same(0.1, "norm");
    parallel.check_same(ranks.rank() == 2 ? 0.5 : 0.25, "norm");
  });
  for (const auto& outcome : outcomes)
    CHECK(what_of(outcome).find("the norm of rank 2 is 0.5") == 0);
}

}  // namespace
}  // namespace zeroth
