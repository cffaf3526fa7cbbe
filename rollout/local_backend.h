// The worker's own engine: a published policy and a LocalEngine over it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "policy/published_policy.h"
#include "rollout/local_engine.h"
#include "rollout/worker.h"

namespace zeroth {

class LocalBackend : public WorkerBackend {
 public:
  /// The context's threads must outlive this. `config` as LocalEngine takes it; its on_progress is
  /// not called.
  LocalBackend(const Context& context, EngineConfig config);

  void load(const std::filesystem::path& directory) override;
  /// std::logic_error before the first load().
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling, const GroupSink& on_group,
                              const std::function<void()>& on_progress) override;
  GenerationStatistics statistics() const override { return engine_->statistics(); }

 private:
  Context context_;
  EngineConfig config_;
  std::function<void()> on_progress_;  // of the call that runs
  std::unique_ptr<PublishedPolicy> policy_;
  std::unique_ptr<LocalEngine> engine_;
};

}  // namespace zeroth
