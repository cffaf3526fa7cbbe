// The engine of this process: scheduler, decoder and sampler over one cache of pages.
//
// Promise: tokens, log-probs and experts are the same bits whatever max_num_seqs, page_size,
// prefill_chunk, cache size, order of requests, other requests of the call, threads and instruction
// set; and the log-probs are those that the learner's forward pass computes for the same weights.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "policy/cache.h"
#include "policy/decoder.h"
#include "rollout/engine.h"
#include "rollout/sampler.h"
#include "rollout/scheduler.h"

namespace zeroth {

struct EngineConfig {
  std::int64_t max_num_seqs = 1024;   // completions that run at a time
  std::int64_t page_size = 16;        // tokens a page of the cache holds
  std::int64_t prefill_chunk = 4096;  // prompt tokens a forward pass takes at most; 0: any number
  // Of the cache; 0: as many as max_num_seqs completions of the greatest length take. With fewer,
  // completions wait or give way to others, and are computed again (scheduler.h).
  std::int64_t max_cache_bytes = 0;
  bool record_experts = false;  // fills Completion::experts and Group::prompt_experts
  /// Called after every forward pass. It may throw to give the call up; the engine stays usable.
  std::function<void(const GenerationStatistics&)> on_progress = {};
  /// Called after every forward pass with the groups as far as they are sampled, for who shows
  /// tokens as they come. It may throw as on_progress.
  std::function<void(std::span<const Group>)> on_tokens = {};
};

/// Bytes of the cache that hold `pages` pages of `page_size` tokens.
std::int64_t bytes_of(const PageCounts& pages, const ModelConfig& model, std::int64_t page_size);

/// InputError naming `source` and max_cache_bytes when they cannot hold the longest prompt of
/// `requests` and one completion of max_new_tokens; 0 holds anything.
void check_cache_bytes(const std::string& source, std::int64_t max_cache_bytes,
                       const ModelConfig& model, std::int64_t page_size,
                       std::span<const GenerateRequest> requests, const SamplingParams& sampling);

class LocalEngine : public Engine {
 public:
  /// `policy` and the context's threads must outlive this. A completion ends at any of the
  /// eos_token_ids of the policy's config. std::invalid_argument for a count that cannot be.
  LocalEngine(const Context& context, const PackedPolicy& policy, EngineConfig config);

  /// std::invalid_argument as check_requests (request_check.h), InputError as check_cache_bytes.
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& on_group = {}) override;

  GenerationStatistics statistics() const override { return statistics_; }
  std::int64_t cache_bytes() const;

 private:
  PageCounts num_pages(std::span<const GenerateRequest> requests,
                       const SamplingParams& sampling) const;
  PageCounts pages_of_both_kinds(const PageCounts& fewest, const PageCounts& enough) const;
  void resize_cache(std::int64_t num_pages, std::int64_t num_prompt_pages);

  Context context_;
  const PackedPolicy& policy_;
  EngineConfig config_;
  Cache cache_;  // kept from call to call
  Activations activations_{false};
  ForwardBatch batch_;
  std::vector<Draw> draws_;
  std::vector<std::int32_t> tokens_;
  std::vector<float> logprobs_;
  std::vector<float> sampling_logprobs_;  // empty without a truncation
  GenerationStatistics statistics_;
};

}  // namespace zeroth
