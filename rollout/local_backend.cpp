#include "rollout/local_backend.h"

#include <stdexcept>
#include <utility>

namespace zeroth {

LocalBackend::LocalBackend(const Context& context, EngineConfig config)
    : context_(context), config_(std::move(config)) {
  config_.on_progress = [this](const GenerationStatistics&) { on_progress_(); };
}

void LocalBackend::load(const std::filesystem::path& directory) {
  if (policy_ && policy_->update(directory)) return;
  auto policy = std::make_unique<PublishedPolicy>(directory);
  engine_ = std::make_unique<LocalEngine>(context_, policy->packed(), config_);
  policy_ = std::move(policy);
}

std::vector<Group> LocalBackend::generate(std::span<const GenerateRequest> requests,
                                          const SamplingParams& sampling, const GroupSink& on_group,
                                          const std::function<void()>& on_progress) {
  if (!engine_) throw std::logic_error("worker: no policy to sample from");
  on_progress_ = on_progress;
  return engine_->generate(requests, sampling, on_group);
}

}  // namespace zeroth
