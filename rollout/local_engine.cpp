#include "rollout/local_engine.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "rollout/request_check.h"
#include "system/error.h"

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

std::int64_t bytes_of(const PageCounts& pages, const ModelConfig& model, std::int64_t page_size) {
  return page_size * (pages.prompts * prompt_cache_bytes_per_token(model) +
                      pages.completions * cache_bytes_per_token(model));
}

void check_cache_bytes(const std::string& source, std::int64_t max_cache_bytes,
                       const ModelConfig& model, std::int64_t page_size,
                       std::span<const GenerateRequest> requests, const SamplingParams& sampling) {
  const std::int64_t needed =
      bytes_of(fewest_pages(requests, sampling, page_size), model, page_size);
  if (max_cache_bytes == 0 || needed <= max_cache_bytes) return;
  std::size_t longest = 0;
  for (const GenerateRequest& request : requests)
    longest = std::max(longest, request.prompt.size());
  throw InputError({.source = source,
                    .field = "max_cache_bytes",
                    .expected = "at least " + std::to_string(needed) + ", for a prompt of " +
                                std::to_string(longest) + " tokens and a completion of " +
                                std::to_string(sampling.max_new_tokens),
                    .actual = std::to_string(max_cache_bytes)});
}

LocalEngine::LocalEngine(const Context& context, const PackedPolicy& policy, EngineConfig config)
    : context_(context), policy_(policy), config_(std::move(config)), cache_(policy.config()) {
  check(config_, policy.config());
}

std::int64_t LocalEngine::cache_bytes() const {
  return cache_.bytes();
}

// As many as are useful and max_cache_bytes allows.
PageCounts LocalEngine::num_pages(std::span<const GenerateRequest> requests,
                                  const SamplingParams& sampling) const {
  const ModelConfig& model = policy_.config();
  const PageCounts enough =
      enough_pages(requests, sampling, config_.max_num_seqs, config_.page_size);
  const std::int64_t bytes = config_.max_cache_bytes;
  if (bytes == 0 || bytes_of(enough, model, config_.page_size) <= bytes) return enough;
  if (expands_prompts(model)) {
    return pages_of_both_kinds(fewest_pages(requests, sampling, config_.page_size), enough);
  }
  return {.completions = bytes / bytes_of({.completions = 1}, model, config_.page_size)};
}

// Short of bytes, prompts with pages of their own get what they can use of one half, at least what
// the longest takes, and more where completions leave some of the other.
PageCounts LocalEngine::pages_of_both_kinds(const PageCounts& fewest,
                                            const PageCounts& enough) const {
  const std::int64_t page = bytes_of({.completions = 1}, policy_.config(), config_.page_size);
  const std::int64_t prompt_page = bytes_of({.prompts = 1}, policy_.config(), config_.page_size);
  const std::int64_t bytes = config_.max_cache_bytes;
  const std::int64_t spared = bytes - enough.completions * page;
  const std::int64_t most = (bytes - fewest.completions * page) / prompt_page;
  PageCounts pages;
  pages.prompts = std::max({fewest.prompts, bytes / 2 / prompt_page, spared / prompt_page});
  pages.prompts = std::min({pages.prompts, enough.prompts, most});
  pages.completions = std::min(enough.completions, (bytes - pages.prompts * prompt_page) / page);
  return pages;
}

// What an earlier call needed stays, unless the two kinds of rows together are too much then: a
// call with long prompts and one with long completions are each within max_cache_bytes.
void LocalEngine::resize_cache(std::int64_t num_pages, std::int64_t num_prompt_pages) {
  const std::int64_t rows = std::max(cache_.rows(), num_pages * config_.page_size);
  const std::int64_t prompts = std::max(cache_.prompt_rows(), num_prompt_pages * config_.page_size);
  const PageCounts both{.prompts = prompts / config_.page_size,
                        .completions = rows / config_.page_size};
  const std::int64_t bytes = config_.max_cache_bytes;
  if (bytes == 0 || bytes_of(both, policy_.config(), config_.page_size) <= bytes)
    return cache_.resize(rows, prompts);
  cache_ = Cache(policy_.config());
  cache_.resize(num_pages * config_.page_size, num_prompt_pages * config_.page_size);
}

std::vector<Group> LocalEngine::generate(std::span<const GenerateRequest> requests,
                                         const SamplingParams& sampling,
                                         const GroupSink& on_group) {
  statistics_ = {};
  check_requests(requests, sampling, policy_.config());
  check_cache_bytes("engine", config_.max_cache_bytes, policy_.config(), config_.page_size,
                    requests, sampling);
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
  resize_cache(shared_pages, own_pages ? pages.prompts : 0);
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
