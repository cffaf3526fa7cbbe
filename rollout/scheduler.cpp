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
    if (!fits(i, 0, 0)) {
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

// Whether the request's prompt and one completion find room beside what is reserved.
bool Scheduler::fits(std::size_t request, std::int64_t reserved,
                     std::int64_t reserved_prompts) const {
  const std::int64_t pages = prompt_pages(request);
  if (!config_.num_prompt_pages) return reserved + pages + completion_pages_ <= config_.num_pages;
  return reserved_prompts + pages <= *config_.num_prompt_pages &&
         reserved + completion_pages_ <= config_.num_pages;
}

void Scheduler::reserve_prompt(std::int64_t pages) {
  (config_.num_prompt_pages ? reserved_prompt_pages_ : reserved_pages_) += pages;
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
  experts_of_member_.clear();
  start_waiting();
  admit_groups();
  std::int64_t prefill_budget =
      config_.prefill_chunk > 0 ? config_.prefill_chunk : std::numeric_limits<std::int64_t>::max();
  for (ActiveGroup& group : active_) {
    if (group.prefilled) {
      append_decode(group, batch, draws);
    } else {
      append_prefill(group, prefill_budget, batch, draws);
    }
  }
  if (batch.size() > 0) ++statistics_.forward_passes;
  return batch.size() > 0;
}

void Scheduler::start_waiting() {
  for (ActiveGroup& group : active_) {
    while (!group.waiting.empty() && running_ < config_.max_num_seqs &&
           reserved_pages_ + completion_pages_ <= config_.num_pages) {
      group.running.push_back({.index = group.waiting.back(), .pages = PageList(pages_)});
      group.waiting.pop_back();
      ++running_;
      reserved_pages_ += completion_pages_;
    }
  }
}

void Scheduler::admit_groups() {
  while (next_request_ < requests_.size() && unfinished_ < config_.max_num_seqs) {
    if (!fits(next_request_, reserved_pages_, reserved_prompt_pages_)) return;
    PageAllocator& pages = config_.num_prompt_pages ? prompt_pages_ : pages_;
    active_.push_back(
        {.index = next_request_, .prompt = PageList(pages), .waiting = {}, .running = {}});
    reserve_prompt(prompt_pages(next_request_));
    unfinished_ += requests_[next_request_].num_generations;
    ++next_request_;
  }
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

void Scheduler::append_prefill(ActiveGroup& group, std::int64_t& budget, ForwardBatch& batch,
                               std::vector<Draw>& draws) {
  const GenerateRequest& request = requests_[group.index];
  const std::int64_t before = group.prompt.size();
  const std::int64_t count = std::min(budget, length(request) - before);
  if (count == 0) return;
  budget -= count;
  group.prompt.append(count);
  const AttentionMember member{.first_query = batch.size(),
                               .num_queries = count,
                               .first_run = static_cast<std::int64_t>(batch.runs.size()),
                               .num_runs = 0,
                               .own_before = before};
  group.prompt.append_runs(batch.runs, group.prompt.size());
  batch.groups.push_back(
      {.first_member = static_cast<std::int64_t>(batch.members.size()), .num_members = 1});
  batch.members.push_back(member);
  batch.members.back().num_runs = static_cast<std::int64_t>(batch.runs.size()) - member.first_run;
  experts_of_member_.push_back(&groups_[group.index].prompt_experts);
  for (std::int64_t i = before; i < before + count; ++i) {
    batch.tokens.push_back(request.prompt[static_cast<std::size_t>(i)]);
    batch.positions.push_back(static_cast<std::int32_t>(i));
    batch.cache_rows.push_back(group.prompt.row_of(i));
  }
  statistics_.prompt_tokens += count;
  if (group.prompt.size() < length(request)) return;
  group.prefilled = true;
  for (std::size_t i = 0; i < groups_[group.index].completions.size(); ++i) {
    draw(group, i, batch.size() - 1, draws);
  }
}

void Scheduler::append_decode(ActiveGroup& group, ForwardBatch& batch, std::vector<Draw>& draws) {
  if (group.running.empty()) return;
  const auto first_run = static_cast<std::int64_t>(batch.runs.size());
  group.prompt.append_runs(batch.runs, group.prompt.size());
  batch.groups.push_back({.first_run = first_run,
                          .num_runs = static_cast<std::int64_t>(batch.runs.size()) - first_run,
                          .prefix_length = group.prompt.size(),
                          .first_member = static_cast<std::int64_t>(batch.members.size()),
                          .num_members = static_cast<std::int64_t>(group.running.size())});
  for (Sequence& sequence : group.running) {
    Completion& completion = groups_[group.index].completions[sequence.index];
    const std::int64_t before = sequence.pages.size();
    sequence.pages.append(1);
    const auto own_run = static_cast<std::int64_t>(batch.runs.size());
    sequence.pages.append_runs(batch.runs, before + 1);
    batch.members.push_back({.first_query = batch.size(),
                             .num_queries = 1,
                             .first_run = own_run,
                             .num_runs = static_cast<std::int64_t>(batch.runs.size()) - own_run,
                             .own_before = before});
    experts_of_member_.push_back(&completion.experts);
    draw(group, sequence.index, batch.size(), draws);
    batch.tokens.push_back(completion.tokens.back());
    batch.positions.push_back(static_cast<std::int32_t>(group.prompt.size() + before));
    batch.cache_rows.push_back(sequence.pages.row_of(before));
  }
}

void Scheduler::record_experts(const ForwardBatch& batch,
                               const std::vector<std::vector<std::int32_t>>& experts) {
  for (std::size_t m = 0; m < batch.members.size(); ++m) {
    const AttentionMember& member = batch.members[m];
    for (std::int64_t t = member.first_query; t < member.first_query + member.num_queries; ++t) {
      for (const std::vector<std::int32_t>& layer : experts) {
        const std::int64_t K = static_cast<std::int64_t>(layer.size()) / batch.size();
        for (std::int64_t k = t * K; k < (t + 1) * K; ++k) {
          experts_of_member_[m]->push_back(
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
    const bool done = group.prefilled && group.waiting.empty() && group.running.empty();
    if (!done) return false;
    reserve_prompt(-prompt_pages(group.index));
    just_finished_.push_back(group.index);
    return true;
  });
}

// Frees the slots and pages of finished completions; lines up those that just got their first
// token.
void Scheduler::retire(ActiveGroup& group) {
  const std::vector<Completion>& completions = groups_[group.index].completions;
  const auto left = static_cast<std::int64_t>(std::erase_if(
      group.running, [&](const Sequence& s) { return finished(completions[s.index]); }));
  running_ -= left;
  reserved_pages_ -= left * completion_pages_;
  if (!group.prefilled || group.lined_up) return;
  group.lined_up = true;
  for (std::size_t i = completions.size(); i-- > 0;) {
    if (!finished(completions[i])) group.waiting.push_back(i);
  }
}

}  // namespace zeroth
