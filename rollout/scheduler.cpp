#include "rollout/scheduler.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace zeroth {
namespace {

void check(const GenerateRequest& request, std::size_t index) {
  const std::string which = "generate: request " + std::to_string(index);
  if (request.prompt.empty()) throw std::invalid_argument(which + " has an empty prompt");
  if (request.num_generations < 1) {
    throw std::invalid_argument(which + " asks for " + std::to_string(request.num_generations) +
                                " completions");
  }
}

// The last token of a completion is not fed, so it takes no row.
std::int64_t completion_rows(const SamplingParams& sampling) {
  return sampling.max_new_tokens - 1;
}

std::int64_t length(const GenerateRequest& request) {
  return static_cast<std::int64_t>(request.prompt.size());
}

}  // namespace

PageCounts fewest_pages(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
                        std::int64_t page_size) {
  const PageAllocator pages(0, page_size);
  PageCounts counts;
  for (const GenerateRequest& request : requests) {
    counts.prompts = std::max(counts.prompts, pages.pages_for(length(request)));
    counts.completions = pages.pages_for(completion_rows(sampling));
  }
  return counts;
}

PageCounts enough_pages(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
                        std::int64_t max_num_seqs, std::int64_t page_size) {
  std::int64_t completions = 0;
  for (const GenerateRequest& request : requests) completions += request.num_generations;
  // A group is active only while it holds or will take a slot.
  const auto groups = std::min(static_cast<std::int64_t>(requests.size()), max_num_seqs);
  const PageCounts one = fewest_pages(requests, sampling, page_size);
  return {.prompts = groups * one.prompts,
          .completions = std::min(completions, max_num_seqs) * one.completions};
}

bool is_finished(const Completion& completion, const SamplingParams& sampling,
                 std::span<const std::int64_t> stop_tokens) {
  const std::vector<std::int32_t>& tokens = completion.tokens;
  if (tokens.empty()) return false;
  return static_cast<std::int64_t>(tokens.size()) == sampling.max_new_tokens ||
         std::find(stop_tokens.begin(), stop_tokens.end(), tokens.back()) != stop_tokens.end();
}

Scheduler::Scheduler(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
                     const SchedulerConfig& config)
    : requests_(requests),
      sampling_(sampling),
      config_(config),
      pages_(config.num_pages, config.page_size),
      prompt_pages_(config.num_prompt_pages.value_or(0), config.page_size),
      groups_(requests.size()),
      completion_pages_(pages_.pages_for(completion_rows(sampling))) {
  if (sampling.max_new_tokens < 1 || config.max_num_seqs < 1 || config.prefill_chunk < 0) {
    throw std::invalid_argument("generate: max_new_tokens " +
                                std::to_string(sampling.max_new_tokens) + ", max_num_seqs " +
                                std::to_string(config.max_num_seqs) + ", prefill_chunk " +
                                std::to_string(config.prefill_chunk) + ": at least 1, 1 and 0");
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    check(requests[i], i);
    if (!fits(i)) {
      const std::string of_prompts =
          config.num_prompt_pages ? std::to_string(*config.num_prompt_pages) + " and " : "";
      throw std::invalid_argument(
          "generate: request " + std::to_string(i) + " takes " + std::to_string(prompt_pages(i)) +
          " pages for its prompt and " + std::to_string(completion_pages_) +
          " for a completion, and the cache has " + of_prompts + std::to_string(config.num_pages));
    }
    groups_[i].completions.resize(static_cast<std::size_t>(requests[i].num_generations));
    statistics_.num_completions += requests[i].num_generations;
  }
}

std::int64_t Scheduler::prompt_pages(std::size_t request) const {
  return pages_.pages_for(length(requests_[request]));
}

// Whether the request's prompt and one completion of the greatest length find room in the cache.
bool Scheduler::fits(std::size_t request) const {
  const std::int64_t pages = prompt_pages(request);
  if (!config_.num_prompt_pages) return pages + completion_pages_ <= config_.num_pages;
  return pages <= *config_.num_prompt_pages && completion_pages_ <= config_.num_pages;
}

bool Scheduler::prefilled(const ActiveGroup& group) const {
  return group.prompt.size() == length(requests_[group.index]);
}

std::int64_t Scheduler::num_tokens(const ActiveGroup& group, std::size_t completion) const {
  return static_cast<std::int64_t>(groups_[group.index].completions[completion].tokens.size());
}

bool Scheduler::stops(std::int32_t token) const {
  return std::find(config_.stop_tokens.begin(), config_.stop_tokens.end(), token) !=
         config_.stop_tokens.end();
}

bool Scheduler::finished(const Completion& completion) const {
  return is_finished(completion, sampling_, config_.stop_tokens);
}

GenerationStatistics Scheduler::statistics() const {
  GenerationStatistics statistics = statistics_;
  statistics.peak_pages = pages_.peak() + prompt_pages_.peak();
  return statistics;
}

bool Scheduler::next(ForwardBatch& batch, std::vector<Draw>& draws) {
  batch.clear();
  draws.clear();
  drawn_.clear();
  of_member_.clear();
  grow();
  admit();
  std::int64_t budget =
      config_.prefill_chunk > 0 ? config_.prefill_chunk : std::numeric_limits<std::int64_t>::max();
  for (ActiveGroup& group : active_) {
    if (prefilled(group)) {
      append_completions(group, budget, batch, draws);
    } else if (group.prompt.num_pages() > 0) {
      append_prefill(group, budget, batch, draws);
    }
  }
  if (batch.size() > 0) ++statistics_.forward_passes;
  return batch.size() > 0;
}

// Takes the pages that the sequences' next tokens go to, the first in order first; where none is
// left, the last in order gives way, which may be the sequence itself.
void Scheduler::grow() {
  for (ActiveGroup& group : active_) {
    for (std::size_t i = 0; i < group.running.size(); ++i) {
      const std::int64_t rows = num_tokens(group, group.running[i].index);
      const auto missing = [&] {
        return pages_.pages_for(rows) - group.running[i].pages.num_pages();
      };
      while (i < group.running.size() && missing() > pages_.num_free()) release_last();
      if (i < group.running.size()) group.running[i].pages.reserve(rows);
    }
  }
}

// Frees what the last in order holds: a completion's pages or, when none of its group runs, the
// prompt's.
void Scheduler::release_last() {
  for (auto group = active_.rbegin(); group != active_.rend(); ++group) {
    if (!group->running.empty()) {
      group->waiting.push_back(group->running.back().index);
      group->running.pop_back();
      --running_;
      ++statistics_.preemptions;
      return;
    }
    if (group->prompt.num_pages() > 0 && !config_.num_prompt_pages) return group->prompt.clear();
  }
  throw std::logic_error("scheduler: no page to release");
}

// Starts what finds room, in order: nobody overtakes who waits.
void Scheduler::admit() {
  expected_pages_ = expected_pages();
  keep_free_ = 0;
  for (const ActiveGroup& group : active_) {
    for (const Sequence& sequence : group.running) keep_free_ += growth(sequence.pages.num_pages());
    if (!group.lined_up && group.prompt.num_pages() > 0) keep_free_ += growth_of_first(group);
  }
  for (ActiveGroup& group : active_) {
    if (!admit(group)) return;
  }
  while (next_request_ < requests_.size() && unfinished_ < config_.max_num_seqs) {
    PageAllocator& pages = config_.num_prompt_pages ? prompt_pages_ : pages_;
    ActiveGroup group{
        .index = next_request_, .prompt = PageList(pages), .waiting = {}, .running = {}};
    if (!admit_prompt(group)) return;
    active_.push_back(std::move(group));
    unfinished_ += requests_[next_request_].num_generations;
    ++next_request_;
  }
}

// False when something of the group has to wait.
bool Scheduler::admit(ActiveGroup& group) {
  if (group.prompt.num_pages() == 0 && !admit_prompt(group)) return false;
  if (!prefilled(group)) return group.waiting.empty();
  while (!group.waiting.empty()) {
    if (!start(group)) return false;
  }
  return true;
}

// Takes the prompt's pages if one of its completions could start as well.
bool Scheduler::admit_prompt(ActiveGroup& group) {
  const std::int64_t pages = prompt_pages(group.index);
  std::int64_t needed = pages_.pages_for(rows_of_next(group)) + keep_free_;
  if (!config_.num_prompt_pages) {
    needed += pages;
  } else if (pages > prompt_pages_.num_free()) {
    return false;
  }
  if (needed > pages_.num_free()) return false;
  group.prompt.reserve(length(requests_[group.index]));
  if (!group.lined_up) keep_free_ += growth_of_first(group);
  return true;
}

// Gives the next waiting completion a slot and the pages of its tokens. When none runs, prompts
// behind it in order give way, and nothing has to stay free.
bool Scheduler::start(ActiveGroup& group) {
  if (running_ == config_.max_num_seqs) return false;
  const std::int64_t rows = rows_of_next(group);
  const std::int64_t pages = pages_.pages_for(rows);
  if (running_ == 0) {
    while (pages > pages_.num_free()) release_last();
  } else if (pages + growth(pages) + keep_free_ > pages_.num_free()) {
    return false;
  }
  group.running.push_back({.index = group.waiting.back(), .pages = PageList(pages_)});
  group.running.back().pages.reserve(rows);
  keep_free_ += growth(pages);
  group.waiting.pop_back();
  ++running_;
  return true;
}

// Rows of the completion of a group that starts next: of all its tokens, the last one's included.
std::int64_t Scheduler::rows_of_next(const ActiveGroup& group) const {
  if (group.waiting.empty()) return std::min<std::int64_t>(1, completion_rows(sampling_));
  return num_tokens(group, group.waiting.back());
}

// Pages of a completion of the mean length: tokens sampled over completions finished, which counts
// those still running rightly where every token is as likely to be the last. The greatest length
// until the first is finished.
std::int64_t Scheduler::expected_pages() const {
  if (statistics_.finished_completions == 0) return completion_pages_;
  const std::int64_t mean = statistics_.sampled_tokens / statistics_.finished_completions;
  return pages_.pages_for(std::min(mean, completion_rows(sampling_)));
}

// Pages that a completion which has `pages` is expected to need yet: one at least, if it may.
std::int64_t Scheduler::growth(std::int64_t pages) const {
  return std::max(expected_pages_ - pages, std::int64_t{pages < completion_pages_ ? 1 : 0});
}

// The same of all completions of a prompt that is being fed.
std::int64_t Scheduler::growth_of_first(const ActiveGroup& group) const {
  return requests_[group.index].num_generations * growth(0);
}

void Scheduler::draw(const ActiveGroup& group, std::size_t completion, std::int64_t row,
                     std::vector<Draw>& draws) {
  const GenerateRequest& request = requests_[group.index];
  Completion& drawn = groups_[group.index].completions[completion];
  draws.push_back({.row = row,
                   .key = {.seed = sampling_.seed,
                           .step = request.step,
                           .problem = request.problem,
                           .sample = static_cast<std::uint32_t>(completion),
                           .position = static_cast<std::uint32_t>(drawn.tokens.size()),
                           .stream = sampling_.stream}});
  drawn_.push_back(&drawn);
}

// Queries at `first_position` and on, of which `before` keys of the same pages stand before.
void Scheduler::append_member(const PageList& pages, std::int64_t before,
                              std::int64_t first_position, std::span<const std::int32_t> tokens,
                              ForwardBatch& batch) const {
  const auto count = static_cast<std::int64_t>(tokens.size());
  const auto first_run = static_cast<std::int64_t>(batch.runs.size());
  pages.append_runs(batch.runs, before + count);
  batch.members.push_back({.first_query = batch.size(),
                           .num_queries = count,
                           .first_run = first_run,
                           .num_runs = static_cast<std::int64_t>(batch.runs.size()) - first_run,
                           .own_before = before});
  batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
  for (std::int64_t i = 0; i < count; ++i) {
    batch.positions.push_back(static_cast<std::int32_t>(first_position + i));
    batch.cache_rows.push_back(pages.row_of(before + i));
  }
}

void Scheduler::append_prefill(ActiveGroup& group, std::int64_t& budget, ForwardBatch& batch,
                               std::vector<Draw>& draws) {
  const std::span<const std::int32_t> tokens = requests_[group.index].prompt;
  const std::int64_t before = group.prompt.size();
  const std::int64_t count = std::min(budget, length(requests_[group.index]) - before);
  if (count == 0) return;
  budget -= count;
  group.prompt.append(count);
  batch.groups.push_back(
      {.first_member = static_cast<std::int64_t>(batch.members.size()), .num_members = 1});
  append_member(group.prompt, before, before,
                tokens.subspan(static_cast<std::size_t>(before), static_cast<std::size_t>(count)),
                batch);
  const std::int64_t known = std::clamp<std::int64_t>(group.prompt_fed - before, 0, count);
  of_member_.push_back({.experts = &groups_[group.index].prompt_experts, .known = known});
  group.prompt_fed = std::max(group.prompt_fed, before + count);
  statistics_.prompt_tokens += count - known;
  statistics_.recomputed_tokens += known;
  if (!prefilled(group) || group.lined_up) return;
  for (std::size_t i = 0; i < groups_[group.index].completions.size(); ++i) {
    draw(group, i, batch.size() - 1, draws);
  }
}

// One new token of every running completion, after those whose rows it lost.
void Scheduler::append_completions(ActiveGroup& group, std::int64_t& budget, ForwardBatch& batch,
                                   std::vector<Draw>& draws) {
  if (group.running.empty()) return;
  const auto first_run = static_cast<std::int64_t>(batch.runs.size());
  group.prompt.append_runs(batch.runs, group.prompt.size());
  AttentionGroup attention{.first_run = first_run,
                           .num_runs = static_cast<std::int64_t>(batch.runs.size()) - first_run,
                           .prefix_length = group.prompt.size(),
                           .first_member = static_cast<std::int64_t>(batch.members.size())};
  for (Sequence& sequence : group.running) {
    Completion& completion = groups_[group.index].completions[sequence.index];
    const std::int64_t before = sequence.pages.size();
    const std::int64_t lost = num_tokens(group, sequence.index) - 1 - before;
    const std::int64_t known = std::min(lost, budget);
    const std::int64_t count = known == lost ? known + 1 : known;
    if (count == 0) continue;
    budget -= known;
    statistics_.recomputed_tokens += known;
    sequence.pages.append(count);
    append_member(sequence.pages, before, group.prompt.size() + before,
                  std::span(completion.tokens)
                      .subspan(static_cast<std::size_t>(before), static_cast<std::size_t>(count)),
                  batch);
    of_member_.push_back({.experts = &completion.experts, .known = known});
    if (known == lost) draw(group, sequence.index, batch.size() - 1, draws);
  }
  attention.num_members = static_cast<std::int64_t>(batch.members.size()) - attention.first_member;
  if (attention.num_members > 0) batch.groups.push_back(attention);
}

void Scheduler::record_experts(const ForwardBatch& batch,
                               const std::vector<std::vector<std::int32_t>>& experts) {
  for (std::size_t m = 0; m < batch.members.size(); ++m) {
    const AttentionMember& member = batch.members[m];
    const Recorded& recorded = of_member_[m];
    for (std::int64_t t = member.first_query + recorded.known;
         t < member.first_query + member.num_queries; ++t) {
      for (const std::vector<std::int32_t>& layer : experts) {
        const std::int64_t K = static_cast<std::int64_t>(layer.size()) / batch.size();
        for (std::int64_t k = t * K; k < (t + 1) * K; ++k) {
          recorded.experts->push_back(
              static_cast<std::uint16_t>(layer[static_cast<std::size_t>(k)]));
        }
      }
    }
  }
}

void Scheduler::accept(std::span<const std::int32_t> tokens, std::span<const float> logprobs,
                       std::span<const float> sampling_logprobs) {
  const std::size_t truncated = sampling_.truncates() ? drawn_.size() : 0;
  if (tokens.size() != drawn_.size() || logprobs.size() != drawn_.size() ||
      sampling_logprobs.size() != truncated) {
    throw std::invalid_argument("scheduler: " + std::to_string(drawn_.size()) + " draws, " +
                                std::to_string(tokens.size()) + " tokens, " +
                                std::to_string(logprobs.size()) + " log-probs and " +
                                std::to_string(sampling_logprobs.size()) + " sampling log-probs");
  }
  for (std::size_t i = 0; i < drawn_.size(); ++i) {
    Completion& completion = *drawn_[i];
    completion.tokens.push_back(tokens[i]);
    completion.logprobs.push_back(logprobs[i]);
    if (truncated > 0) completion.sampling_logprobs.push_back(sampling_logprobs[i]);
    if (!finished(completion)) continue;
    completion.stop_reason = stops(tokens[i]) ? StopReason::end_of_sequence : StopReason::length;
    ++statistics_.finished_completions;
    --unfinished_;
  }
  statistics_.sampled_tokens += static_cast<std::int64_t>(drawn_.size());
  for (ActiveGroup& group : active_) retire(group);
  just_finished_.clear();
  std::erase_if(active_, [&](const ActiveGroup& group) {
    const bool done = group.lined_up && group.waiting.empty() && group.running.empty();
    if (done) just_finished_.push_back(group.index);
    return done;
  });
}

// Frees the slots and pages of finished completions; lines up those that just got their first
// token.
void Scheduler::retire(ActiveGroup& group) {
  const std::vector<Completion>& completions = groups_[group.index].completions;
  const auto left = static_cast<std::int64_t>(std::erase_if(
      group.running, [&](const Sequence& s) { return finished(completions[s.index]); }));
  running_ -= left;
  if (!prefilled(group) || group.lined_up) return;
  group.lined_up = true;
  for (std::size_t i = completions.size(); i-- > 0;) {
    if (!finished(completions[i])) group.waiting.push_back(i);
  }
}

}  // namespace zeroth
