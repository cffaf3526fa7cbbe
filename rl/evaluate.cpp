#include "rl/evaluate.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "rewards/answer_extraction.h"
#include "rewards/format_reward.h"
#include "rewards/math_reward.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kEvaluationStream = 2;

// Every completion of every problem as text, and whether it is right.
struct Scored {
  std::vector<std::string> texts;
  std::vector<double> right;  // 1 or 0
  std::int64_t tokens = 0;
  std::int64_t failures = 0;  // of the reward
};

Scored generate(Engine& engine, const Tokenizer& tokenizer,
                std::span<const GenerateRequest> requests, std::span<const std::string> prompts,
                std::span<const Problem> problems, const Reward& right,
                const SamplingParams& sampling, OnRewardError on_error) {
  const std::vector<Group> groups = engine.generate(requests, sampling);
  Scored out;
  std::vector<std::int64_t> lengths;
  for (const Group& group : groups) {
    for (const Completion& completion : group.completions) {
      out.texts.push_back(tokenizer.decode(completion.tokens, true));
      lengths.push_back(static_cast<std::int64_t>(completion.tokens.size()));
      out.tokens += lengths.back();
    }
  }
  std::vector<RewardItem> items;
  std::size_t i = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const Completion& completion : groups[g].completions) {
      items.push_back({.prompt = prompts[g],
                       .completion = out.texts[i],
                       .reference = problems[g].answer,
                       .columns_json = problems[g].columns_json,
                       .num_tokens = lengths[i],
                       .max_tokens = sampling.max_new_tokens,
                       .finish_reason = completion.stop_reason == StopReason::length
                                            ? FinishReason::length
                                            : FinishReason::stop,
                       .completion_ids = completion.tokens});
      ++i;
    }
  }
  for (const RewardOutcome& outcome : right.judge(items, on_error)) {
    out.right.push_back(outcome.score > 0.5 ? 1.0 : 0.0);
    out.failures += is_failure(outcome.result) ? 1 : 0;
  }
  return out;
}

bool majority_is_right(std::span<const std::string> texts, std::span<const double> right) {
  std::vector<std::string> answers;
  for (const std::string& text : texts) {
    const auto extraction = extract_answer(text, {});
    answers.push_back(extraction ? normalized_answer(extraction->text) : "");
  }
  const auto winner = majority_vote(answers);
  if (!winner) return false;
  // The answer is right if any completion that gave it in the right form was.
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i] == answers[*winner] && right[i] == 1.0) return true;
  }
  return false;
}

}  // namespace

Evaluation evaluate(Engine& engine, const Tokenizer& tokenizer,
                    const PromptTemplate& prompt_template, std::span<const Problem> problems,
                    const Reward& right, const EvaluationOptions& options) {
  if (problems.empty()) throw std::invalid_argument("evaluate: no problems");
  const auto start = std::chrono::steady_clock::now();
  std::vector<GenerateRequest> requests;
  std::vector<std::string> prompts;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    prompts.push_back(prompt_template.render(problems[i].question));
    requests.push_back({.prompt = tokenizer.encode(prompts.back()),
                        .num_generations = options.num_generations,
                        .step = 0,
                        .problem = static_cast<std::uint32_t>(i)});
  }
  SamplingParams sampling{.temperature = options.temperature,
                          .max_new_tokens = options.max_completion_length,
                          .seed = options.seed,
                          .stream = kEvaluationStream};
  const Scored samples = generate(engine, tokenizer, requests, prompts, problems, right, sampling,
                                  options.on_reward_error);

  Evaluation result;
  result.num_problems = static_cast<std::int64_t>(problems.size());
  result.num_generations = options.num_generations;
  result.majority_generations = std::min(options.num_generations, options.majority_generations);
  const auto n = static_cast<std::size_t>(options.num_generations);
  const auto voters = static_cast<std::size_t>(result.majority_generations);
  std::int64_t formatted = 0;
  for (std::size_t p = 0; p < problems.size(); ++p) {
    const auto texts = std::span(samples.texts).subspan(p * n, n);
    const auto scores = std::span(samples.right).subspan(p * n, n);
    double sum = 0.0;
    for (const double score : scores) sum += score;
    result.right_shares.push_back(sum / static_cast<double>(n));
    result.pass_at_n += sum > 0.0 ? 1.0 : 0.0;
    result.majority += majority_is_right(texts.first(voters), scores.first(voters)) ? 1.0 : 0.0;
    for (const std::string& text : texts) formatted += follows_format(text) ? 1 : 0;
  }
  result.pass_at_1 = bootstrap_mean(result.right_shares, options.seed);
  result.sampled_tokens = samples.tokens;
  result.reward_failures = samples.failures;
  const auto count = static_cast<double>(problems.size());
  result.pass_at_n /= count;
  result.majority /= count;
  result.format_rate = static_cast<double>(formatted) / static_cast<double>(samples.texts.size());
  result.mean_length =
      static_cast<double>(samples.tokens) / static_cast<double>(samples.texts.size());
  if (options.greedy) {
    for (GenerateRequest& request : requests) request.num_generations = 1;
    sampling.temperature = 0.0;
    const Scored greedy = generate(engine, tokenizer, requests, prompts, problems, right, sampling,
                                   options.on_reward_error);
    for (const double score : greedy.right) result.greedy += score / count;
    result.sampled_tokens += greedy.tokens;
    result.reward_failures += greedy.failures;
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace zeroth
