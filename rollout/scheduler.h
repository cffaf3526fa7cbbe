// Continuous batching: which tokens of which sequences the next forward pass takes.
//
// Groups start in the order of the requests. A prompt is fed once a group, whole or in chunks; all
// first tokens are drawn from its last position; then the completions run side by side, as many as
// there are slots, and a finished one leaves its slot and its pages to the next. Prompts and
// completions share passes. Results stand where their request and index say, so the order of
// arrival does not show.
//
// Pages are taken as a completion grows, since most end early. When none is left, what came last
// gives way: its pages go, its tokens, log-probs and experts stay, and when it is its turn again
// the rows are computed anew from the tokens ("recompute", vLLM, arXiv:2309.06180, section 4.5),
// which gives the same bits. The order is that of requests and, within one, of completions. Who
// stands first in it never gives way, and the cache holds one prompt with one completion of the
// greatest length, so work never stalls. And little is computed twice: a completion starts only
// when what runs could grow to the mean length seen so far in the call, and at least by a page
// each.
//
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
  /// leaves them. Those of tokens that are fed again are known. To be called, if at all, before
  /// accept.
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
    std::size_t index;  // of the request
    PageList prompt;    // no pages: it gave way; else all of them, and the rows fed so far
    std::int64_t prompt_fed = 0;       // most rows of the prompt that were fed at any time
    bool lined_up = false;             // all first tokens were drawn and `waiting` was filled once
    std::vector<std::size_t> waiting;  // completions that do not run, the next one last
    std::vector<Sequence> running;     // in the order of their index
  };
  // Whose experts the tokens of a member of the batch are; the first `known` were recorded before.
  struct Recorded {
    std::vector<std::uint16_t>* experts;
    std::int64_t known;
  };

  void grow();
  void release_last();
  void admit();
  bool admit(ActiveGroup& group);
  bool admit_prompt(ActiveGroup& group);
  bool start(ActiveGroup& group);
  std::int64_t rows_of_next(const ActiveGroup& group) const;
  std::int64_t expected_pages() const;
  std::int64_t growth(std::int64_t pages) const;
  std::int64_t growth_of_first(const ActiveGroup& group) const;
  bool prefilled(const ActiveGroup& group) const;
  void append_prefill(ActiveGroup& group, std::int64_t& budget, ForwardBatch& batch,
                      std::vector<Draw>& draws);
  void append_completions(ActiveGroup& group, std::int64_t& budget, ForwardBatch& batch,
                          std::vector<Draw>& draws);
  std::int64_t num_tokens(const ActiveGroup& group, std::size_t completion) const;
  void append_member(const PageList& pages, std::int64_t before, std::int64_t first_position,
                     std::span<const std::int32_t> tokens, ForwardBatch& batch) const;
  void draw(const ActiveGroup& group, std::size_t completion, std::int64_t row,
            std::vector<Draw>& draws);
  bool stops(std::int32_t token) const;
  bool finished(const Completion& completion) const;
  void retire(ActiveGroup& group);
  std::int64_t prompt_pages(std::size_t request) const;
  bool fits(std::size_t request) const;

  std::span<const GenerateRequest> requests_;
  SamplingParams sampling_;
  SchedulerConfig config_;
  PageAllocator pages_;         // before all page lists
  PageAllocator prompt_pages_;  // of prompts with pages of their own
  std::vector<Group> groups_;
  std::vector<ActiveGroup> active_;
  std::vector<std::size_t> just_finished_;
  std::size_t next_request_ = 0;
  std::int64_t completion_pages_;    // pages of a completion of the greatest length
  std::int64_t expected_pages_ = 0;  // of a completion, as far as is known in this pass
  std::int64_t keep_free_ = 0;       // pages that what starts has to leave to the others
  std::int64_t running_ = 0;         // slots taken
  std::int64_t unfinished_ = 0;      // completions of active groups that run or will
  std::vector<Completion*> drawn_;   // whom each draw of the last pass belongs to
  std::vector<Recorded> of_member_;  // [members of the last pass]
  GenerationStatistics statistics_;
};

}  // namespace zeroth
