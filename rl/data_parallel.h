// The gradient of a step over the ranks of a run.
//
// A step's groups are dealt to the ranks so that all have about as many tokens; a group is never
// cut, because a shared prompt's gradient is made of all its completions. Every rank computes the
// gradient of its groups, and their sum, the same bits on every rank, is the step's.
//
//   default        each rank adds up its groups in fp32, and the ranks are added in fp32: the sum
//                  depends on the number of ranks in the last bits. One rank's is a single chain.
//   exact          a unit of groups_per_unit groups in a row has a gradient of its own, from zero,
//                  which goes into the sum as integers of 2^-48 (kernels/fixed_point.h). Units are
//                  the same for any number of ranks, and so is the sum.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/context.h"
#include "policy/mesh/collectives.h"
#include "rl/learner.h"
#include "rl/trained_policy.h"

namespace zeroth {

/// Groups that are trained in one pass.
struct TrainingUnit {
  std::size_t index = 0;            // among all units of the step
  std::vector<std::size_t> groups;  // indices into the step's groups, ascending
};

/// What a step adds up over all units of all ranks beside the gradient.
struct StepSums {
  LossSums loss;
  double entropy_sum = 0.0;
  std::vector<std::vector<std::int64_t>> expert_counts;  // [moe layers][E]
};

class DataParallel {
 public:
  struct Config {
    bool exact = false;
    std::size_t groups_per_unit = 1;  // of an exact sum
  };
  /// All outlive this.
  DataParallel(const Context& context, Collectives& ranks, TrainedPolicy& policy, Config config);

  Collectives& ranks() const { return ranks_; }

  /// The units of this rank, for groups of that many tokens each.
  std::vector<TrainingUnit> deal(std::span<const std::int64_t> tokens) const;

  /// Adds a unit's gradient to `gradients`.
  using Pass = std::function<BatchForward(const TrainingUnit& unit, std::span<float> gradients)>;

  /// Leaves the sum over all units of all ranks in the policy's gradients. `num_groups` is that of
  /// the step. std::runtime_error naming the tensor where an exact sum cannot hold a value.
  StepSums gradient(std::span<const TrainingUnit> units, std::size_t num_groups, const Pass& pass);

  /// std::runtime_error naming a rank that has another value than rank 0, in any bit.
  void check_same(double value, const std::string& name);

 private:
  void add_exactly(const TrainingUnit& unit, std::size_t num_groups);
  StepSums sum_up(std::span<const TrainingUnit> units, std::span<const BatchForward> forwards);
  std::size_t num_units(std::size_t num_groups) const;

  const Context& context_;
  Collectives& ranks_;
  TrainedPolicy& policy_;
  Config config_;
  std::vector<std::int64_t> sums_;  // of an exact sum
};

/// Deals items of the given costs to `num_ranks`: the rank of each. The dearest item first, always
/// to the rank with the least so far; of equals, the first.
std::vector<int> balance(std::span<const std::int64_t> costs, int num_ranks);

}  // namespace zeroth
