#include "rl/sample_traces.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
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

class Sampling {
 public:
  Sampling(Engine& engine, const Tokenizer& tokenizer, const PromptTemplate& prompt_template,
           const std::vector<Problem>& problems, const WeightedRewards& rewards,
           const SampleTracesOptions& options, TraceStore& store,
           const std::function<void(std::int64_t)>& on_block)
      : engine_(engine),
        tokenizer_(tokenizer),
        prompt_template_(prompt_template),
        problems_(problems),
        rewards_(rewards),
        options_(options),
        store_(store),
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
    if (on_block_) on_block_(result_.problems);
    const std::int64_t per_call =
        per_block_ *
        std::max<std::int64_t>(1, kSamplesPerCall / (per_block_ * options_.num_generations));
    while (result_.problems < wanted_)
      sample(result_.problems, std::min(wanted_, result_.problems + per_call));
    store_.sync();
    result_.seconds = seconds_since(start);
    result_.store_seconds = store_.seconds() - store_before;
    return result_;
  }

 private:
  std::int64_t block_size(std::int64_t block) const {
    return std::clamp<std::int64_t>(wanted_ - block * per_block_, 0, per_block_);
  }

  // Problems in the blocks that are as long as they have to be.
  std::int64_t keep_whole_blocks() const {
    std::int64_t block = 0;
    std::int64_t problems = 0;
    while (block < store_.num_blocks() && block_size(block) > 0 &&
           store_.num_problems(block) == block_size(block)) {
      problems += block_size(block++);
    }
    store_.truncate(block);
    return problems;
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
      prompts_.push_back(prompt_template_.render(problems_[index].question));
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
                           .samples = score_group(tokenizer_, problem, prompts_[i], group, rewards_,
                                                  options_.max_completion_length)};
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
      if (on_block_) on_block_(result_.problems);
    }
  }

  Engine& engine_;
  const Tokenizer& tokenizer_;
  const PromptTemplate& prompt_template_;
  const std::vector<Problem>& problems_;
  const WeightedRewards& rewards_;
  const SampleTracesOptions& options_;
  TraceStore& store_;
  const std::function<void(std::int64_t)>& on_block_;
  ProblemOrder order_;
  std::int64_t per_block_, wanted_;
  std::int64_t begin_ = 0, end_ = 0;             // of the call, in the order
  std::vector<std::string> prompts_;             // of the call
  std::map<std::int64_t, SampledProblem> done_;  // not written yet, by place in the order
  SampledTraces result_;
};

}  // namespace

std::vector<SampledTrace> score_group(const Tokenizer& tokenizer, const Problem& problem,
                                      const std::string& prompt, const Group& group,
                                      const WeightedRewards& rewards,
                                      std::int64_t max_completion_length) {
  std::vector<SampledTrace> traces;
  for (const Completion& completion : group.completions) {
    traces.push_back({.tokens = completion.tokens,
                      .text = tokenizer.decode(completion.tokens, true),
                      .finished = completion.stop_reason == StopReason::end_of_sequence,
                      .rewards = {}});
  }
  std::vector<RewardItem> items;
  for (const SampledTrace& trace : traces) {
    items.push_back({.prompt = prompt,
                     .completion = trace.text,
                     .reference = problem.answer,
                     .columns_json = problem.columns_json,
                     .num_tokens = static_cast<std::int64_t>(trace.tokens.size()),
                     .max_tokens = max_completion_length,
                     .finish_reason = trace.finished ? FinishReason::stop : FinishReason::length});
  }
  const ScoredItems scores = rewards.score(items);
  for (std::size_t i = 0; i < traces.size(); ++i) {
    for (const std::vector<double>& reward : scores.by_reward)
      traces[i].rewards.push_back(reward[i]);
  }
  return traces;
}

std::int64_t problems_per_block(std::int64_t num_generations) {
  return std::max<std::int64_t>(1, kSamplesPerBlock / num_generations);
}

SampledTraces sample_traces(Engine& engine, const Tokenizer& tokenizer,
                            const PromptTemplate& prompt_template,
                            const std::vector<Problem>& problems, const WeightedRewards& rewards,
                            const SampleTracesOptions& options, TraceStore& store,
                            const std::function<void(std::int64_t)>& on_block) {
  if (problems.empty() || options.num_generations < 1 || options.num_problems < 0)
    throw std::invalid_argument("sample_traces: needs a problem and a sample of it");
  return Sampling(engine, tokenizer, prompt_template, problems, rewards, options, store, on_block)
      .run();
}

}  // namespace zeroth
