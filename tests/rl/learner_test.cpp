#include "rl/learner.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/rl/tiny_model.h"
#include "tests/support/kernel_context.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

using testing::kModels;
using testing::SampledBatch;
using testing::TestModel;
using testing::TinyModel;

constexpr Dtype kDtypes[] = {Dtype::float32, Dtype::bfloat16};
constexpr double kTemperature = 0.7;

SampledBatch sampled(const TinyModel& model, std::size_t num_requests = 8) {
  const auto requests = testing::mixed_requests(num_requests);
  return testing::sample_batch(testing::best_context(), model.policy, requests, kTemperature);
}

// A loss whose derivative differs between completions and depends on the log-prob:
// L = sum_i w_i sum_t (lp^2 / 2 + lp), with w_i between -1 and 1 by the completion's index.
double weight_of(std::int64_t completion) {
  return std::cos(1.0 + 2.5 * static_cast<double>(completion));
}

ChunkLoss test_loss(std::int64_t first_completion = 0) {
  return [=](const ChunkOfCompletions& chunk) {
    LossOutputs out;
    for (std::size_t i = 0; i + 1 < chunk.offsets.size(); ++i) {
      const double w = weight_of(first_completion + chunk.first + static_cast<std::int64_t>(i));
      LossSums& sums = out.sequence_sums.emplace_back();
      for (std::int64_t t = chunk.offsets[i]; t < chunk.offsets[i + 1]; ++t) {
        const auto lp = static_cast<double>(chunk.logprobs[static_cast<std::size_t>(t)]);
        out.dlogprobs.push_back(static_cast<float>(w * (lp + 1.0)));
        sums.loss += w * (lp * lp / 2.0 + lp);
      }
    }
    return out;
  };
}

struct Trained {
  BatchForward forward;
  std::vector<float> gradients;
};

Trained train(const TinyModel& model, std::span<const TrainingGroup> groups,
              std::int64_t micro_batch_tokens, const Context& context,
              std::int64_t first_completion = 0) {
  Learner learner(context, model.policy,
                  {.temperature = kTemperature,
                   .micro_batch_tokens = micro_batch_tokens,
                   .record_experts = true});
  Trained result;
  result.gradients.assign(model.weights.values().size(), 0.0F);
  result.forward = learner.train(groups, test_loss(first_completion), result.gradients);
  return result;
}

Trained train(const TinyModel& model, std::span<const TrainingGroup> groups) {
  return train(model, groups, 64, testing::best_context());
}

BatchForward evaluated(const TinyModel& model, std::span<const TrainingGroup> groups,
                       std::int64_t micro_batch_tokens = 64) {
  const Context context = testing::best_context();
  return Learner(context, model.policy,
                 {.temperature = kTemperature,
                  .micro_batch_tokens = micro_batch_tokens,
                  .record_experts = true})
      .evaluate(groups);
}

// The names of the tensors in which two gradients differ in any bit.
std::vector<std::string> tensors_that_differ(const TinyModel& model, const std::vector<float>& a,
                                             const std::vector<float>& b) {
  std::vector<std::string> names;
  for (const WeightTensor& tensor : model.weights.tensors()) {
    if (std::memcmp(a.data() + tensor.offset, b.data() + tensor.offset,
                    static_cast<std::size_t>(tensor.size) * sizeof(float)) != 0) {
      names.push_back(tensor.name);
    }
  }
  return names;
}

double largest(const std::vector<float>& gradients, const WeightTensor& tensor) {
  double result = 0.0;
  for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
    result =
        std::max(result, std::abs(static_cast<double>(gradients[static_cast<std::size_t>(i)])));
  }
  return result;
}

TEST_CASE("learner: log-probs and experts are those of the rollout, bit for bit", "[rl]") {
  for (const TestModel& test : kModels) {
    for (const Dtype dtype : kDtypes) {
      const TinyModel model(test, dtype);
      const SampledBatch batch = sampled(model, 12);
      std::set<std::size_t> group_sizes;
      std::set<std::size_t> lengths;
      for (const TrainingGroup& group : batch.groups) {
        group_sizes.insert(group.completions.size());
        for (const auto& tokens : group.completions) lengths.insert(tokens.size());
      }
      REQUIRE(group_sizes.size() >= 5);  // 1 to 7
      REQUIRE(*lengths.begin() == 1);
      REQUIRE(*lengths.rbegin() == 9);
      for (const std::int64_t micro_batch_tokens : {1, 13, 100000}) {
        const BatchForward forward = evaluated(model, batch.groups, micro_batch_tokens);
        CHECK(testing::same_bits(forward.logprobs, batch.logprobs));
        CHECK(forward.experts == batch.experts);
        CHECK(forward.experts.empty() == (std::string_view(test.json) == testing::kTinyQwen2));
      }
    }
  }
}

TEST_CASE("learner: after an update both see the new weights, and the old log-probs are no more",
          "[rl]") {
  for (const TestModel& test : kModels) {
    TinyModel model(test);
    const SampledBatch before = sampled(model);
    for (float& w : model.weights.values()) w *= 1.01F;
    model.policy.update();
    const SampledBatch after = sampled(model);
    CHECK(testing::same_bits(evaluated(model, after.groups).logprobs, after.logprobs));
    CHECK_FALSE(testing::same_bits(evaluated(model, before.groups).logprobs, before.logprobs));
  }
}

TEST_CASE("learner: other temperatures give other log-probs", "[rl]") {
  const TinyModel model(testing::kTinyQwen2);
  const SampledBatch batch = sampled(model);
  const Context context = testing::best_context();
  Learner learner(context, model.policy, {.temperature = 1.0});
  CHECK_FALSE(testing::same_bits(learner.evaluate(batch.groups).logprobs, batch.logprobs));
}

TEST_CASE("learner: evaluate and train compute the same log-probs, experts and counts", "[rl]") {
  for (const TestModel& test : kModels) {
    for (const Dtype dtype : kDtypes) {
      const TinyModel model(test, dtype);
      const SampledBatch batch = sampled(model);
      const BatchForward a = evaluated(model, batch.groups);
      const BatchForward b = train(model, batch.groups).forward;
      CHECK(testing::same_bits(a.logprobs, b.logprobs));
      CHECK(a.experts == b.experts);
      CHECK(a.expert_counts == b.expert_counts);
      CHECK(a.offsets == b.offsets);
      CHECK(a.entropy_sum == b.entropy_sum);
      CHECK(a.forward_tokens == b.forward_tokens);
      CHECK(a.loss.loss == 0.0);
      CHECK(b.loss.loss != 0.0);
    }
  }
}

TEST_CASE("learner: counts of tokens and of routed slots by hand", "[rl]") {
  const TinyModel model(testing::kTinyDeepseek);
  // Two groups: prompts of 2 and 3 tokens; completions of 1, 2 and 3 tokens, of which the last one
  // is never fed.
  const std::vector<TrainingGroup> groups = {{{5, 6}, {{7}, {8, 9}}}, {{5, 6, 7}, {{8, 9, 10}}}};
  const BatchForward forward = evaluated(model, groups);
  CHECK(forward.offsets == std::vector<std::int64_t>{0, 1, 3, 6});
  CHECK(forward.forward_tokens == 5 + 0 + 1 + 2);
  REQUIRE(forward.expert_counts.size() == 1);
  std::int64_t slots = 0;
  for (const std::int64_t count : forward.expert_counts[0]) slots += count;
  CHECK(slots == 8 * 2);
  CHECK(forward.experts.size() == 16);
  CHECK(forward.entropy_sum > 0.0);
  CHECK(forward.entropy_sum < 6 * std::log(40.0));
}

TEST_CASE("learner: the gradient is bitwise the same for any micro-batch, threads and isa",
          "[rl]") {
  for (const TestModel& test : kModels) {
    for (const Dtype dtype : kDtypes) {
      const TinyModel model(test, dtype);
      const SampledBatch batch = sampled(model);
      const Trained reference =
          train(model, batch.groups, 64, testing::context_of(Isa::portable, 1));
      for (const Isa isa : supported_isas()) {
        for (const int threads : {1, 2, 5}) {
          for (const std::int64_t micro_batch_tokens : {1, 7, 64, 100000}) {
            INFO(isa_name(isa) << ", " << threads << " threads, micro_batch_tokens "
                               << micro_batch_tokens);
            const Trained other =
                train(model, batch.groups, micro_batch_tokens, testing::context_of(isa, threads));
            CHECK(tensors_that_differ(model, reference.gradients, other.gradients) ==
                  std::vector<std::string>{});
            CHECK(testing::same_bits(reference.forward.logprobs, other.forward.logprobs));
            CHECK(reference.forward.experts == other.forward.experts);
            CHECK(reference.forward.loss.loss == other.forward.loss.loss);
            CHECK(reference.forward.entropy_sum == Approx(other.forward.entropy_sum));
          }
        }
      }
    }
  }
}

// The control of the test above: sums in another order, of the same contributions, show.
TEST_CASE("learner: halves trained apart and added differ from the whole in some bit", "[rl]") {
  for (const TestModel& test : kModels) {
    for (const Dtype dtype : kDtypes) {
      const TinyModel model(test, dtype);
      const SampledBatch batch = sampled(model);
      const std::size_t half = batch.groups.size() / 2;
      const auto groups = std::span(batch.groups);
      std::int64_t completions = 0;
      for (const TrainingGroup& group : groups.first(half)) {
        completions += static_cast<std::int64_t>(group.completions.size());
      }
      const Context context = testing::best_context();
      const Trained whole = train(model, groups, 64, context);
      Trained sum = train(model, groups.first(half), 64, context);
      const Trained second = train(model, groups.subspan(half), 64, context, completions);
      for (std::size_t i = 0; i < sum.gradients.size(); ++i) {
        sum.gradients[i] += second.gradients[i];
      }
      CHECK_FALSE(tensors_that_differ(model, whole.gradients, sum.gradients).empty());
      for (const WeightTensor& tensor : model.weights.tensors()) {  // yet they are the same sums
        INFO(tensor.name);
        double difference = 0.0;
        for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
          difference = std::max(difference, std::abs(static_cast<double>(whole.gradients[i]) -
                                                     static_cast<double>(sum.gradients[i])));
        }
        CHECK(difference <= 1e-4 * largest(whole.gradients, tensor));
      }
    }
  }
}

TEST_CASE("learner: train adds to the gradients that are there", "[rl]") {
  const TinyModel model(testing::kTinyQwen2);
  const SampledBatch batch = sampled(model, 3);
  const Context context = testing::best_context();
  Learner learner(context, model.policy, {.temperature = kTemperature});
  std::vector<float> gradients(model.weights.values().size(), 0.0F);
  learner.train(batch.groups, test_loss(), gradients);
  const std::vector<float> once = gradients;
  learner.train(batch.groups, test_loss(), gradients);
  for (const WeightTensor& tensor : model.weights.tensors()) {
    INFO(tensor.name);
    const double scale = largest(once, tensor);
    CHECK(scale > 0.0);
    double difference = 0.0;
    for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      difference = std::max(difference, std::abs(static_cast<double>(gradients[i]) -
                                                 2.0 * static_cast<double>(once[i])));
    }
    CHECK(difference <= 1e-5 * scale);
  }
}

// A group of G completions against G groups of one completion each, the prompt computed G times.
TEST_CASE("learner: sharing a prompt changes no log-prob, and the gradient by rounding only",
          "[rl]") {
  for (const TestModel& test : kModels) {
    const TinyModel model(test);
    const SampledBatch batch = sampled(model);
    std::vector<TrainingGroup> unshared;
    for (const TrainingGroup& group : batch.groups) {
      for (const auto& tokens : group.completions) unshared.push_back({group.prompt, {tokens}});
    }
    REQUIRE(unshared.size() > batch.groups.size() + 5);
    const Trained a = train(model, batch.groups);
    const Trained b = train(model, unshared);
    CHECK(testing::same_bits(a.forward.logprobs, b.forward.logprobs));
    CHECK(a.forward.loss.loss == b.forward.loss.loss);
    for (const WeightTensor& tensor : model.weights.tensors()) {
      INFO(tensor.name);
      double difference = 0.0;
      for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
        difference = std::max(difference, std::abs(static_cast<double>(a.gradients[i]) -
                                                   static_cast<double>(b.gradients[i])));
      }
      CHECK(difference <= 1e-5 * largest(a.gradients, tensor));
    }
  }
}

TEST_CASE("learner: absorbed and expanded prompts have the same gradient up to rounding", "[rl]") {
  const TinyModel absorbed({testing::kTinyDeepseek, MlaPrefix::absorbed});
  const TinyModel expanded({testing::kTinyDeepseek, MlaPrefix::expanded});
  const SampledBatch batch = sampled(absorbed);
  const Trained a = train(absorbed, batch.groups);
  const Trained b = train(expanded, batch.groups);
  REQUIRE(a.forward.experts == b.forward.experts);
  CHECK_FALSE(testing::same_bits(a.forward.logprobs, b.forward.logprobs));
  for (std::size_t t = 0; t < a.forward.logprobs.size(); ++t) {
    CHECK(std::abs(a.forward.logprobs[t] - b.forward.logprobs[t]) < 2e-5F);
  }
  for (const WeightTensor& tensor : absorbed.weights.tensors()) {
    INFO(tensor.name);
    double difference = 0.0;
    for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      difference = std::max(difference, std::abs(static_cast<double>(a.gradients[i]) -
                                                 static_cast<double>(b.gradients[i])));
    }
    CHECK(difference <= 2e-5 * largest(a.gradients, tensor));
  }
}

TEST_CASE("learner: in bf16 absorbed and expanded prompts have other log-probs", "[rl]") {
  const TinyModel absorbed({testing::kTinyDeepseek, MlaPrefix::absorbed}, Dtype::bfloat16);
  const TinyModel expanded({testing::kTinyDeepseek, MlaPrefix::expanded}, Dtype::bfloat16);
  const SampledBatch batch = sampled(absorbed);
  CHECK_FALSE(testing::same_bits(evaluated(expanded, batch.groups).logprobs, batch.logprobs));
}

// The loss in double precision with weight `index` moved by `by`; nothing when that changes a
// routing decision, where the loss is not smooth.
std::optional<double> moved_loss(TinyModel& model, const SampledBatch& batch, std::size_t index,
                                 double by) {
  float& weight = model.weights.values()[index];
  const float was = weight;
  weight = static_cast<float>(static_cast<double>(was) + by);
  model.policy.update();
  const BatchForward forward = evaluated(model, batch.groups);
  weight = was;
  model.policy.update();
  if (forward.experts != batch.experts) return std::nullopt;
  const LossOutputs loss =
      test_loss()({.first = 0, .logprobs = forward.logprobs, .offsets = forward.offsets});
  double sum = 0.0;
  for (const LossSums& sums : loss.sequence_sums) sum += sums.loss;
  return sum;
}

// Two central differences, extrapolated to step 0 (Richardson).
std::optional<double> numeric_derivative(TinyModel& model, const SampledBatch& batch,
                                         std::size_t index) {
  constexpr double kStep = 0x1p-7;  // about 1e-2; exact in float beside weights of order one
  double differences[2];
  for (int i = 0; i < 2; ++i) {
    const double step = kStep / (i + 1);
    const auto above = moved_loss(model, batch, index, step);
    const auto below = moved_loss(model, batch, index, -step);
    if (!above || !below) return std::nullopt;
    differences[i] = (*above - *below) / (2.0 * step);
  }
  return (4.0 * differences[1] - differences[0]) / 3.0;
}

TEST_CASE("learner: the gradient agrees with central differences of the loss", "[rl]") {
  for (const TestModel& test : kModels) {
    TinyModel model(test);
    const SampledBatch batch = sampled(model, 4);
    const Trained trained = train(model, batch.groups);
    int compared = 0;
    for (const WeightTensor& tensor : model.weights.tensors()) {
      INFO(tensor.name);
      const double scale = largest(trained.gradients, tensor);
      if (!tensor.trainable) {
        CHECK(scale == 0.0);
        continue;
      }
      // The steepest weight and two others of the tensor.
      const float* first = trained.gradients.data() + tensor.offset;
      const auto steepest = std::max_element(
          first, first + tensor.size, [](float a, float b) { return std::abs(a) < std::abs(b); });
      for (const std::int64_t i : {steepest - first, tensor.size / 3, tensor.size * 4 / 5}) {
        const auto index = static_cast<std::size_t>(tensor.offset + i);
        const auto numeric = numeric_derivative(model, batch, index);
        if (!numeric) continue;
        INFO("element " << i);
        CHECK(static_cast<double>(trained.gradients[index]) ==
              Approx(*numeric).epsilon(1e-2).margin(2e-3 * scale + 2e-3));
        ++compared;
      }
    }
    CHECK(compared > 40);
  }
}

TEST_CASE("learner: callers' mistakes are refused", "[rl]") {
  const TinyModel model(testing::kTinyQwen2);
  const Context context = testing::best_context();
  Learner learner(context, model.policy, {});
  const auto evaluate = [&](const TrainingGroup& group) {
    return learner.evaluate(std::vector<TrainingGroup>{group});
  };
  CHECK_THROWS_AS(evaluate({{}, {{4}}}), std::invalid_argument);
  CHECK_THROWS_AS(evaluate({{4}, {{4}, {}}}), std::invalid_argument);
  CHECK_THROWS_AS(evaluate({{4}, {{4, 40, 5}}}), std::invalid_argument);  // beyond the vocabulary
  CHECK_THROWS_AS(evaluate({{4, -1}, {{4}}}), std::invalid_argument);
  CHECK_THROWS_AS(evaluate({std::vector<std::int32_t>(129, 4), {{4}}}), std::invalid_argument);
  const std::vector<TrainingGroup> fine = {{{4}, {{4, 5}}}};
  std::vector<float> short_by_one(model.weights.values().size() - 1);
  CHECK_THROWS_AS(learner.train(fine, test_loss(), short_by_one), std::invalid_argument);
  CHECK(learner.evaluate(fine).logprobs.size() == 2);  // and goes on afterwards
  CHECK(learner.evaluate({}).logprobs.empty());
}

TEST_CASE("learner: the last token of a completion is checked like any other", "[rl]") {
  const TinyModel model(testing::kTinyQwen2);
  const Context context = testing::best_context();
  Learner learner(context, model.policy, {});
  for (const std::int32_t beyond : {40, -1}) {
    const std::vector<TrainingGroup> last = {{{4}, {{4, beyond}}}};
    CHECK_THROWS_AS(learner.evaluate(last), std::invalid_argument);
    const std::vector<TrainingGroup> only = {{{4}, {{beyond}}}};
    CHECK_THROWS_AS(learner.evaluate(only), std::invalid_argument);
  }
}

}  // namespace
}  // namespace zeroth
