#include "kernels/truncation.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace zeroth {
namespace {

// A token as one number: of two tokens the one that ranks first has the greater. Every float has a
// place, NaN too, and -0 that of 0.
std::uint64_t rank_key(float logit, std::int64_t id) {
  const auto bits = std::bit_cast<std::uint32_t>(logit + 0.0F);
  const std::uint32_t ascending = (bits >> 31U) != 0 ? ~bits : bits | 0x80000000U;
  return std::uint64_t{ascending} << 32U | (0xFFFFFFFFU - static_cast<std::uint32_t>(id));
}

std::int64_t id_of(std::uint64_t key) {
  return static_cast<std::int64_t>(0xFFFFFFFFU - static_cast<std::uint32_t>(key));
}

// The tokens of a row by rank, sorted as far as somebody looked: most rows leave few tokens.
class Ranking {
 public:
  Ranking(const float* logits, std::uint64_t* keys, std::int64_t V) : keys_(keys), V_(V) {
    for (std::int64_t v = 0; v < V; ++v) keys_[v] = rank_key(logits[v], v);
  }

  std::uint64_t key(std::int64_t rank) {
    if (rank >= sorted_) sort_to(std::max(rank + 1, 8 * sorted_));
    return keys_[rank];
  }
  void sort_to(std::int64_t count) {
    count = std::min(count, V_);
    if (count <= sorted_) return;
    if (count < V_) std::nth_element(keys_ + sorted_, keys_ + count, keys_ + V_, std::greater<>());
    std::sort(keys_ + sorted_, keys_ + count, std::greater<>());
    sorted_ = count;
  }

 private:
  std::uint64_t* keys_;
  std::int64_t V_;
  std::int64_t sorted_ = 0;
};

// How many of the first `count` tokens have the share top_p of their probability.
std::int64_t nucleus(Ranking& ranking, const float* weights, std::int64_t V, std::int64_t count,
                     double top_p) {
  const auto weight = [&](std::int64_t rank) {
    return static_cast<double>(weights[id_of(ranking.key(rank))]);
  };
  double total = 0.0;
  if (count == V) {
    for (std::int64_t v = 0; v < V; ++v) total += static_cast<double>(weights[v]);
  } else {
    for (std::int64_t rank = 0; rank < count; ++rank) total += weight(rank);
  }
  double sum = 0.0;
  for (std::int64_t rank = 0; rank < count; ++rank) {
    sum += weight(rank);
    if (sum >= top_p * total) return rank + 1;
  }
  return count;  // rounding left the sum below the total
}

void truncate_row(const float* logits, float* weights, std::uint64_t* keys, std::int64_t V,
                  const Truncation& truncation) {
  const bool ranked = (truncation.top_k > 0 && truncation.top_k < V) || truncation.top_p < 1.0;
  std::uint64_t last = 0;  // the least key that is left
  if (ranked) {
    Ranking ranking(logits, keys, V);
    std::int64_t count = V;
    if (truncation.top_k > 0 && truncation.top_k < V) {
      count = truncation.top_k;
      ranking.sort_to(count);
    }
    if (truncation.top_p < 1.0) count = nucleus(ranking, weights, V, count, truncation.top_p);
    last = ranking.key(count - 1);
  }
  for (std::int64_t v = 0; v < V; ++v) {
    const bool left =
        rank_key(logits[v], v) >= last && static_cast<double>(weights[v]) >= truncation.min_p;
    if (!left) weights[v] = 0.0F;
  }
}

}  // namespace

void truncate(const Context& context, const TruncateArgs& args) {
  if (!args.truncation.truncates()) return;
  const auto run = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      truncate_row(args.logits + r * args.V, args.weights + r * args.V, args.ranking + r * args.V,
                   args.V, args.truncation);
    }
  };
  context.pool->parallel_for(args.R, 1, run);
}

}  // namespace zeroth
