#include "kernels/router.h"

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {
namespace {

constexpr int64_t kMaxExperts = 8192;
constexpr float kLowest = -__builtin_inff();

void score_row(const float* logits, float* scores, int64_t E, bool softmax) {
  if (!softmax) {
    for (int64_t e = 0; e < E; e += 16) store(scores + e, sigmoid(load(logits + e, E - e)), E - e);
    return;
  }
  F16 top = set1(kLowest);
  for (int64_t e = 0; e < E; e += 16)
    top = max(top, first(E - e, load(logits + e, E - e), set1(kLowest)));
  const F16 maximum = set1(max_of(top));
  F16 total = set1(0.0F);
  for (int64_t e = 0; e < E; e += 16) {
    const F16 p = first(E - e, exp(sub(load(logits + e, E - e), maximum)), set1(0.0F));
    store(scores + e, p, E - e);
    total = add(total, p);
  }
  const F16 denominator = set1(sum(total));
  for (int64_t e = 0; e < E; e += 16)
    store(scores + e, div(load(scores + e, E - e), denominator), E - e);
}

int64_t largest(const float* values, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}

// Puts every expert outside the topk_group best groups out of reach.
void keep_best_groups(float* choice, const RouterArgs& args) {
  float group_score[kMaxExperts];
  bool keep[kMaxExperts];
  const int64_t size = args.E / args.n_group;
  for (int64_t g = 0; g < args.n_group; ++g) {
    float best = kLowest;
    float second = kLowest;
    for (int64_t i = g * size; i < (g + 1) * size; ++i) {
      if (choice[i] > best) {
        second = best;
        best = choice[i];
      } else if (choice[i] > second) {
        second = choice[i];
      }
    }
    group_score[g] = size > 1 && !args.group_max ? best + second : best;
    keep[g] = false;
  }
  for (int64_t k = 0; k < args.topk_group; ++k) {
    const int64_t g = largest(group_score, args.n_group);
    keep[g] = true;
    group_score[g] = kLowest;
  }
  for (int64_t i = 0; i < args.E; ++i) {
    if (!keep[i / size]) choice[i] = kLowest;
  }
}

void route_row(const RouterArgs& args, int64_t t) {
  float* scores = args.scores + t * args.E;
  score_row(args.logits + t * args.E, scores, args.E, args.softmax);
  float choice[kMaxExperts];
  for (int64_t e = 0; e < args.E; ++e)
    choice[e] = args.bias != nullptr ? scores[e] + args.bias[e] : scores[e];
  if (args.n_group > 1) keep_best_groups(choice, args);
  float total = 0.0F;
  for (int64_t k = 0; k < args.K; ++k) {
    const int64_t e = largest(choice, args.E);
    choice[e] = kLowest;
    args.experts[t * args.K + k] = static_cast<int32_t>(e);
    total += scores[e];
  }
  const float denominator = args.normalize ? total + 1e-20F : 1.0F;
  for (int64_t k = 0; k < args.K; ++k) {
    args.weights[t * args.K + k] =
        scores[args.experts[t * args.K + k]] / denominator * args.scaling_factor;
  }
}

void backward_row(const RouterBackwardArgs& args, int64_t t) {
  const float* s = args.scores + t * args.E;
  const int32_t* experts = args.experts + t * args.K;
  const float* dw = args.dweights + t * args.K;
  float* dlogits = args.dlogits + t * args.E;
  float total = 0.0F;
  float weighted = 0.0F;  // sum_k dw_k s_k
  for (int64_t k = 0; k < args.K; ++k) {
    total += s[experts[k]];
    weighted += dw[k] * s[experts[k]];
  }
  total += 1e-20F;
  for (int64_t e = 0; e < args.E; ++e) dlogits[e] = 0.0F;
  float inner = 0.0F;  // softmax: sum_e ds_e s_e
  for (int64_t k = 0; k < args.K; ++k) {
    const float ds = args.normalize ? args.scaling_factor * (dw[k] - weighted / total) / total
                                    : args.scaling_factor * dw[k];
    const int32_t e = experts[k];
    dlogits[e] = args.softmax ? ds : ds * s[e] * (1.0F - s[e]);
    inner += ds * s[e];
  }
  if (!args.softmax) return;
  for (int64_t e = 0; e < args.E; ++e) dlogits[e] = s[e] * (dlogits[e] - inner);
}

}  // namespace

void router(const Context& context, const RouterArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) route_row(args, t);
  };
  context.pool->parallel_for(args.T, 32, run);
}

void router_backward(const Context& context, const RouterBackwardArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) backward_row(args, t);
  };
  context.pool->parallel_for(args.T, 64, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
