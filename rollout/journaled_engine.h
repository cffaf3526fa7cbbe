// An engine that remembers: groups that a journal holds are taken from it, the others are sampled
// by the engine below and written down as they finish.
#pragma once

#include "rollout/engine.h"
#include "rollout/journal.h"

namespace zeroth {

class JournaledEngine : public Engine {
 public:
  /// Both must outlive this.
  JournaledEngine(Engine& engine, RolloutJournal& journal) : engine_(engine), journal_(journal) {}

  /// Every group is durable when this returns. All requests of a call are of one step
  /// (std::invalid_argument). std::system_error when the journal cannot be written.
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& on_group = {}) override;
  /// Of what was not in the journal.
  GenerationStatistics statistics() const override { return statistics_; }

 private:
  Engine& engine_;
  RolloutJournal& journal_;
  GenerationStatistics statistics_;
};

}  // namespace zeroth
