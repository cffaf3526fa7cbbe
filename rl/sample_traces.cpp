#include "rl/sample_traces.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>

#include "datasets/order.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kTraceStream = 5;
constexpr std::int64_t kSamplesPerBlock = 512;
// Samples asked of the engine at once. Its last completions run with slots empty, which costs about
// half as many completions as there are slots: 1 or 2 % of this many.
constexpr std::int64_t kSamplesPerCall = 32768;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Which sample that is, for a reader.
std::string place_of(const Problem& problem, std::span<const SampledTrace> samples,
                     std::size_t sample) {
  return "problem " + problem.id + ", sample " + std::to_string(sample) + ", completion " +
         quoted_start(samples[sample].text);
}

// The completions of a group as text, without scores.
std::vector<SampledTrace> texts_of(const Tokenizer& tokenizer, const Group& group) {
  std::vector<SampledTrace> traces;
  for (const Completion& completion : group.completions) {
    traces.push_back({.tokens = completion.tokens,
                      .text = tokenizer.decode(completion.tokens, true),
                      .finished = completion.stop_reason == StopReason::end_of_sequence,
                      .rewards = {}});
  }
  return traces;
}

class Sampling {
 public:
  Sampling(Engine& engine, const Tokenizer& tokenizer, const PromptTemplate& prompt_template,
           const std::vector<Problem>& problems, const WeightedRewards& rewards,
           const SampleTracesOptions& options, TraceStore& store, const TraceStore* previous,
           const std::function<void(std::int64_t)>& on_block)
      : engine_(engine),
        tokenizer_(tokenizer),
        prompt_template_(prompt_template),
        problems_(problems),
        rewards_(rewards),
        options_(options),
        store_(store),
        previous_(previous),
        on_block_(on_block),
        order_(problems.size(), options.seed),
        per_block_(problems_per_block(options.num_generations)),
        wanted_(options.num_problems == 0
                    ? static_cast<std::int64_t>(problems.size())
                    : std::min(options.num_problems, static_cast<std::int64_t>(problems.size()))) {}

  SampledTraces run() {
    const auto start = Clock::now();
    const double store_before = store_.seconds();
    result_.problems = keep_whole_blocks();
    tell();
    score_again();
    const std::int64_t per_call =
        per_block_ *
        std::max<std::int64_t>(1, kSamplesPerCall / (per_block_ * options_.num_generations));
    while (result_.problems < wanted_)
      sample(result_.problems, std::min(wanted_, result_.problems + per_call));
    result_.problems = std::min(result_.problems, wanted_);
    store_.sync();
    result_.seconds = seconds_since(start);
    result_.store_seconds = store_.seconds() - store_before;
    return result_;
  }

 private:
  // Whether a store that has `problems` in whole blocks may go on with a block of `size`: a shorter
  // one can only be the last that is wanted.
  bool fits(std::int64_t problems, std::int64_t size) const {
    return size == per_block_ || (size < per_block_ && problems + size >= wanted_);
  }

  // Problems in the blocks that are as long as they have to be. What follows the last problem that
  // is wanted stays: another run may want it again.
  std::int64_t keep_whole_blocks() const {
    std::int64_t problems = 0;
    for (std::int64_t block = 0; problems < wanted_ && block < store_.num_blocks(); ++block) {
      if (!fits(problems, store_.num_problems(block))) {
        store_.truncate(block);
        break;
      }
      problems += store_.num_problems(block);
    }
    return problems;
  }

  void tell() const {
    if (on_block_) on_block_(std::min(result_.problems, wanted_));
  }

  // Takes what the previous store has and this one lacks, block by block.
  void score_again() {
    if (previous_ == nullptr) return;
    for (std::int64_t block = store_.num_blocks();
         result_.problems < wanted_ && block < previous_->num_blocks() &&
         fits(result_.problems, previous_->num_problems(block));
         ++block) {
      const auto start = Clock::now();
      std::vector<SampledProblem> problems = previous_->read(block);
      for (SampledProblem& sampled : problems) {
        const Problem& problem = problems_.at(static_cast<std::size_t>(sampled.problem));
        score(sampled, problem, prompt_template_.render(problem));
      }
      result_.scoring_seconds += seconds_since(start);
      store_.append(problems);
      result_.problems += std::ssize(problems);
      result_.scored_again += std::ssize(problems);
      tell();
    }
  }

  void score(SampledProblem& sampled, const Problem& problem, const std::string& prompt) {
    const std::vector<RewardFailure> failures =
        score_samples(sampled.samples, problem, prompt, rewards_, options_.max_completion_length);
    if (result_.reward_failures == 0 && !failures.empty()) {
      const RewardFailure& first = failures.front();
      result_.first_failure = RewardError(std::string(rewards_.names()[first.reward]), first.item,
                                          {.result = first.result, .message = first.message},
                                          place_of(problem, sampled.samples, first.item))
                                  .what();
    }
    result_.reward_failures += std::ssize(failures);
  }

  // Problems [begin, end) of the order, in one call of the engine.
  void sample(std::int64_t begin, std::int64_t end) {
    std::vector<GenerateRequest> requests;
    prompts_.clear();
    done_.clear();
    begin_ = begin;
    end_ = end;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::size_t index = order_.at(static_cast<std::uint64_t>(i));
      prompts_.push_back(prompt_template_.render(problems_[index]));
      requests.push_back({.prompt = tokenizer_.encode(prompts_.back()),
                          .num_generations = options_.num_generations,
                          .step = 0,
                          .problem = static_cast<std::uint32_t>(index)});
    }
    engine_.generate(requests,
                     {.temperature = options_.temperature,
                      .max_new_tokens = options_.max_completion_length,
                      .seed = options_.seed,
                      .stream = kTraceStream},
                     [&](std::size_t i, const Group& group) { take(i, requests[i], group); });
  }

  void take(std::size_t i, const GenerateRequest& request, const Group& group) {
    const auto start = Clock::now();
    const Problem& problem = problems_[request.problem];
    SampledProblem sampled{.problem = request.problem,
                           .id = problem.id,
                           .question = problem.question,
                           .answer = problem.answer,
                           .prompt = request.prompt,
                           .samples = texts_of(tokenizer_, group)};
    score(sampled, problem, prompts_[i]);
    for (const SampledTrace& trace : sampled.samples)
      result_.sampled_tokens += static_cast<std::int64_t>(trace.tokens.size());
    done_.emplace(begin_ + static_cast<std::int64_t>(i), std::move(sampled));
    result_.scoring_seconds += seconds_since(start);
    write_blocks();
  }

  // Groups finish out of order; blocks are written in order.
  void write_blocks() {
    while (result_.problems < end_) {
      const std::int64_t end = std::min(end_, result_.problems + per_block_);
      if (std::distance(done_.begin(), done_.lower_bound(end)) < end - result_.problems) return;
      std::vector<SampledProblem> block;
      for (std::int64_t i = result_.problems; i < end; ++i)
        block.push_back(std::move(done_.extract(i).mapped()));
      store_.append(block);
      result_.sampled_problems += end - result_.problems;
      result_.problems = end;
      tell();
    }
  }

  Engine& engine_;
  const Tokenizer& tokenizer_;
  const PromptTemplate& prompt_template_;
  const std::vector<Problem>& problems_;
  const WeightedRewards& rewards_;
  const SampleTracesOptions& options_;
  TraceStore& store_;
  const TraceStore* previous_;
  const std::function<void(std::int64_t)>& on_block_;
  ProblemOrder order_;
  std::int64_t per_block_, wanted_;
  std::int64_t begin_ = 0, end_ = 0;             // of the call, in the order
  std::vector<std::string> prompts_;             // of the call
  std::map<std::int64_t, SampledProblem> done_;  // not written yet, by place in the order
  SampledTraces result_;
};

}  // namespace

std::vector<RewardFailure> score_samples(std::span<SampledTrace> samples, const Problem& problem,
                                         const std::string& prompt, const WeightedRewards& rewards,
                                         std::int64_t max_completion_length) {
  std::vector<RewardItem> items;
  for (const SampledTrace& trace : samples) {
    items.push_back({.prompt = prompt,
                     .completion = trace.text,
                     .reference = problem.answer,
                     .columns_json = problem.columns_json,
                     .num_tokens = static_cast<std::int64_t>(trace.tokens.size()),
                     .max_tokens = max_completion_length,
                     .finish_reason = trace.finished ? FinishReason::stop : FinishReason::length,
                     .completion_ids = trace.tokens});
  }
  ScoredItems scores;
  try {
    scores = rewards.score(items);
  } catch (const RewardError& error) {
    throw RewardError(error.reward(), error.item(), error.outcome(),
                      place_of(problem, samples, error.item()));
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i].rewards.clear();
    for (const std::vector<double>& reward : scores.by_reward)
      samples[i].rewards.push_back(std::isnan(reward[i]) ? std::nullopt : std::optional(reward[i]));
    samples[i].scored = !std::isnan(scores.total[i]);
  }
  return std::move(scores.failures);
}

std::vector<SampledTrace> score_group(const Tokenizer& tokenizer, const Problem& problem,
                                      const std::string& prompt, const Group& group,
                                      const WeightedRewards& rewards,
                                      std::int64_t max_completion_length) {
  std::vector<SampledTrace> traces = texts_of(tokenizer, group);
  score_samples(traces, problem, prompt, rewards, max_completion_length);
  return traces;
}

std::int64_t problems_per_block(std::int64_t num_generations) {
  return std::max<std::int64_t>(1, kSamplesPerBlock / num_generations);
}

SampledTraces sample_traces(Engine& engine, const Tokenizer& tokenizer,
                            const PromptTemplate& prompt_template,
                            const std::vector<Problem>& problems, const WeightedRewards& rewards,
                            const SampleTracesOptions& options, TraceStore& store,
                            const TraceStore* previous,
                            const std::function<void(std::int64_t)>& on_block) {
  if (problems.empty() || options.num_generations < 1 || options.num_problems < 0)
    throw std::invalid_argument("sample_traces: needs a problem and a sample of it");
  return Sampling(engine, tokenizer, prompt_template, problems, rewards, options, store, previous,
                  on_block)
      .run();
}

}  // namespace zeroth
