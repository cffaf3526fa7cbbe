#include "rl/mtp_pass.h"

#include <algorithm>

#include "kernels/moe_permute.h"

namespace zeroth {

MtpPass::MtpPass(const Context& context, const PackedPolicy& policy)
    : context_(context), policy_(policy) {
  depths_.reserve(policy.mtp().size());
  for (const PackedPolicy& module : policy.mtp()) depths_.emplace_back(module);
}

void MtpPass::begin(std::int64_t rows, std::int64_t prompt_rows, double token_weight) {
  token_weight_ = token_weight;
  for (Depth& depth : depths_) {
    depth.cache.resize(rows, prompt_rows);
    depth.dcache.resize(rows, prompt_rows);
    depth.dcache.clear();
    depth.sum = 0.0;
    depth.gradients.assign(policy_.weights().values().size(), 0.0F);
  }
}

// Module `ahead` - 1 sees token i + ahead at position i and predicts the one behind it. At the end
// of a sequence there is none to see; what stands there instead reaches nothing that is predicted.
void MtpPass::lay_out(std::span<const MtpSequence> sequences, std::int64_t ahead, DepthPart& part) {
  part.next.clear();
  part.targets = {};
  part.targets.segments.push_back(0);
  for (const MtpSequence& sequence : sequences) {
    const auto prompt = static_cast<std::int64_t>(sequence.prompt.size());
    const auto length = prompt + static_cast<std::int64_t>(sequence.completion.size());
    const auto token = [&](std::int64_t i) {
      return i < prompt ? sequence.prompt[static_cast<std::size_t>(i)]
                        : sequence.completion[static_cast<std::size_t>(i - prompt)];
    };
    for (std::int64_t i = sequence.begin; i < sequence.end; ++i) {
      const std::int64_t target = i + ahead + 1;
      if (target >= prompt && target < length) {
        part.targets.rows.push_back(static_cast<std::int64_t>(part.next.size()));
        part.targets.target_offsets.push_back(
            static_cast<std::int64_t>(part.targets.targets.size()));
        part.targets.targets.push_back(token(target));
      }
      part.next.push_back(token(std::min(i + ahead, length - 1)));
    }
    part.targets.segments.push_back(static_cast<std::int64_t>(part.targets.rows.size()));
  }
  part.targets.target_offsets.push_back(static_cast<std::int64_t>(part.targets.targets.size()));
}

MtpInput MtpPass::input(const Kept& kept, std::size_t depth) const {
  const DepthPart& part = kept.depths[depth];
  if (depth == 0) return {policy_, kept.hidden, part.next};
  return {depths_[depth - 1].policy, kept.depths[depth - 1].activations.layers.hidden.data(),
          part.next};
}

void MtpPass::forward(Part which, const ForwardBatch& batch, std::span<const MtpSequence> sequences,
                      const float* hidden) {
  Kept& kept = kept_[static_cast<std::size_t>(which)];
  kept.batch = &batch;
  kept.hidden = hidden;
  kept.depths.resize(depths_.size());
  for (std::size_t k = 0; k < depths_.size(); ++k) {
    DepthPart& part = kept.depths[k];
    lay_out(sequences, static_cast<std::int64_t>(k) + 1, part);
    mtp_forward(context_, depths_[k].policy, batch, input(kept, k), depths_[k].cache,
                part.activations);
    std::vector<float> logprobs(part.targets.targets.size());
    head_forward(context_, depths_[k].policy, part.activations.layers.hidden.data(), part.targets,
                 1.0, buffers_, logprobs, {});
    for (const float logprob : logprobs) depths_[k].sum -= static_cast<double>(logprob);
  }
}

void MtpPass::backward(Part which, float* dhidden) {
  Kept& kept = kept_[static_cast<std::size_t>(which)];
  const std::int64_t T = kept.batch->size();
  const std::int64_t floats = T * policy_.config().hidden_size;
  for (std::size_t k = depths_.size(); k-- > 0;) {
    Depth& depth = depths_[k];
    DepthPart& part = kept.depths[k];
    const std::vector<float> dlogprobs(part.targets.targets.size(),
                                       static_cast<float>(-token_weight_));
    head_backward(context_, depth.policy, part.activations.layers.hidden.data(), T, part.targets,
                  1.0, dlogprobs, buffers_, scratch_.dx.resize(floats), depth.gradients.data());
    if (k + 1 < depths_.size())
      add_to(context_, {.x = between_.data(), .y = scratch_.dx.data(), .n = floats});
    if (which == Part::chunk) {
      for (const std::int64_t row : kept.batch->cache_rows) {
        const std::int64_t width = depth.dcache.width(0);
        std::fill_n(depth.dcache.layer(0) + row * width, width, 0.0F);
      }
    }
    float* into = dhidden;
    if (k > 0) std::fill_n(into = between_.resize(floats), floats, 0.0F);
    mtp_backward(context_, depth.policy, *kept.batch, input(kept, k), depth.cache, part.activations,
                 scratch_, depth.dcache, depth.gradients.data(), into);
  }
}

double MtpPass::end(std::span<float> gradients) const {
  double sum = 0.0;
  for (const Depth& depth : depths_) {
    for (std::size_t i = 0; i < gradients.size(); ++i) gradients[i] += depth.gradients[i];
    sum += depth.sum;
  }
  return sum;
}

}  // namespace zeroth
