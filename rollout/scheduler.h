// Continuous batching: which tokens of which sequences the next forward pass takes.
//
// Groups start in the order of the requests. A prompt is fed once a group, whole or in chunks; all
// first tokens are drawn from its last position; then the completions run side by side, as many as
// there are slots, and a finished one leaves its slot and its pages to the next. Prompts and
// completions share passes. Results stand where their request and index say, so the order of
// arrival does not show.
//
// A completion starts only when the pages of its greatest length are to be had, and a group only
// when they are to be had beside its prompt. So no sequence is ever evicted and work never stalls.
// Non-goal: a model; the scheduler counts tokens and rows only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "policy/activations.h"
#include "rollout/engine.h"
#include "rollout/page_table.h"
#include "rollout/sampler.h"

namespace zeroth {

struct SchedulerConfig {
  std::int64_t max_num_seqs = 1024;  // completions that run at a time
  std::int64_t page_size = 16;       // rows
  std::int64_t num_pages = 0;        // of the cache
  // Of prompts, where these have pages of their own (policy/cache.h); unset: they take of
  // num_pages.
  std::optional<std::int64_t> num_prompt_pages = {};
  std::int64_t prefill_chunk =
      0;  // prompt tokens a pass takes at most, over all groups; 0: any number
  std::span<const std::int64_t> stop_tokens = {};  // each ends a completion
};

/// What a call has done so far.
struct GenerationStatistics {
  std::int64_t prompt_tokens = 0;  // fed; a prompt counts once a group
  std::int64_t sampled_tokens = 0;
  std::int64_t forward_passes = 0;
  std::int64_t peak_pages = 0;  // most pages of the cache in use at a time, prompts' own added
  std::int64_t finished_completions = 0;
  std::int64_t num_completions = 0;  // asked for
};

/// Pages with which no completion waits for one while a slot is free.
struct PageCounts {
  std::int64_t prompts = 0;
  std::int64_t completions = 0;
  std::int64_t all() const { return prompts + completions; }
};
PageCounts enough_pages(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
                        std::int64_t max_num_seqs, std::int64_t page_size);

/// The fewest pages that `requests` can be answered with.
PageCounts fewest_pages(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
                        std::int64_t page_size);

/// Whether a completion has all its tokens: as many as it may have, or one of stop_tokens at the
/// end.
bool is_finished(const Completion& completion, const SamplingParams& sampling,
                 std::span<const std::int64_t> stop_tokens);

class Scheduler {
 public:
  /// `requests` and config.stop_tokens must outlive this. std::invalid_argument for an empty
  /// prompt, a count below 1, or fewer pages than the longest prompt with one completion takes.
  Scheduler(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
            const SchedulerConfig& config);
  Scheduler(const Scheduler&) = delete;  // page lists point to pages_
  Scheduler& operator=(const Scheduler&) = delete;

  /// The next pass and what to draw after it; false when every completion is finished.
  bool next(ForwardBatch& batch, std::vector<Draw>& draws);

  /// Keeps the experts that the pass chose: [moe layers][batch.size() * K], as decoder_forward
  /// leaves them. To be called, if at all, before accept.
  void record_experts(const ForwardBatch& batch,
                      const std::vector<std::vector<std::int32_t>>& experts);

  /// The tokens drawn, one a draw of the last next(); sampling_logprobs where tokens were left out.
  void accept(std::span<const std::int32_t> tokens, std::span<const float> logprobs,
              std::span<const float> sampling_logprobs = {});

  /// Requests whose last completion ended in the last accept().
  std::span<const std::size_t> just_finished() const { return just_finished_; }
  Group& group(std::size_t request) { return groups_[request]; }
  /// groups()[i] answers requests[i] as far as it is sampled.
  std::span<const Group> groups() const { return groups_; }

  GenerationStatistics statistics() const;

  /// groups[i] answers requests[i].
  std::vector<Group> take_groups() { return std::move(groups_); }

 private:
  struct Sequence {
    std::size_t index;  // in the group
    PageList pages;     // of the completion's own tokens
  };
  struct ActiveGroup {
    std::size_t index;       // of the request
    PageList prompt;         // rows fed so far
    bool prefilled = false;  // the whole prompt was fed and all first tokens were asked for
    bool lined_up = false;   // `waiting` was filled once
    std::vector<std::size_t> waiting;  // completions without a slot, the next one last
    std::vector<Sequence> running;
  };

  void admit_groups();
  void start_waiting();
  void append_prefill(ActiveGroup& group, std::int64_t& budget, ForwardBatch& batch,
                      std::vector<Draw>& draws);
  void append_decode(ActiveGroup& group, ForwardBatch& batch, std::vector<Draw>& draws);
  void draw(const ActiveGroup& group, std::size_t completion, std::int64_t row,
            std::vector<Draw>& draws);
  bool stops(std::int32_t token) const;
  bool finished(const Completion& completion) const;
  void retire(ActiveGroup& group);
  std::int64_t prompt_pages(std::size_t request) const;
  bool fits(std::size_t request, std::int64_t reserved, std::int64_t reserved_prompts) const;
  void reserve_prompt(std::int64_t pages);

  std::span<const GenerateRequest> requests_;
  SamplingParams sampling_;
  SchedulerConfig config_;
  PageAllocator pages_;         // before all page lists
  PageAllocator prompt_pages_;  // of prompts with pages of their own
  std::vector<Group> groups_;
  std::vector<ActiveGroup> active_;
  std::vector<std::size_t> just_finished_;
  std::size_t next_request_ = 0;
  std::int64_t completion_pages_;  // pages of a completion of the greatest length
  std::int64_t reserved_pages_ = 0;
  std::int64_t reserved_prompt_pages_ = 0;  // of prompt_pages_
  std::int64_t running_ = 0;                // slots taken
  std::int64_t unfinished_ = 0;             // completions of active groups that run or will
  std::vector<Completion*> drawn_;          // whom each draw of the last pass belongs to
  std::vector<std::vector<std::uint16_t>*> experts_of_member_;
  GenerationStatistics statistics_;
};

}  // namespace zeroth
