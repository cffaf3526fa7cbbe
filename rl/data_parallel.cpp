#include "rl/data_parallel.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/fixed_point.h"

namespace zeroth {
namespace {

// What a unit reports to the other ranks, as bytes: all run the same program.
struct UnitReport {
  std::uint64_t index = 0;
  double entropy_sum = 0.0;
  LossSums loss;
};
static_assert(std::is_trivially_copyable_v<UnitReport>);

std::string name_of(const Weights& weights, std::int64_t element) {
  for (const WeightTensor& tensor : weights.tensors()) {
    if (element >= tensor.offset && element < tensor.offset + tensor.size)
      return tensor.name + "[" + std::to_string(element - tensor.offset) + "]";
  }
  return "element " + std::to_string(element);
}

}  // namespace

std::vector<int> balance(std::span<const std::int64_t> costs, int num_ranks) {
  std::vector<std::size_t> order(costs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return costs[a] > costs[b]; });
  std::vector<std::int64_t> load(static_cast<std::size_t>(num_ranks), 0);
  std::vector<int> rank_of(costs.size());
  for (const std::size_t item : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += costs[item];
    rank_of[item] = static_cast<int>(least - load.begin());
  }
  return rank_of;
}

DataParallel::DataParallel(const Context& context, Collectives& ranks, TrainedPolicy& policy,
                           Config config)
    : context_(context), ranks_(ranks), policy_(policy), config_(config) {
  if (config_.groups_per_unit == 0) throw std::invalid_argument("DataParallel: units of no group");
  if (config_.exact) sums_.resize(policy.gradients().size());
}

std::size_t DataParallel::num_units(std::size_t num_groups) const {
  return (num_groups + config_.groups_per_unit - 1) / config_.groups_per_unit;
}

std::vector<TrainingUnit> DataParallel::deal(std::span<const std::int64_t> tokens) const {
  std::vector<TrainingUnit> own;
  if (!config_.exact) {
    TrainingUnit unit{.index = static_cast<std::size_t>(ranks_.rank()), .groups = {}};
    const std::vector<int> rank_of = balance(tokens, ranks_.size());
    for (std::size_t g = 0; g < tokens.size(); ++g) {
      if (rank_of[g] == ranks_.rank()) unit.groups.push_back(g);
    }
    if (!unit.groups.empty()) own.push_back(std::move(unit));
    return own;
  }
  std::vector<std::int64_t> costs(num_units(tokens.size()), 0);
  for (std::size_t g = 0; g < tokens.size(); ++g) costs[g / config_.groups_per_unit] += tokens[g];
  const std::vector<int> rank_of = balance(costs, ranks_.size());
  for (std::size_t u = 0; u < costs.size(); ++u) {
    if (rank_of[u] != ranks_.rank()) continue;
    TrainingUnit unit{.index = u, .groups = {}};
    const std::size_t end = std::min(tokens.size(), (u + 1) * config_.groups_per_unit);
    for (std::size_t g = u * config_.groups_per_unit; g < end; ++g) unit.groups.push_back(g);
    own.push_back(std::move(unit));
  }
  return own;
}

StepSums DataParallel::gradient(std::span<const TrainingUnit> units, std::size_t num_groups,
                                const Pass& pass) {
  std::vector<BatchForward> forwards;
  std::fill(sums_.begin(), sums_.end(), 0);
  policy_.clear_gradients();
  for (const TrainingUnit& unit : units) {
    if (config_.exact) policy_.clear_gradients();
    forwards.push_back(pass(unit, policy_.gradients()));
    if (config_.exact) add_exactly(unit, num_groups);
  }
  if (config_.exact) {
    ranks_.sum(sums_);
    from_fixed_point(context_, sums_.data(), static_cast<std::int64_t>(sums_.size()),
                     policy_.gradients().data());
  } else {
    ranks_.sum(policy_.gradients());
  }
  return sum_up(units, forwards);
}

void DataParallel::add_exactly(const TrainingUnit& unit, std::size_t num_groups) {
  const std::span<const float> gradient = policy_.gradients();
  const double limit = kFixedPointRange / static_cast<double>(num_units(num_groups));
  const std::int64_t bad =
      add_fixed_point(context_, {.x = gradient.data(),
                                 .sum = sums_.data(),
                                 .n = static_cast<std::int64_t>(gradient.size()),
                                 .limit = limit});
  if (bad < 0) return;
  throw std::runtime_error("exact_ranks: the gradient of " + name_of(policy_.weights(), bad) +
                           " is " + std::to_string(gradient[static_cast<std::size_t>(bad)]) +
                           " in unit " + std::to_string(unit.index) +
                           " of the step; the sum in fixed point takes values of less than " +
                           std::to_string(limit) + "; the weights are unchanged");
}

// Reports are added in the order of the units, whichever rank they come from.
StepSums DataParallel::sum_up(std::span<const TrainingUnit> units,
                              std::span<const BatchForward> forwards) {
  std::string own;
  for (std::size_t u = 0; u < units.size(); ++u) {
    UnitReport report;
    report.index = units[u].index;
    report.entropy_sum = forwards[u].entropy_sum;
    report.loss = forwards[u].loss;
    own.append(reinterpret_cast<const char*>(&report), sizeof report);
  }
  std::vector<UnitReport> reports;
  for (const std::string& part : ranks_.gather(own)) {
    for (std::size_t at = 0; at + sizeof(UnitReport) <= part.size(); at += sizeof(UnitReport)) {
      std::memcpy(&reports.emplace_back(), part.data() + at, sizeof(UnitReport));
    }
  }
  std::sort(reports.begin(), reports.end(),
            [](const UnitReport& a, const UnitReport& b) { return a.index < b.index; });
  StepSums sums;
  for (const UnitReport& report : reports) {
    sums.loss.add(report.loss);
    sums.entropy_sum += report.entropy_sum;
  }
  std::size_t moe_layer = 0;
  for (const LayerConfig& layer : policy_.config().layers) {
    if (layer.ffn.kind != FfnKind::moe) continue;
    auto& counts = sums.expert_counts.emplace_back(static_cast<std::size_t>(layer.ffn.num_experts));
    for (const BatchForward& forward : forwards) {
      for (std::size_t e = 0; e < counts.size(); ++e)
        counts[e] += forward.expert_counts[moe_layer][e];
    }
    ranks_.sum(counts);
    ++moe_layer;
  }
  return sums;
}

void DataParallel::check_same(double value, const std::string& name) {
  const std::vector<std::string> values =
      ranks_.gather({reinterpret_cast<const char*>(&value), sizeof value});
  for (std::size_t rank = 1; rank < values.size(); ++rank) {
    if (values[rank] == values[0]) continue;
    double first = 0.0;
    double other = 0.0;
    std::memcpy(&first, values[0].data(), sizeof first);
    std::memcpy(&other, values[rank].data(), sizeof other);
    throw std::runtime_error("the " + name + " of rank " + std::to_string(rank) + " is " +
                             std::to_string(other) + ", that of rank 0 " + std::to_string(first) +
                             ": the ranks have come apart");
  }
}

}  // namespace zeroth
