#include "policy/head.h"

#include <algorithm>
#include <cstring>

#include "kernels/moe_permute.h"
#include "kernels/rms_norm.h"
#include "kernels/token_logprob.h"

namespace zeroth {
namespace {

constexpr std::int64_t kBlockLogits = std::int64_t{1}
                                      << 20;  // floats of logits held at once, about

struct Head {
  const Context& context;
  const PackedPolicy& policy;
  HeadBuffers& buffers;
  std::int64_t D = policy.config().hidden_size;
  std::int64_t V = policy.config().vocab_size;

  // The final norm of the given rows into buffers.normed.
  void normalize(const float* hidden, std::span<const std::int64_t> rows) const {
    const auto R = static_cast<std::int64_t>(rows.size());
    float* x = buffers.rows.resize(R * D);
    for (std::int64_t r = 0; r < R; ++r) {
      std::memcpy(x + r * D, hidden + rows[static_cast<std::size_t>(r)] * D,
                  static_cast<std::size_t>(D) * 4);
    }
    rms_norm(context, {.x = x,
                       .ldx = D,
                       .gamma = policy.at(policy.final_norm()),
                       .y = buffers.normed.resize(R * D),
                       .ldy = D,
                       .rstd = buffers.rstd.resize(R),
                       .T = R,
                       .D = D,
                       .eps = static_cast<float>(policy.config().rms_norm_eps),
                       .round_bf16 = policy.rounds()});
  }

  float* logits(std::int64_t begin, std::int64_t end) const {
    float* out = buffers.logits.resize((end - begin) * V);
    gemm(context, {.x = buffers.normed.data() + begin * D,
                   .ldx = D,
                   .M = end - begin,
                   .weights = &policy.head().forward,
                   .y = out,
                   .ldy = V});
    return out;
  }
};

}  // namespace

const float* head_logits(const Context& context, const PackedPolicy& policy, const float* hidden,
                         std::span<const std::int64_t> rows, HeadBuffers& buffers) {
  const Head head{context, policy, buffers};
  head.normalize(hidden, rows);
  return head.logits(0, static_cast<std::int64_t>(rows.size()));
}

void head_forward(const Context& context, const PackedPolicy& policy, const float* hidden,
                  const HeadTargets& targets, double temperature, HeadBuffers& buffers,
                  std::span<float> logprobs, std::span<float> entropies) {
  const Head head{context, policy, buffers};
  head.normalize(hidden, targets.rows);
  const auto R = static_cast<std::int64_t>(targets.rows.size());
  const std::int64_t block = std::max<std::int64_t>(1, kBlockLogits / head.V);
  for (std::int64_t begin = 0; begin < R; begin += block) {
    const std::int64_t end = std::min(R, begin + block);
    token_logprob(context, {.logits = head.logits(begin, end),
                            .R = end - begin,
                            .V = head.V,
                            .inverse_temperature = static_cast<float>(1.0 / temperature),
                            .target_offsets = targets.target_offsets.data() + begin,
                            .targets = targets.targets.data(),
                            .logprobs = logprobs.data(),
                            .entropies = entropies.empty() ? nullptr : entropies.data() + begin});
  }
}

void head_backward(const Context& context, const PackedPolicy& policy, const float* hidden,
                   std::int64_t num_rows, const HeadTargets& targets, double temperature,
                   std::span<const float> dlogprobs, HeadBuffers& buffers, float* dhidden,
                   float* gradients, const LogitsLoss& logits_loss) {
  const Head head{context, policy, buffers};
  const std::int64_t D = head.D;
  head.normalize(hidden, targets.rows);
  const auto R = static_cast<std::int64_t>(targets.rows.size());
  const auto S = static_cast<std::int64_t>(targets.segments.size()) - 1;
  const std::int64_t block = std::max<std::int64_t>(1, kBlockLogits / head.V);
  float* dnormed = buffers.dnormed.resize(R * D);
  // Blocks end where a sequence ends: a sequence's gradient is one chain.
  for (std::int64_t s = 0; s < S;) {
    std::int64_t stop = s + 1;
    const std::int64_t begin = targets.segments[static_cast<std::size_t>(s)];
    while (stop < S && targets.segments[static_cast<std::size_t>(stop) + 1] - begin <= block)
      ++stop;
    const std::int64_t end = targets.segments[static_cast<std::size_t>(stop)];
    if (end > begin) {
      float* dlogits = head.logits(begin, end);
      const std::int64_t size = (end - begin) * head.V;
      if (logits_loss) logits_loss(begin, end, dlogits, buffers.dlogits.resize(size));
      token_logprob_backward(context, {.logits = dlogits,
                                       .R = end - begin,
                                       .V = head.V,
                                       .inverse_temperature = static_cast<float>(1.0 / temperature),
                                       .target_offsets = targets.target_offsets.data() + begin,
                                       .targets = targets.targets.data(),
                                       .dlogprobs = dlogprobs.data()});
      if (logits_loss) add_to(context, {.x = buffers.dlogits.data(), .y = dlogits, .n = size});
      gemm(context, {.x = dlogits,
                     .ldx = head.V,
                     .M = end - begin,
                     .weights = &policy.head().backward,
                     .y = dnormed + begin * D,
                     .ldy = D});
      float* dw = gradients + policy.head().parts[0];
      std::vector<std::int64_t> segments;  // from the block's first row on
      for (std::int64_t i = s; i <= stop; ++i) {
        segments.push_back(targets.segments[static_cast<std::size_t>(i)] - begin);
      }
      weight_gradient(context, {.x = buffers.normed.data() + begin * D,
                                .ldx = D,
                                .dy = dlogits,
                                .ldy = head.V,
                                .N = head.V,
                                .K = D,
                                .segments = segments.data(),
                                .num_segments = stop - s,
                                .dw = &dw});
    }
    s = stop;
  }
  const float* x = buffers.rows.data();
  column_gradient(context, {.dy = dnormed,
                            .ldy = D,
                            .x = x,
                            .ldx = D,
                            .scale = buffers.rstd.data(),
                            .N = D,
                            .segments = targets.segments.data(),
                            .num_segments = S,
                            .db = gradients + policy.final_norm()});
  rms_norm_backward(context, {.x = x,
                              .ldx = D,
                              .gamma = policy.at(policy.final_norm()),
                              .rstd = buffers.rstd.data(),
                              .dy = dnormed,
                              .ldy = D,
                              .dx = dnormed,
                              .lddx = D,
                              .T = R,
                              .D = D});
  std::memset(dhidden, 0, static_cast<std::size_t>(num_rows * D) * 4);
  for (std::int64_t r = 0; r < R; ++r) {
    std::memcpy(dhidden + targets.rows[static_cast<std::size_t>(r)] * D, dnormed + r * D,
                static_cast<std::size_t>(D) * 4);
  }
}

}  // namespace zeroth
