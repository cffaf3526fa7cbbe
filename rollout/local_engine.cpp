#include "rollout/local_engine.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "rollout/request_check.h"

namespace zeroth {

namespace {

void check(const EngineConfig& config, const ModelConfig& model) {
  if (config.max_num_seqs < 1 || config.page_size < 1 || config.prefill_chunk < 0 ||
      config.max_cache_bytes < 0) {
    throw std::invalid_argument("engine: max_num_seqs " + std::to_string(config.max_num_seqs) +
                                ", page_size " + std::to_string(config.page_size) +
                                ", prefill_chunk " + std::to_string(config.prefill_chunk) +
                                ", max_cache_bytes " + std::to_string(config.max_cache_bytes) +
                                ": at least 1, 1, 0 and 0");
  }
  constexpr std::int64_t kMostExperts = std::numeric_limits<std::uint16_t>::max();
  for (const LayerConfig& layer : model.layers) {
    if (config.record_experts && layer.ffn.num_experts > kMostExperts) {
      throw std::invalid_argument("engine: record_experts takes at most " +
                                  std::to_string(kMostExperts) + " experts a layer, got " +
                                  std::to_string(layer.ffn.num_experts));
    }
  }
}

}  // namespace

LocalEngine::LocalEngine(const Context& context, const PackedPolicy& policy, EngineConfig config)
    : context_(context), policy_(policy), config_(std::move(config)), cache_(policy.config()) {
  check(config_, policy.config());
}

std::int64_t LocalEngine::cache_bytes() const {
  return cache_.bytes();
}

// As many as are useful and max_cache_bytes allows. Short of bytes, prompts with pages of their own
// get the share of them that they would have with enough, and never less than the longest takes.
PageCounts LocalEngine::num_pages(std::span<const GenerateRequest> requests,
                                  const SamplingParams& sampling) const {
  PageCounts pages = enough_pages(requests, sampling, config_.max_num_seqs, config_.page_size);
  const std::int64_t page = config_.page_size * cache_bytes_per_token(policy_.config());
  const std::int64_t prompt_page =
      config_.page_size * prompt_cache_bytes_per_token(policy_.config());
  const std::int64_t bytes = config_.max_cache_bytes;
  const std::int64_t wanted = pages.prompts * prompt_page + pages.completions * page;
  if (bytes == 0 || wanted <= bytes) return pages;
  if (!expands_prompts(policy_.config())) {
    return {.completions = bytes / page};
  }
  const double share = static_cast<double>(bytes) / static_cast<double>(wanted);
  const PageCounts fewest = fewest_pages(requests, sampling, config_.page_size);
  pages.prompts = std::max(fewest.prompts,
                           static_cast<std::int64_t>(share * static_cast<double>(pages.prompts)));
  pages.completions = std::max<std::int64_t>(0, (bytes - pages.prompts * prompt_page) / page);
  return pages;
}

std::vector<Group> LocalEngine::generate(std::span<const GenerateRequest> requests,
                                         const SamplingParams& sampling,
                                         const GroupSink& on_group) {
  check_requests(requests, sampling, policy_.config());
  Sampler sampler(sampling.temperature,
                  {.top_k = sampling.top_k, .top_p = sampling.top_p, .min_p = sampling.min_p});
  const PageCounts pages = num_pages(requests, sampling);
  const bool own_pages = expands_prompts(policy_.config());
  const std::int64_t shared_pages = own_pages ? pages.completions : pages.all();
  Scheduler scheduler(requests, sampling,
                      {.max_num_seqs = config_.max_num_seqs,
                       .page_size = config_.page_size,
                       .num_pages = shared_pages,
                       .num_prompt_pages = own_pages ? std::optional(pages.prompts) : std::nullopt,
                       .prefill_chunk = config_.prefill_chunk,
                       .stop_tokens = policy_.config().eos_token_ids});
  cache_.resize(std::max(cache_.rows(), shared_pages * config_.page_size),
                std::max(cache_.prompt_rows(), pages.prompts * config_.page_size));
  while (scheduler.next(batch_, draws_)) {
    decoder_forward(context_, policy_, batch_, cache_, activations_);
    if (config_.record_experts) scheduler.record_experts(batch_, activations_.experts);
    tokens_.resize(draws_.size());
    logprobs_.resize(draws_.size());
    sampling_logprobs_.resize(sampling.truncates() ? draws_.size() : 0);
    sampler.sample(context_, policy_, activations_.hidden.data(), draws_, tokens_, logprobs_,
                   sampling_logprobs_);
    scheduler.accept(tokens_, logprobs_, sampling_logprobs_);
    for (const std::size_t index : scheduler.just_finished()) {
      Group& group = scheduler.group(index);
      for (Completion& completion : group.completions) {
        completion.policy_version = policy_.version();
      }
      if (on_group) on_group(index, group);
    }
    statistics_ = scheduler.statistics();
    if (config_.on_tokens) config_.on_tokens(scheduler.groups());
    if (config_.on_progress) config_.on_progress(statistics_);
  }
  statistics_ = scheduler.statistics();
  return scheduler.take_groups();
}

}  // namespace zeroth
