#include "rl/training_numerics.h"

#include <vector>

#include "kernels/adamw.h"
#include "rl/learner.h"
#include "rl/losses/distill.h"
#include "rollout/numerics.h"
#include "system/file.h"

namespace zeroth {
namespace {

constexpr std::uint64_t kSeed = 21;

std::vector<TrainingGroup> probe_groups() {
  std::vector<TrainingGroup> groups(2);
  for (std::int32_t g = 0; g < 2; ++g) {
    TrainingGroup& group = groups[static_cast<std::size_t>(g)];
    for (std::int32_t t = 0; t < 5 + 8 * g; ++t) group.prompt.push_back((11 * t + g) % 61);
    for (std::int32_t c = 0; c < 3; ++c) {
      std::vector<std::int32_t>& completion = group.completions.emplace_back();
      for (std::int32_t t = 0; t < 4 + 5 * c; ++t) completion.push_back((17 * t + c + g) % 61);
    }
  }
  return groups;
}

// The log-probs' sum, so that the gradient is that of every log-prob alike.
LossOutputs probe_loss(const ChunkOfCompletions& chunk) {
  LossOutputs out;
  out.dlogprobs.assign(chunk.logprobs.size(), 1.0F);
  return out;
}

std::string hash_of(std::span<const float> values) {
  return sha256_hex(std::as_bytes(values));
}

std::string step_bytes(const Context& context, Dtype dtype, const ModelConfig& config) {
  Weights weights(config);
  initialize_weights(weights, config, kSeed);
  const PackedPolicy policy(config, weights, dtype, true);
  Learner learner(context, policy, {.temperature = 0.9});
  std::vector<float> gradients(weights.values().size(), 0.0F);
  const BatchForward forward = learner.train(probe_groups(), probe_loss, gradients);
  std::vector<float> first(gradients.size(), 0.0F), second(gradients.size(), 0.0F);
  AdamwArgs step;
  step.w = weights.values().data();
  step.g = gradients.data();
  step.m = first.data();
  step.v = second.data();
  step.n = static_cast<std::int64_t>(gradients.size());
  step.learning_rate = 1e-2;
  step.bias_correction1 = 0.1;
  step.bias_correction2 = 0.05;
  step.gradient_scale = 0.37;
  adamw(context, step);
  return hash_of(forward.logprobs) + hash_of(gradients) + hash_of(weights.values());
}

// What distillation takes from the mathematics library: exp and log in double, of logits that are
// no sums of few bits.
std::string divergence_bytes(const Context& context) {
  constexpr std::size_t kRows = 5, kVocab = 61;
  std::vector<float> student(kRows * kVocab), teacher(student.size()), dlogits(student.size());
  for (std::size_t i = 0; i < student.size(); ++i) {
    student[i] = static_cast<float>((29 * i + 3) % 97) / 13.0F - 4.0F;
    teacher[i] = static_cast<float>((41 * i + 7) % 89) / 11.0F - 5.0F;
  }
  const std::vector<double> weights(kRows, 0.3);
  std::vector<double> divergences(kRows);
  forward_kl(context, {.student = student,
                       .teacher = teacher,
                       .vocab_size = kVocab,
                       .weights = weights,
                       .dlogits = dlogits,
                       .divergences = divergences});
  return hash_of(dlogits) + sha256_hex(std::as_bytes(std::span(divergences)));
}

}  // namespace

std::string training_numerics(const Context& context, Dtype dtype) {
  std::string bytes;
  for (const ModelConfig& config : numerics_probe_models())
    bytes += step_bytes(context, dtype, config);
  bytes += divergence_bytes(context);
  return rollout_numerics(context, dtype) + "-" + sha256_hex(bytes).substr(0, 16);
}

}  // namespace zeroth
