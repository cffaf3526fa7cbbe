// Sampling over the ranks of a run: each rank has its own engine sample a share of the groups, and
// then all ranks have all groups. Which rank samples a group cannot show in it (rollout/engine.h).
#pragma once

#include "policy/mesh/collectives.h"
#include "rollout/engine.h"

namespace zeroth {

class DistributedEngine : public Engine {
 public:
  /// Both outlive this.
  DistributedEngine(Engine& engine, Collectives& ranks) : engine_(engine), ranks_(ranks) {}

  /// Every rank calls it with the same requests. `on_group` gets this rank's groups as they finish
  /// and the others' at the end.
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& on_group = {}) override;
  /// The counts of all ranks added up, peak_pages too.
  GenerationStatistics statistics() const override { return statistics_; }

 private:
  GenerationStatistics sum_over_ranks(const GenerationStatistics& own) const;

  Engine& engine_;
  Collectives& ranks_;
  GenerationStatistics statistics_;
};

}  // namespace zeroth
