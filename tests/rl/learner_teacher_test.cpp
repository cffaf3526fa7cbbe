// A learner with a teacher: the gradient of the divergence through the whole model, and that no cut
// of the batch shows in it.
#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>

#include "rl/learner.h"
#include "rl/losses/sft.h"
#include "tests/rl/tiny_model.h"
#include "tests/support/kernel_context.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

using testing::TinyModel;

// The two of them share a vocabulary; the teacher's form and weights are its own.
ModelConfig of_vocabulary(ModelConfig config, std::int64_t vocab_size) {
  config.vocab_size = vocab_size;
  return config;
}

struct Pair {
  Pair()
      : student(testing::kTinyQwen2),
        teacher_config(of_vocabulary(
            testing::TinyPolicy::wide(testing::TestModel(testing::kTinyDeepseek).config()),
            student.config.vocab_size)),
        teacher_weights(TinyModel::random_weights(teacher_config)),
        teacher(teacher_config, teacher_weights, Dtype::float32, false),
        groups(testing::sample_batch(testing::best_context(), student.policy,
                                     testing::mixed_requests(5), 1.0)
                   .groups) {}
  TinyModel student;
  ModelConfig teacher_config;
  Weights teacher_weights;
  PackedPolicy teacher;
  std::vector<TrainingGroup> groups;
};

constexpr double kTokenWeight = 0.02;

struct Trained {
  BatchForward forward;
  std::vector<float> gradients;
};

// `tokens_weight` of the tokens' own loss beside it.
Trained train(const Pair& pair, std::int64_t micro_batch_tokens, int num_threads = 1,
              double tokens_weight = 0.0) {
  const Context context = testing::context_of(best_isa(), num_threads);
  Learner learner(context, pair.student.policy, {.micro_batch_tokens = micro_batch_tokens});
  Trained result;
  result.gradients.assign(pair.student.weights.values().size(), 0.0F);
  const ChunkLoss loss = [&](const ChunkOfCompletions& chunk) {
    return sft_loss({.logprobs = chunk.logprobs,
                     .offsets = chunk.offsets,
                     .num_tokens = 1000,
                     .weight = tokens_weight});
  };
  result.forward = learner.train(pair.groups, loss, result.gradients,
                                 {.policy = &pair.teacher, .token_weight = kTokenWeight});
  return result;
}

}  // namespace

TEST_CASE("learner with a teacher: chunks and threads do not show in loss and gradient", "[rl]") {
  const Pair pair;
  const Trained whole = train(pair, 100000, 1, 0.5);
  CHECK(whole.forward.loss.kl > 0.0);
  for (const std::int64_t micro_batch_tokens : {1, 13, 64}) {
    for (const int num_threads : {1, 2}) {
      const Trained cut = train(pair, micro_batch_tokens, num_threads, 0.5);
      CHECK(cut.forward.loss.kl == whole.forward.loss.kl);
      CHECK(testing::same_bits(cut.gradients, whole.gradients));
    }
  }
  // Control: without the teacher the gradient is another.
  const Context context = testing::best_context();
  Learner learner(context, pair.student.policy, {.micro_batch_tokens = 64});
  std::vector<float> alone(whole.gradients.size(), 0.0F);
  learner.train(
      pair.groups,
      [](const ChunkOfCompletions& chunk) {
        return sft_loss({.logprobs = chunk.logprobs,
                         .offsets = chunk.offsets,
                         .num_tokens = 1000,
                         .weight = 0.5});
      },
      alone);
  CHECK_FALSE(testing::same_bits(alone, whole.gradients));
}

TEST_CASE("learner with a teacher: the gradient is that of a finite difference", "[rl]") {
  Pair pair;
  const Trained trained = train(pair, 64);
  CHECK(trained.forward.loss.loss == Approx(kTokenWeight * trained.forward.loss.kl));
  int checked = 0;
  for (const WeightTensor& tensor : pair.student.weights.tensors()) {
    // The weight of the tensor that moves the loss most.
    std::int64_t at = tensor.offset;
    for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      if (std::abs(trained.gradients[static_cast<std::size_t>(i)]) >
          std::abs(trained.gradients[static_cast<std::size_t>(at)]))
        at = i;
    }
    float& weight = pair.student.weights.values()[static_cast<std::size_t>(at)];
    const float kept = weight;
    const auto loss_at = [&](float value) {
      weight = value;
      pair.student.policy.update();
      return train(pair, 64).forward.loss.loss;
    };
    const float h = 2e-3F;
    const double slope = (loss_at(kept + h) - loss_at(kept - h)) /
                         (static_cast<double>(kept + h) - static_cast<double>(kept - h));
    loss_at(kept);
    INFO(tensor.name);
    CHECK(trained.gradients[static_cast<std::size_t>(at)] ==
          Approx(slope).epsilon(0.02).margin(1e-4));
    if (std::abs(slope) > 1e-3) ++checked;
  }
  CHECK(checked >= 10);
}

TEST_CASE("learner with a teacher: one of another vocabulary or temperature is refused", "[rl]") {
  const Pair pair;
  const ChunkLoss loss = [](const ChunkOfCompletions& chunk) {
    return sft_loss({.logprobs = chunk.logprobs, .offsets = chunk.offsets, .num_tokens = 1000});
  };
  std::vector<float> gradients(pair.student.weights.values().size(), 0.0F);
  const TeacherTerm term{.policy = &pair.teacher, .token_weight = 1.0};
  const Context context = testing::best_context();
  Learner warm(context, pair.student.policy, {.temperature = 0.5});
  CHECK_THROWS_AS(warm.train(pair.groups, loss, gradients, term), std::invalid_argument);
  const ModelConfig larger = of_vocabulary(pair.teacher_config, pair.teacher_config.vocab_size + 1);
  const Weights weights = TinyModel::random_weights(larger);
  const PackedPolicy other(larger, weights, Dtype::float32, false);
  Learner learner(context, pair.student.policy, {});
  CHECK_THROWS_AS(
      learner.train(pair.groups, loss, gradients, {.policy = &other, .token_weight = 1.0}),
      std::invalid_argument);
}

}  // namespace zeroth
