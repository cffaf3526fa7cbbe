#include "kernels/token_logprob.h"

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {
namespace {

constexpr float kLowest = -__builtin_inff();
constexpr int64_t kScanBlock = 1024;

struct RowStatistics {
  float maximum;  // of z
  float total;    // sum of exp(z - maximum)
};

ZEROTH_INLINE F16 scaled(const float* logits, int64_t n, F16 inverse_temperature) {
  return mul(load(logits, n), inverse_temperature);
}

RowStatistics row_statistics(const float* logits, int64_t V, float inverse_temperature) {
  const F16 scale = set1(inverse_temperature);
  F16 top = set1(kLowest);
  for (int64_t v = 0; v < V; v += 16) {
    top = max(top, first(V - v, scaled(logits + v, V - v, scale), set1(kLowest)));
  }
  const F16 maximum = set1(max_of(top));
  F16 total = set1(0.0F);
  for (int64_t v = 0; v < V; v += 16) {
    const F16 p = exp(sub(scaled(logits + v, V - v, scale), maximum));
    total = add(total, first(V - v, p, set1(0.0F)));
  }
  return {max_of(top), sum(total)};
}

float logprob_of(float logit, float inverse_temperature, RowStatistics row) {
  const double z = static_cast<double>(logit * inverse_temperature);
  return static_cast<float>(z - static_cast<double>(row.maximum) -
                            log_of(static_cast<double>(row.total)));
}

float entropy_of(const float* logits, int64_t V, float inverse_temperature, RowStatistics row) {
  const F16 scale = set1(inverse_temperature);
  const F16 maximum = set1(row.maximum);
  F16 weighted = set1(0.0F);
  for (int64_t v = 0; v < V; v += 16) {
    const F16 z = sub(scaled(logits + v, V - v, scale), maximum);
    weighted = add(weighted, first(V - v, mul(exp(z), max(z, set1(-1e30F))), set1(0.0F)));
  }
  return static_cast<float>(log_of(static_cast<double>(row.total)) -
                            static_cast<double>(sum(weighted)) / static_cast<double>(row.total));
}

}  // namespace

void token_logprob(const Context& context, const TokenLogprobArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* logits = args.logits + r * args.V;
      const RowStatistics row = row_statistics(logits, args.V, args.inverse_temperature);
      for (int64_t i = args.target_offsets[r]; i < args.target_offsets[r + 1]; ++i) {
        args.logprobs[i] = logprob_of(logits[args.targets[i]], args.inverse_temperature, row);
      }
      if (args.entropies != nullptr) {
        args.entropies[r] = entropy_of(logits, args.V, args.inverse_temperature, row);
      }
    }
  };
  context.pool->parallel_for(args.R, 16, run);
}

void token_logprob_backward(const Context& context, const TokenLogprobBackwardArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* logits = args.logits + r * args.V;
      const RowStatistics row = row_statistics(logits, args.V, args.inverse_temperature);
      float total_gradient = 0.0F;
      for (int64_t i = args.target_offsets[r]; i < args.target_offsets[r + 1]; ++i) {
        total_gradient += args.dlogprobs[i];
      }
      const F16 scale = set1(args.inverse_temperature);
      const F16 maximum = set1(row.maximum);
      const F16 factor = set1(-total_gradient * args.inverse_temperature / row.total);
      for (int64_t v = 0; v < args.V; v += 16) {
        const F16 p = exp(sub(scaled(logits + v, args.V - v, scale), maximum));
        store(logits + v, mul(factor, p), args.V - v);
      }
      for (int64_t i = args.target_offsets[r]; i < args.target_offsets[r + 1]; ++i) {
        logits[args.targets[i]] += args.dlogprobs[i] * args.inverse_temperature;
      }
    }
  };
  context.pool->parallel_for(args.R, 16, run);
}

namespace {

int64_t most_likely(const float* logits, int64_t V) {
  int64_t best = 0;
  for (int64_t v = 1; v < V; ++v) {
    if (logits[v] > logits[best]) best = v;
  }
  return best;
}

// exp(z - max) of up to 16 tokens from v on; missing lanes are zero.
struct Softmax {
  const float* logits;
  float inverse_temperature;
  float maximum;

  __attribute__((always_inline)) F16 at(int64_t v, int64_t stop) const {
    const F16 z = scaled(logits + v, stop - v, set1(inverse_temperature));
    return first(stop - v, exp(sub(z, set1(maximum))), set1(0.0F));
  }
};

// The same numbers, some of them set to zero, from memory.
struct Truncated {
  const float* weights;

  __attribute__((always_inline)) F16 at(int64_t v, int64_t stop) const {
    return load(weights + v, stop - v);
  }
};

template <class Weights>
ZEROTH_INLINE F16 sum_of_lanes(const Weights& weights, int64_t begin, int64_t stop) {
  F16 lanes_sum = set1(0.0F);
  for (int64_t v = begin; v < stop; v += 16) lanes_sum = add(lanes_sum, weights.at(v, stop));
  return lanes_sum;
}

// The first token at which the cumulative sum of weights exceeds u * total. Sums of blocks are fp32
// lanes, added up in fp64; inside the block the scan is fp64.
template <class Weights>
ZEROTH_INLINE int64_t invert(const Weights& weights, int64_t V, double u) {
  double total = 0.0;
  for (int64_t b = 0; b < V; b += kScanBlock) {
    total += static_cast<double>(sum(sum_of_lanes(weights, b, smaller(V, b + kScanBlock))));
  }
  const double target = u * total;
  double cumulative = 0.0;
  int64_t last_possible = 0;  // rounding may leave the target beyond the last sum
  for (int64_t b = 0; b < V; b += kScanBlock) {
    const int64_t stop = smaller(V, b + kScanBlock);
    const auto block = static_cast<double>(sum(sum_of_lanes(weights, b, stop)));
    if (stop < V && cumulative + block <= target) {
      cumulative += block;
      continue;
    }
    for (int64_t v = b; v < stop; v += 16) {
      float p[16];
      store(p, weights.at(v, stop));
      for (int64_t i = 0; i < smaller(16, stop - v); ++i) {
        if (p[i] > 0.0F) last_possible = v + i;
        cumulative += static_cast<double>(p[i]);
        if (cumulative > target) return v + i;
      }
    }
  }
  return last_possible;
}

int64_t draw(const SampleArgs& args, int64_t r, RowStatistics row) {
  const float* logits = args.logits + r * args.V;
  if (args.uniforms[r] < 0.0) return most_likely(logits, args.V);
  if (args.weights != nullptr) {
    return invert(Truncated{args.weights + r * args.V}, args.V, args.uniforms[r]);
  }
  return invert(Softmax{logits, args.inverse_temperature, row.maximum}, args.V, args.uniforms[r]);
}

}  // namespace

void token_weights(const Context& context, const TokenWeightsArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* logits = args.logits + r * args.V;
      float* weights = args.weights + r * args.V;
      const RowStatistics row = row_statistics(logits, args.V, args.inverse_temperature);
      const Softmax softmax{logits, args.inverse_temperature, row.maximum};
      for (int64_t v = 0; v < args.V; v += 16) {
        store(weights + v, softmax.at(v, args.V), args.V - v);
      }
    }
  };
  context.pool->parallel_for(args.R, 16, run);
}

void sample(const Context& context, const SampleArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* logits = args.logits + r * args.V;
      const RowStatistics row = row_statistics(logits, args.V, args.inverse_temperature);
      const int64_t token = draw(args, r, row);
      args.tokens[r] = static_cast<int32_t>(token);
      args.logprobs[r] = logprob_of(logits[token], args.inverse_temperature, row);
      if (args.weights == nullptr) continue;
      const Truncated weights{args.weights + r * args.V};
      const RowStatistics left{row.maximum, sum(sum_of_lanes(weights, 0, args.V))};
      args.sampling_logprobs[r] = logprob_of(logits[token], args.inverse_temperature, left);
    }
  };
  context.pool->parallel_for(args.R, 16, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
