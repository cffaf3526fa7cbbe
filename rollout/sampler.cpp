#include "rollout/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/token_logprob.h"

namespace zeroth {
namespace {

// Floats of logits held at once, about: what stays in a second-level cache. A block has at least
// kMinBlockRows rows, for a large vocabulary's lm_head is read once a block.
constexpr std::int64_t kBlockLogits = std::int64_t{1} << 20;
constexpr std::int64_t kMinBlockRows = 32;

}  // namespace

Sampler::Sampler(double temperature, const Truncation& truncation)
    : greedy_(temperature == 0.0),
      inverse_temperature_(greedy_ ? 1.0F : static_cast<float>(1.0 / temperature)),
      truncation_(greedy_ ? Truncation{} : truncation) {
  if (!greedy_ &&
      !(temperature > 0.0 && std::isfinite(temperature) && std::isnormal(inverse_temperature_))) {
    throw std::invalid_argument("sampler: temperature " + std::to_string(temperature) +
                                " is neither 0 nor a positive number with a finite inverse");
  }
  const auto& [top_k, top_p, min_p] = truncation;
  if (!(top_k >= 0 && top_p > 0.0 && top_p <= 1.0 && min_p >= 0.0 && min_p <= 1.0)) {
    throw std::invalid_argument("sampler: top_k " + std::to_string(top_k) + ", top_p " +
                                std::to_string(top_p) + ", min_p " + std::to_string(min_p) +
                                ": at least 0, above 0 to 1, and 0 to 1");
  }
}

// Logits [draws.size(), V], one row a draw.
const float* Sampler::logits_of(const Context& context, const PackedPolicy& policy,
                                const float* hidden, std::span<const Draw> draws) {
  rows_.clear();
  for (const Draw& draw : draws) {
    if (rows_.empty() || rows_.back() != draw.row) rows_.push_back(draw.row);
  }
  const float* logits = head_logits(context, policy, hidden, rows_, head_);
  if (rows_.size() == draws.size()) return logits;
  const std::int64_t V = policy.config().vocab_size;
  float* repeated = repeated_.resize(static_cast<std::int64_t>(draws.size()) * V);
  for (std::size_t i = 0; i < draws.size(); ++i) {
    if (i > 0 && draws[i].row != draws[i - 1].row) logits += V;
    std::memcpy(repeated + static_cast<std::int64_t>(i) * V, logits,
                static_cast<std::size_t>(V) * sizeof(float));
  }
  return repeated;
}

// Weights [R, V] of the tokens that the truncation leaves; nullptr where there is none.
const float* Sampler::weights_of(const Context& context, const float* logits, std::int64_t R,
                                 std::int64_t V) {
  if (!truncation_.truncates()) return nullptr;
  float* weights = weights_.resize(R * V);
  ranking_.resize(static_cast<std::size_t>(R * V));
  token_weights(context, {.logits = logits,
                          .weights = weights,
                          .R = R,
                          .V = V,
                          .inverse_temperature = inverse_temperature_});
  truncate(context, {.logits = logits,
                     .weights = weights,
                     .ranking = ranking_.data(),
                     .R = R,
                     .V = V,
                     .truncation = truncation_});
  return weights;
}

void Sampler::sample(const Context& context, const PackedPolicy& policy, const float* hidden,
                     std::span<const Draw> draws, std::span<std::int32_t> tokens,
                     std::span<float> logprobs, std::span<float> sampling_logprobs) {
  const std::int64_t V = policy.config().vocab_size;
  const auto block = static_cast<std::size_t>(std::max(kMinBlockRows, kBlockLogits / V));
  for (std::size_t begin = 0; begin < draws.size(); begin += block) {
    const std::span<const Draw> part = draws.subspan(begin, std::min(block, draws.size() - begin));
    uniforms_.clear();
    for (const Draw& draw : part) uniforms_.push_back(greedy_ ? -1.0 : uniform_double(draw.key));
    const auto R = static_cast<std::int64_t>(part.size());
    const float* logits = logits_of(context, policy, hidden, part);
    const float* weights = weights_of(context, logits, R, V);
    zeroth::sample(context, {.logits = logits,
                             .R = R,
                             .V = V,
                             .inverse_temperature = inverse_temperature_,
                             .uniforms = uniforms_.data(),
                             .tokens = tokens.data() + begin,
                             .logprobs = logprobs.data() + begin,
                             .weights = weights,
                             .sampling_logprobs =
                                 weights == nullptr ? nullptr : sampling_logprobs.data() + begin});
  }
}

}  // namespace zeroth
