#include "tools/eval_baseline.h"

#include <boost/json.hpp>
#include <charconv>

#include "system/error.h"
#include "system/json.h"
#include "tools/reward_config.h"

namespace zeroth {
namespace {

constexpr std::string_view kMajority = "maj_at_";

// The k of "maj_at_4"; nullopt for any other key.
std::optional<std::int64_t> majority_of(const std::string& key) {
  if (!key.starts_with(kMajority)) return std::nullopt;
  std::int64_t k = 0;
  const char* end = key.data() + key.size();
  const auto [rest, error] = std::from_chars(key.data() + kMajority.size(), end, k);
  return error == std::errc() && rest == end ? std::optional(k) : std::nullopt;
}

// The settings that decide which completions are drawn, but for the seed.
boost::json::object sampling_settings(const EvalConfig& config) {
  boost::json::object settings = {{"prompt_template", config.prompt_template},
                                  {"max_completion_length", config.max_completion_length},
                                  {"temperature", config.temperature},
                                  {"top_k", config.top_k},
                                  {"top_p", config.top_p},
                                  {"min_p", config.min_p}};
  if (config.has_chat_prompts()) {
    settings["chat_template_kwargs"] = config.chat_template_kwargs;
    settings["chat_date"] = config.chat_date;
  }
  return settings;
}

void require_same_problems(const JsonReader& json, const std::vector<Problem>& problems) {
  const std::string here = problems_sha256(problems);
  if (json.get_string("problems_sha256") != here) {
    json.fail("problems_sha256", here +
                                     ", as the problems here have: the same data, split, columns, "
                                     "num_problems and, of a generator, seed");
  }
  const std::size_t count = json.child("per_problem").elements().size();
  if (count == problems.size()) return;
  throw InputError({.source = json.source(),
                    .field = "per_problem",
                    .expected = std::to_string(problems.size()) + " problems",
                    .actual = std::to_string(count)});
}

void require_same_reward(const JsonReader& json, const EvalConfig& config) {
  const std::string& here = config.reward_funcs[0];
  const std::vector<JsonReader> rewards = json.child("reward_funcs").elements();
  if (rewards.empty()) json.fail("reward_funcs", "the names of its rewards");
  if (rewards[0].as_string() != here)
    rewards[0].fail(here + ", by which a completion is right here");
  const std::string rules = json.get_string("answer_rules", NamedRewardOptions{}.answer_rules);
  if (rules != config.answer_rules) {
    json.fail("answer_rules", config.answer_rules + ", by which answers are found here");
  }
  const std::string parameters = json.get_string("reward_config", "");
  if (parameters_of(parameters, here) != parameters_of(config.reward_config, here)) {
    json.fail("reward_config", "the parameters that " + here +
                                   " has here: " + parameters_of(config.reward_config, here));
  }
}

}  // namespace

EvalBaseline::EvalBaseline(const std::filesystem::path& file, const EvalConfig& config,
                           const std::vector<Problem>& problems)
    : file_(file.string()) {
  const JsonReader json = JsonReader::read(file);
  require_same_problems(json, problems);
  require_same_reward(json, config);
  for (const auto& [key, here] : sampling_settings(config)) {
    const bool same = here.is_string() ? json.get_string(key) == here.get_string()
                                       : json.get_double(key) == here.to_number<double>();
    if (same) continue;
    other_settings_.push_back(std::string(key) + " " + write_json(json.child(key).value()) +
                              ", here " + write_json(here));
  }
  model_ = json.get_string("model_name_or_path");
  num_generations_ = json.get_int64("num_generations");
  for (const JsonReader& problem : json.child("per_problem").elements()) {
    Result& result = results_.emplace_back();
    result.num_right = problem.get_int64("right");
    if (result.num_right < 0 || result.num_right > num_generations_)
      problem.fail("right", "0 to num_generations (" + std::to_string(num_generations_) + ")");
    if (problem.has("greedy")) result.greedy = problem.get_bool("greedy");
    for (const std::string& key : problem.keys()) {
      if (const auto k = majority_of(key)) result.majority_at[*k] = problem.get_double(key);
    }
  }
}

Comparison EvalBaseline::compare(const Evaluation& evaluation,
                                 const EvaluationOptions& options) const {
  Comparison comparison{.file = file_, .model = model_, .differences = {}};
  // `ours` and `theirs` of every problem; theirs is nullopt where the file does not have it.
  const auto add = [&](const std::string& key, const std::string& label, const auto& ours,
                       const auto& theirs) {
    std::vector<double> a, b;
    for (std::size_t p = 0; p < results_.size(); ++p) {
      const std::optional<double> value = theirs(results_[p]);
      if (!value) return;
      a.push_back(ours(evaluation.problems[p]));
      b.push_back(*value);
    }
    comparison.differences.push_back(
        {.key = key, .label = label, .rate = paired_difference(a, b, options.seed)});
  };
  for (const std::int64_t k : options.pass_at) {
    if (k > num_generations_) continue;
    add(
        "pass_at_" + std::to_string(k), "pass@" + std::to_string(k),
        [&](const EvaluatedProblem& problem) {
          return pass_at_k(options.num_generations, problem.num_right, k);
        },
        [&](const Result& result) {
          return std::optional(pass_at_k(num_generations_, result.num_right, k));
        });
  }
  for (std::size_t i = 0; i < options.majority_at.size(); ++i) {
    const std::int64_t k = options.majority_at[i];
    add(
        std::string(kMajority) + std::to_string(k), "maj@" + std::to_string(k),
        [&](const EvaluatedProblem& problem) { return problem.majority_at[i]; },
        [&](const Result& result) {
          const auto found = result.majority_at.find(k);
          return found == result.majority_at.end() ? std::nullopt : std::optional(found->second);
        });
  }
  if (options.greedy) {
    add(
        "greedy", "greedy", [](const EvaluatedProblem& problem) { return problem.greedy; },
        [](const Result& result) {
          return result.greedy ? std::optional(*result.greedy ? 1.0 : 0.0) : std::nullopt;
        });
  }
  return comparison;
}

}  // namespace zeroth
