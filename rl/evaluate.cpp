#include "rl/evaluate.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "rewards/answers/answer_extraction.h"
#include "rewards/rules/format_reward.h"
#include "rewards/rules/math_reward.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kEvaluationStream = 2;

// Every completion of every problem as text, and whether it is right.
struct Scored {
  std::vector<std::string> texts;
  std::vector<std::int64_t> lengths;
  std::vector<double> right;  // 1 or 0
  std::int64_t tokens = 0;
  std::int64_t failures = 0;  // of the reward
};

Scored generate(Engine& engine, const Tokenizer& tokenizer,
                std::span<const GenerateRequest> requests, std::span<const std::string> prompts,
                std::span<const Problem> problems, const Reward& right,
                const SamplingParams& sampling, const EvaluationOptions& options) {
  const std::vector<Group> groups = engine.generate(requests, sampling);
  Scored out;
  for (const Group& group : groups) {
    for (const Completion& completion : group.completions) {
      out.texts.push_back(tokenizer.decode(completion.tokens, true));
      out.lengths.push_back(static_cast<std::int64_t>(completion.tokens.size()));
      out.tokens += out.lengths.back();
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
                       .num_tokens = out.lengths[i],
                       .max_tokens = sampling.max_new_tokens,
                       .finish_reason = completion.stop_reason == StopReason::length
                                            ? FinishReason::length
                                            : FinishReason::stop,
                       .completion_ids = completion.tokens});
      ++i;
    }
  }
  const std::vector<RewardOutcome> outcomes = [&] {
    try {
      return right.judge(items, options.on_reward_error);
    } catch (const RewardError& error) {
      const auto n = static_cast<std::size_t>(requests[0].num_generations);
      throw RewardError(
          error.reward(), error.item(), error.outcome(),
          options.place + " problem " + problems[error.item() / n].id + ", " +
              (sampling.temperature == 0.0 ? "greedy"
                                           : "sample " + std::to_string(error.item() % n)) +
              ", completion " + quoted_start(items[error.item()].completion));
    }
  }();
  std::vector<double> scores;
  for (const RewardOutcome& outcome : outcomes) {
    scores.push_back(outcome.score);
    out.right.push_back(outcome.score > 0.5 ? 1.0 : 0.0);
    out.failures += is_failure(outcome.result) ? 1 : 0;
  }
  if (options.on_samples) {
    options.on_samples({.items = items,
                        .scores = scores,
                        .num_generations = requests[0].num_generations,
                        .greedy = sampling.temperature == 0.0});
  }
  return out;
}

std::vector<std::string> answers_of(std::span<const std::string> texts,
                                    const ExtractionConfig& extraction_rules) {
  std::vector<std::string> answers;
  for (const std::string& text : texts) {
    const auto extraction = extract_answer(text, extraction_rules);
    answers.push_back(extraction ? normalized_answer(extraction->text) : "");
  }
  return answers;
}

void check(std::span<const Problem> problems, const EvaluationOptions& options) {
  if (problems.empty()) throw std::invalid_argument("evaluate: no problems");
  for (const auto& counts : {options.pass_at, options.majority_at}) {
    for (const std::int64_t k : counts) {
      if (k >= 1 && k <= options.num_generations) continue;
      throw std::invalid_argument("evaluate: k of " + std::to_string(k) + " with " +
                                  std::to_string(options.num_generations) + " samples");
    }
  }
}

// The mean of `value` over the problems.
template <class Value>
MeanInterval mean_of(std::span<const EvaluatedProblem> problems, std::uint64_t seed,
                     const Value& value) {
  std::vector<double> values;
  for (const EvaluatedProblem& problem : problems) values.push_back(value(problem));
  return bootstrap_mean(values, seed);
}

}  // namespace

EvaluationRates rates_of(std::span<const EvaluatedProblem> problems,
                         const EvaluationOptions& options) {
  const auto mean = [&](const auto& value) { return mean_of(problems, options.seed, value); };
  EvaluationRates rates;
  rates.num_problems = static_cast<std::int64_t>(problems.size());
  for (const std::int64_t k : options.pass_at) {
    rates.pass_at.push_back({k, mean([&](const EvaluatedProblem& problem) {
                               return pass_at_k(options.num_generations, problem.num_right, k);
                             })});
  }
  for (std::size_t i = 0; i < options.majority_at.size(); ++i) {
    rates.majority_at.push_back({options.majority_at[i], mean([&](const EvaluatedProblem& problem) {
                                   return problem.majority_at.at(i);
                                 })});
  }
  rates.greedy = mean([](const EvaluatedProblem& problem) { return problem.greedy; });
  rates.format_rate = mean([](const EvaluatedProblem& problem) { return problem.format_rate; });
  rates.mean_length = mean([](const EvaluatedProblem& problem) { return problem.mean_length; });
  return rates;
}

Evaluation evaluate(Engine& engine, const Tokenizer& tokenizer,
                    const PromptTemplate& prompt_template, std::span<const Problem> problems,
                    const Reward& right, const EvaluationOptions& options) {
  check(problems, options);
  const auto start = std::chrono::steady_clock::now();
  std::vector<GenerateRequest> requests;
  std::vector<std::string> prompts;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    prompts.push_back(prompt_template.render(problems[i]));
    requests.push_back({.prompt = tokenizer.encode(prompts.back()),
                        .num_generations = options.num_generations,
                        .step = 0,
                        .problem = static_cast<std::uint32_t>(i)});
  }
  SamplingParams sampling{.temperature = options.temperature,
                          .max_new_tokens = options.max_completion_length,
                          .seed = options.seed,
                          .stream = kEvaluationStream,
                          .top_k = options.top_k,
                          .top_p = options.top_p,
                          .min_p = options.min_p};
  const Scored samples =
      generate(engine, tokenizer, requests, prompts, problems, right, sampling, options);

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
    const std::vector<std::string> answers = answers_of(texts, options.extraction);
    double sum = 0.0;
    for (const double score : scores) sum += score;
    result.right_shares.push_back(sum / static_cast<double>(n));
    result.pass_at_n += sum > 0.0 ? 1.0 : 0.0;
    result.majority +=
        majority_is_right(std::span(answers).first(voters), scores.first(voters)) ? 1.0 : 0.0;
    std::int64_t formatted_here = 0, tokens = 0;
    for (const std::string& text : texts) formatted_here += follows_format(text) ? 1 : 0;
    for (const std::int64_t length : std::span(samples.lengths).subspan(p * n, n)) tokens += length;
    formatted += formatted_here;
    EvaluatedProblem& problem = result.problems.emplace_back();
    problem.id = problems[p].id;
    problem.num_right = static_cast<std::int64_t>(sum);
    problem.format_rate = static_cast<double>(formatted_here) / static_cast<double>(n);
    problem.mean_length = static_cast<double>(tokens) / static_cast<double>(n);
    for (const std::int64_t k : options.majority_at)
      problem.majority_at.push_back(majority_at_k(answers, scores, k));
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
    const Scored greedy =
        generate(engine, tokenizer, requests, prompts, problems, right, sampling, options);
    for (std::size_t p = 0; p < problems.size(); ++p) {
      result.problems[p].greedy = greedy.right[p];
      result.greedy += greedy.right[p];
    }
    result.greedy /= count;
    result.sampled_tokens += greedy.tokens;
    result.reward_failures += greedy.failures;
  }
  result.rates = rates_of(result.problems, options);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace zeroth
