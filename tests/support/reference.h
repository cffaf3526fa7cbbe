// The formulas of the kernels' headers in double precision, as plain loops, and their derivatives
// by central differences: what the tests compare with. Speed is no goal.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/attention.h"

namespace zeroth::testing {

using Doubles = std::vector<double>;

inline double to_double(std::int64_t n) {
  return static_cast<double>(n);
}

inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// d f / d x by central differences. f takes a vector like x and returns a number.
template <class F>
Doubles numeric_gradient(Doubles x, const F& f, double step = 1e-4) {
  Doubles gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    if (std::isnan(at)) continue;  // a place that nothing may read has no derivative
    x[i] = at + step;
    const double above = f(x);
    x[i] = at - step;
    const double below = f(x);
    x[i] = at;
    gradient[i] = (above - below) / (2.0 * step);
  }
  return gradient;
}

/// y[m,n] = sum_k x[m,k] w[n,k]
inline Doubles reference_gemm(const Doubles& x, const Doubles& w, std::int64_t M, std::int64_t N,
                              std::int64_t K) {
  Doubles y(static_cast<std::size_t>(M * N));
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      for (std::int64_t k = 0; k < K; ++k) y[m * N + n] += x[m * K + k] * w[n * K + k];
    }
  }
  return y;
}

/// y[t,d] = x[t,d] gamma[d] / sqrt(mean(x[t]^2) + eps)
inline Doubles reference_rms_norm(const Doubles& x, const Doubles& gamma, double eps) {
  const std::size_t D = gamma.size();
  Doubles y(x.size());
  for (std::size_t t = 0; t < x.size(); t += D) {
    double squares = 0.0;
    for (std::size_t d = 0; d < D; ++d) squares += x[t + d] * x[t + d];
    const double rstd = 1.0 / std::sqrt(squares / static_cast<double>(D) + eps);
    for (std::size_t d = 0; d < D; ++d) y[t + d] = x[t + d] * rstd * gamma[d];
  }
  return y;
}

inline double reference_sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

/// Rows of [gate | up].
inline Doubles reference_swiglu(const Doubles& gate_up, std::int64_t I) {
  Doubles y;
  for (std::size_t t = 0; t < gate_up.size(); t += static_cast<std::size_t>(2 * I)) {
    for (std::size_t i = t; i < t + static_cast<std::size_t>(I); ++i) {
      y.push_back(gate_up[i] * reference_sigmoid(gate_up[i]) *
                  gate_up[i + static_cast<std::size_t>(I)]);
    }
  }
  return y;
}

/// softmax(scale * row)
inline Doubles reference_softmax(const double* row, std::int64_t n, double scale) {
  Doubles p(row, row + n);
  double top = -INFINITY;
  for (double& z : p) top = std::max(top, z *= scale);
  double total = 0.0;
  for (double& z : p) total += z = std::exp(z - top);
  for (double& z : p) z /= total;
  return p;
}

/// log softmax(scale * row)[v]
inline double reference_logprob(const double* row, std::int64_t n, double scale, std::int64_t v) {
  double top = -INFINITY;
  for (std::int64_t j = 0; j < n; ++j) top = std::max(top, row[j] * scale);
  double total = 0.0;
  for (std::int64_t j = 0; j < n; ++j) total += std::exp(row[j] * scale - top);
  return row[v] * scale - top - std::log(total);
}

/// The cache rows that query i of a member sees, in order.
inline std::vector<std::int64_t> keys_seen(const AttentionLayout& layout,
                                           const AttentionGroup& group,
                                           const AttentionMember& member, std::int64_t i) {
  std::vector<std::int64_t> rows;
  const auto append = [&](std::int64_t first_run, std::int64_t num_runs, std::int64_t limit) {
    for (std::int64_t r = first_run; r < first_run + num_runs; ++r) {
      for (std::int64_t j = 0; j < layout.runs[r].count && limit > 0; ++j, --limit) {
        rows.push_back(layout.runs[r].row + j);
      }
    }
  };
  append(group.first_run, group.num_runs, group.prefix_length);
  append(member.first_run, member.num_runs, member.own_before + i + 1);
  return rows;
}

/// out of one query and head: softmax over the rows of the cache, then the sum of their values.
inline void reference_attention_row(const AttentionShape& shape, const double* q,
                                    const double* cache, const std::vector<std::int64_t>& rows,
                                    std::int64_t kv_head, double* out) {
  Doubles scores;
  for (const std::int64_t row : rows) {
    double score = 0.0;
    for (std::int64_t d = 0; d < shape.Dk; ++d) {
      score += q[d] * cache[row * shape.cache_row + kv_head * shape.k_head + d];
    }
    scores.push_back(score);
  }
  const Doubles p = reference_softmax(scores.data(), static_cast<std::int64_t>(scores.size()),
                                      static_cast<double>(shape.scale));
  for (std::int64_t d = 0; d < shape.Dv; ++d) {
    out[d] = 0.0;
    for (std::size_t j = 0; j < rows.size(); ++j) {
      out[d] +=
          p[j] * cache[rows[j] * shape.cache_row + shape.v_offset + kv_head * shape.v_head + d];
    }
  }
}

inline Doubles reference_attention(const AttentionLayout& layout, const AttentionShape& shape,
                                   const Doubles& q, const Doubles& cache) {
  Doubles out(q.size() / static_cast<std::size_t>(shape.Dk) * static_cast<std::size_t>(shape.Dv));
  for (std::int64_t g = 0; g < layout.num_groups; ++g) {
    const AttentionGroup& group = layout.groups[g];
    for (std::int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
      const AttentionMember& member = layout.members[m];
      for (std::int64_t i = 0; i < member.num_queries; ++i) {
        const auto rows = keys_seen(layout, group, member, i);
        for (std::int64_t h = 0; h < shape.H; ++h) {
          const std::int64_t at = (member.first_query + i) * shape.H + h;
          reference_attention_row(shape, q.data() + at * shape.Dk, cache.data(), rows,
                                  h / (shape.H / shape.Hkv), out.data() + at * shape.Dv);
        }
      }
    }
  }
  return out;
}

}  // namespace zeroth::testing
