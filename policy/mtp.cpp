#include "policy/mtp.h"

#include <stdexcept>

#include "kernels/rms_norm.h"

namespace zeroth {
namespace {

struct Norm {
  const Context& context;
  const PackedPolicy& policy;
  std::int64_t gamma;
  std::int64_t T;
  std::int64_t D = policy.config().hidden_size;

  // x [T, D] -> y [T, ldy]
  void forward(const float* x, float* y, std::int64_t ldy, Buffer& rstd) const {
    rms_norm(context, {.x = x,
                       .ldx = D,
                       .gamma = policy.at(gamma),
                       .y = y,
                       .ldy = ldy,
                       .rstd = rstd.resize(T),
                       .T = T,
                       .D = D,
                       .eps = static_cast<float>(policy.config().rms_norm_eps),
                       .round_bf16 = policy.rounds()});
  }

  // dy [T, ldy] -> dx [T, D], written or added, and the gradient of gamma.
  void backward(const ForwardBatch& batch, const float* x, const Buffer& rstd, const float* dy,
                std::int64_t ldy, float* dx, bool add, float* gradients) const {
    column_gradient(context, {.dy = dy,
                              .ldy = ldy,
                              .x = x,
                              .ldx = D,
                              .scale = rstd.data(),
                              .N = D,
                              .segments = batch.segments.data(),
                              .num_segments = static_cast<std::int64_t>(batch.segments.size()) - 1,
                              .db = gradients + gamma});
    rms_norm_backward(context, {.x = x,
                                .ldx = D,
                                .gamma = policy.at(gamma),
                                .rstd = rstd.data(),
                                .dy = dy,
                                .ldy = ldy,
                                .dx = dx,
                                .lddx = D,
                                .T = T,
                                .D = D,
                                .add_to_dx = add});
  }
};

}  // namespace

void mtp_forward(const Context& context, const PackedPolicy& module, const ForwardBatch& batch,
                 const MtpInput& input, Cache& cache, MtpActivations& activations) {
  const std::int64_t T = batch.size();
  const std::int64_t D = module.config().hidden_size;
  if (static_cast<std::int64_t>(input.next.size()) != T)
    throw std::invalid_argument("mtp_forward: a next token for each token of the batch");
  for (const std::int32_t token : input.next) {
    if (token < 0 || token >= module.config().vocab_size)
      throw std::invalid_argument("mtp_forward: a token outside the vocabulary");
  }
  MtpActivations& a = activations;
  const MtpWeights& w = module.layer(0).mtp;
  embed(module, input.next, a.embedded.resize(T * D));
  Norm{context, input.before, input.before.final_norm(), T}.forward(
      input.hidden, a.previous.resize(T * D), D, a.previous_rstd);
  float* joined = a.joined.resize(T * 2 * D);
  Norm{context, module, w.enorm, T}.forward(a.embedded.data(), joined, 2 * D, a.embedded_rstd);
  Norm{context, module, w.hnorm, T}.forward(a.previous.data(), joined + D, 2 * D, a.hidden_rstd);
  a.layers.layers.resize(1);
  const LayerPass pass{context, module, batch, 0, cache};
  apply_linear(pass, w.eh_proj.forward, joined, 2 * D, a.layers.layers[0].x_in.resize(T * D), D,
               nullptr, false, false);
  layers_forward(context, module, batch, cache, a.layers);
}

void mtp_backward(const Context& context, const PackedPolicy& module, const ForwardBatch& batch,
                  const MtpInput& input, Cache& cache, MtpActivations& activations,
                  BackwardScratch& scratch, Cache& dcache, float* gradients, float* dhidden) {
  const std::int64_t T = batch.size();
  const std::int64_t D = module.config().hidden_size;
  const MtpActivations& a = activations;
  const MtpWeights& w = module.layer(0).mtp;
  layers_backward(context, module, batch, cache, activations.layers, scratch, dcache, gradients);
  const LayerBackwardPass pass{
      {context, module, batch, 0, cache}, a.layers.layers[0], scratch, dcache, gradients};
  add_linear_gradient(pass, w.eh_proj, a.joined.data(), 2 * D, scratch.dx.data(), D);
  float* djoined = scratch.a.resize(T * 2 * D);
  apply_linear(pass.forward, w.eh_proj.backward, scratch.dx.data(), D, djoined, 2 * D, nullptr,
               false, false);
  float* dx = scratch.b.resize(T * D);
  Norm{context, module, w.enorm, T}.backward(batch, a.embedded.data(), a.embedded_rstd, djoined,
                                             2 * D, dx, false, gradients);
  embedding_backward(context, input.next, dx, D, gradients + module.embedding());
  Norm{context, module, w.hnorm, T}.backward(batch, a.previous.data(), a.hidden_rstd, djoined + D,
                                             2 * D, dx, false, gradients);
  Norm{context, input.before, input.before.final_norm(), T}.backward(
      batch, input.hidden, a.previous_rstd, dx, D, dhidden, true, gradients);
}

}  // namespace zeroth
