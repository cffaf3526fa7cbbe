// zeroth eval: how often a checkpoint is right, and how sure that is.

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <iostream>
#include <map>
#include <optional>

#include "datasets/problem_source.h"
#include "rl/evaluate.h"
#include "rl/prompt_lengths.h"
#include "rollout/local_engine.h"
#include "system/json.h"
#include "tools/chat_prompts.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/eval_baseline.h"
#include "tools/eval_completions.h"
#include "tools/eval_report.h"
#include "tools/loaded_policy.h"
#include "tools/model_directory.h"
#include "tools/named_rewards.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/reward_config.h"
#include "tools/stop.h"

namespace zeroth {
namespace {

// first, 4 first, 16 first, … below n, and n.
std::vector<std::int64_t> powers_to(std::int64_t first, std::int64_t n) {
  std::vector<std::int64_t> counts;
  for (std::int64_t k = first; k < n; k *= 4) counts.push_back(k);
  counts.push_back(n);
  return counts;
}

std::vector<std::int64_t> sorted(std::vector<std::int64_t> counts) {
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

EvaluationOptions options_of(const EvalConfig& config) {
  const std::int64_t n = config.num_generations;
  return {.num_generations = n,
          .max_completion_length = config.max_completion_length,
          .temperature = config.temperature,
          .seed = static_cast<std::uint64_t>(config.seed),
          .greedy = config.greedy,
          .top_k = config.top_k,
          .top_p = config.top_p,
          .min_p = config.min_p,
          .pass_at = config.pass_at.empty() ? powers_to(1, n) : sorted(config.pass_at),
          .majority_at = config.maj_at.empty() ? powers_to(4, n) : sorted(config.maj_at),
          .extraction = parse_extraction(config.answer_rules)};
}

// The value of a column of each problem, as text.
std::vector<std::string> values_of(const std::vector<Problem>& problems,
                                   const std::string& column) {
  std::vector<std::string> values;
  for (const Problem& problem : problems) {
    const JsonReader columns = JsonReader::parse(problem.columns_json, problem.id);
    if (!columns.has(column)) {
      std::string names;
      for (const std::string& name : columns.keys()) names += (names.empty() ? "" : ", ") + name;
      throw InputError({.source = "--group_by",
                        .field = "",
                        .expected = "a column that problem " + problem.id + " has (" +
                                    (names.empty() ? "it has none" : names) + ")",
                        .actual = column});
    }
    const boost::json::value& value = columns.child(column).value();
    values.push_back(value.is_string() ? std::string(value.get_string()) : write_json(value));
  }
  return values;
}

// Numbers by value, texts by their bytes, numbers first.
struct ByValue {
  bool operator()(const std::string& a, const std::string& b) const {
    const std::optional<double> x = number(a), y = number(b);
    if (x && y && *x != *y) return *x < *y;
    if (x.has_value() != y.has_value()) return x.has_value();
    return a < b;
  }
  static std::optional<double> number(const std::string& text) {
    double value = 0.0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    return error == std::errc() && rest == end && value == value ? std::optional(value)
                                                                 : std::nullopt;
  }
};

std::vector<EvaluatedGroup> groups_of(const std::vector<std::string>& values,
                                      const Evaluation& evaluation,
                                      const EvaluationOptions& options) {
  std::map<std::string, std::vector<EvaluatedProblem>, ByValue> problems;
  for (std::size_t p = 0; p < values.size(); ++p)
    problems[values[p]].push_back(evaluation.problems[p]);
  std::vector<EvaluatedGroup> groups;
  for (const auto& [value, members] : problems)
    groups.push_back({.value = value, .rates = rates_of(members, options)});
  return groups;
}

// Completions over both decodings, and how many tokens that is a second.
class EvalProgress {
 public:
  explicit EvalProgress(std::int64_t completions)
      : progress_(stderr_progress("eval", "completions", completions)) {}

  void update(const GenerationStatistics& now) {
    if (now.finished_completions < last_.finished_completions) {  // another decoding began
      completions_before_ += last_.num_completions;
      tokens_before_ += last_.sampled_tokens;
    }
    last_ = now;
    const double seconds = monotonic_seconds() - start_;
    const auto tokens = static_cast<double>(tokens_before_ + now.sampled_tokens);
    char note[48] = "";
    if (seconds > 0) std::snprintf(note, sizeof note, "%.0f tokens/s", tokens / seconds);
    progress_.update(completions_before_ + now.finished_completions, note);
  }
  void finish() { progress_.finish(); }

 private:
  Progress progress_;
  double start_ = monotonic_seconds();
  GenerationStatistics last_;
  std::int64_t completions_before_ = 0;
  std::int64_t tokens_before_ = 0;
};

// Scores by every reward, means of the samples' scores, and the file of completions.
class SampleSink {
 public:
  /// Tries the rewards on the problems' own answers.
  SampleSink(const EvalConfig& config, const std::vector<Problem>& problems)
      : names_(config.reward_funcs),
        on_error_(
            parse_reward_error_policy(config.reward_on_error, "configuration", "reward_on_error")
                .action),
        problems_(problems),
        output_(config.output) {
    rewards_ = make_rewards(names_, config, {}, {config.output});
    for (std::size_t r = 0; r < rewards_.size(); ++r) {
      try_on(*rewards_[r], problems);
      const std::string isolation = isolation_of(*rewards_[r], names_[r]);
      if (!isolation.empty()) std::cerr << "reward in a process: " << isolation << "\n";
    }
  }

  /// Creates the file of completions, where one is asked for.
  void begin() {
    if (!output_.empty()) file_.emplace(output_, problems_);
  }

  const Reward& right() const { return *rewards_[0]; }
  OnRewardError on_error() const { return on_error_; }

  void take(const EvaluatedSamples& samples) {
    std::vector<NamedScores> scored;
    for (std::size_t r = 0; r < rewards_.size(); ++r) {
      scored.push_back({names_[r], r == 0
                                       ? std::vector(samples.scores.begin(), samples.scores.end())
                                       : scores_by(*rewards_[r], samples.items)});
      if (!samples.greedy) means_.push_back({names_[r], mean_of(scored.back().scores)});
    }
    if (file_) file_->write(samples, scored);
  }

  std::vector<MeanReward> finish() {
    if (file_) file_->commit();
    return means_;
  }
  std::int64_t failures() const { return failures_; }  // of all rewards but the first

 private:
  std::vector<double> scores_by(const Reward& reward, std::span<const RewardItem> items) {
    std::vector<double> scores;
    for (const RewardOutcome& outcome : reward.judge(items, on_error_)) {
      scores.push_back(outcome.score);
      failures_ += is_failure(outcome.result) ? 1 : 0;
    }
    return scores;
  }

  // Over the items that have a score.
  static double mean_of(const std::vector<double>& scores) {
    double sum = 0.0, count = 0.0;
    for (const double score : scores) {
      if (std::isnan(score)) continue;
      sum += score;
      count += 1.0;
    }
    return count > 0.0 ? sum / count : 0.0;
  }

  std::vector<std::string> names_;
  OnRewardError on_error_;
  const std::vector<Problem>& problems_;
  std::string output_;
  std::vector<std::unique_ptr<Reward>> rewards_;
  std::optional<EvalCompletions> file_;
  std::vector<MeanReward> means_;
  std::int64_t failures_ = 0;
};

std::vector<Problem> problems_of(const EvalConfig& config) {
  std::vector<Problem> problems =
      load_problems(config.dataset_name, config.dataset_split, "test", config.columns,
                    static_cast<std::uint64_t>(config.seed));
  const auto limit = static_cast<std::size_t>(config.num_problems);
  if (limit > 0 && problems.size() > limit) problems.resize(limit);
  return problems;
}

int eval(const EvalConfig& config, const std::vector<Problem>& problems,
         const PromptTemplate& prompt_template, std::vector<std::string> group_of_problem,
         const std::optional<EvalBaseline>& baseline, SampleSink& sink) {
  const Compute compute(config);
  const LoadedPolicy policy(config.model_name_or_path, config.dtype, config.mla_prefix);
  check_prompt_lengths(config.dataset_name, problems, prompt_template, policy.tokenizer,
                       policy.config, config.max_completion_length);
  const auto completions = static_cast<std::int64_t>(problems.size()) *
                           (config.num_generations + (config.greedy ? 1 : 0));
  EvalProgress progress(completions);
  const StopRequest stop(0.0, monotonic_seconds);
  LocalEngine engine(compute.context(), policy.packed,
                     {.max_num_seqs = config.max_num_seqs,
                      .page_size = config.page_size,
                      .max_cache_bytes = config.max_cache_bytes,
                      .on_progress = [&](const GenerationStatistics& statistics) {
                        stop.check();
                        progress.update(statistics);
                      }});
  EvaluationOptions options = options_of(config);
  options.on_reward_error = sink.on_error();
  options.on_samples = [&](const EvaluatedSamples& samples) { sink.take(samples); };
  EvalReport report{.config = config,
                    .evaluation = {},
                    .group_of_problem = std::move(group_of_problem),
                    .groups = {},
                    .rewards = {},
                    .comparison = {},
                    .problems_sha256 = problems_sha256(problems),
                    .num_parameters = policy.weights.num_parameters()};
  sink.begin();
  try {
    report.evaluation =
        evaluate(engine, policy.tokenizer, prompt_template, problems, sink.right(), options);
  } catch (const Interrupted&) {
    progress.finish();
    std::cerr << "zeroth eval: " << stop.reason() << "; nothing was written\n";
    return kExitInterrupted;
  }
  progress.finish();
  report.groups = groups_of(report.group_of_problem, report.evaluation, options);
  if (baseline) report.comparison = baseline->compare(report.evaluation, options);
  report.rewards = sink.finish();
  const std::int64_t failures = report.evaluation.reward_failures + sink.failures();
  if (failures > 0) {
    std::cerr << "eval: rewards failed " << failures << " times on completions, which have "
              << "no score there; none of them counts as right\n";
  }
  std::cout << (config.json ? write_json(eval_json(report)) + "\n" : eval_table(report));
  return kExitDone;
}

}  // namespace

int run_eval(int argc, char** argv) {
  EvalConfig config;
  ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "eval",
               .summary = "pass@k, maj@k and greedy accuracy of a checkpoint, with 95 % intervals",
               .positional = "",
               .aliases = {{"n", "num_generations"}}});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  config.reward_config = read_reward_config(config.reward_config);
  settle_chat_date(config, options, {});
  std::vector<Problem> problems = problems_of(config);
  const PromptTemplate prompt_template =
      prompts_of_problems(config, config.model_name_or_path, {&problems});
  SampleSink sink(config, problems);
  std::vector<std::string> groups;
  if (!config.group_by.empty()) groups = values_of(problems, config.group_by);
  std::optional<EvalBaseline> baseline;
  if (!config.baseline.empty()) {
    baseline.emplace(config.baseline, config, problems);
    for (const std::string& setting : baseline->other_settings())
      std::cerr << "eval: " << config.baseline << " was sampled with " << setting << "\n";
  }
  if (options.dry_run) {
    std::cout << "would evaluate " << problems.size() << " problems, " << config.num_generations
              << " samples of each\n";
    return kExitDone;
  }
  return eval(config, problems, prompt_template, std::move(groups), baseline, sink);
}

}  // namespace zeroth
