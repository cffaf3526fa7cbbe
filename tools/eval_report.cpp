#include "tools/eval_report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

// `text` and spaces up to `width` characters; a UTF-8 character counts once.
std::string padded(const std::string& text, std::size_t width) {
  const auto characters =
      static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
      }));
  return text + std::string(characters < width ? width - characters : 0, ' ');
}

std::string count_of(std::int64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

// "    97.8 %        97.2 – 98.2"; a difference is signed and in points, which are not per cent of
// it.
std::string rate_columns(const NamedRate& named, bool difference) {
  const double scale = named.is_share ? 100.0 : 1.0;
  const char* pattern = difference ? "%+8.1f %-8s %+6.1f – %+.1f" : "%8.1f %-8s %6.1f – %.1f";
  const char* unit = !named.is_share ? "tokens" : difference ? "points" : "%";
  return format(pattern, scale * named.rate.mean, unit, scale * named.rate.low,
                scale * named.rate.high);
}

std::string rows_of(const std::vector<NamedRate>& rates, bool difference) {
  std::string text;
  for (const NamedRate& named : rates)
    text += padded(named.label, 16) + rate_columns(named, difference) + "\n";
  return text;
}

std::string title(const EvalReport& report) {
  const EvalConfig& config = report.config;
  std::string text = config.model_name_or_path + " on " + config.dataset_name;
  if (!config.dataset_split.empty()) text += " (" + config.dataset_split + ")";
  text += ": " + count_of(report.evaluation.num_problems, "problem") + ", " +
          count_of(config.num_generations, "sample") + " of each at temperature " +
          format("%g", config.temperature);
  if (config.top_k > 0) text += ", top_k " + std::to_string(config.top_k);
  if (config.top_p < 1.0) text += format(", top_p %g", config.top_p);
  if (config.min_p > 0.0) text += format(", min_p %g", config.min_p);
  return text + "\n\n";
}

// One row a group: pass@1 with its interval, then the largest k of the others.
std::string group_table(const EvalReport& report) {
  std::size_t width = report.config.group_by.size();
  for (const EvaluatedGroup& group : report.groups) width = std::max(width, group.value.size());
  width = std::min<std::size_t>(width, 40) + 2;
  std::string text = padded(report.config.group_by, width) + "problems";
  const auto is_shown = [&](std::size_t i, const std::vector<NamedRate>& rates) {
    const bool last_of_its_kind =
        i + 1 == rates.size() || rates[i].label.substr(0, 4) != rates[i + 1].label.substr(0, 4);
    return i == 0 || last_of_its_kind;
  };
  const auto header = named_rates(report.groups[0].rates, report.config.greedy);
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (is_shown(i, header)) text += format("%10s", header[i].label.c_str());
    if (i == 0) text += "  95 % interval";
  }
  text += "\n";
  for (const EvaluatedGroup& group : report.groups) {
    text += padded(group.value, width) +
            format("%8lld", static_cast<long long>(group.rates.num_problems));
    const auto rates = named_rates(group.rates, report.config.greedy);
    for (std::size_t i = 0; i < rates.size(); ++i) {
      const double scale = rates[i].is_share ? 100.0 : 1.0;
      if (is_shown(i, rates))
        text += format(rates[i].is_share ? "%8.1f %%" : "%10.1f", scale * rates[i].rate.mean);
      if (i == 0)
        text += format("  %5.1f – %5.1f", 100 * rates[i].rate.low, 100 * rates[i].rate.high);
    }
    text += "\n";
  }
  return text + "\n";
}

boost::json::array interval_of(const MeanInterval& rate) {
  return {rate.low, rate.high};
}

void add_rates(boost::json::object& json, const std::vector<NamedRate>& rates) {
  boost::json::object intervals;
  for (const NamedRate& named : rates) {
    json[named.key] = named.rate.mean;
    intervals[named.key] = interval_of(named.rate);
  }
  json["intervals"] = std::move(intervals);
}

boost::json::array groups_json(const EvalReport& report) {
  boost::json::array groups;
  for (const EvaluatedGroup& group : report.groups) {
    boost::json::object json{{"value", group.value}, {"problems", group.rates.num_problems}};
    add_rates(json, named_rates(group.rates, report.config.greedy));
    groups.push_back(std::move(json));
  }
  return groups;
}

boost::json::object comparison_json(const Comparison& comparison) {
  boost::json::object differences, intervals;
  for (const NamedRate& named : comparison.differences) {
    differences[named.key] = named.rate.mean;
    intervals[named.key] = interval_of(named.rate);
  }
  return {{"file", comparison.file},
          {"model_name_or_path", comparison.model},
          {"differences", std::move(differences)},
          {"intervals", std::move(intervals)}};
}

boost::json::array problems_json(const EvalReport& report) {
  const Evaluation& evaluation = report.evaluation;
  boost::json::array problems;
  for (std::size_t p = 0; p < evaluation.problems.size(); ++p) {
    const EvaluatedProblem& problem = evaluation.problems[p];
    boost::json::object json{{"id", problem.id}, {"right", problem.num_right}};
    if (report.config.greedy) json["greedy"] = problem.greedy == 1.0;
    for (std::size_t i = 0; i < problem.majority_at.size(); ++i)
      json["maj_at_" + std::to_string(evaluation.rates.majority_at[i].k)] = problem.majority_at[i];
    json["format_rate"] = problem.format_rate;
    json["mean_length"] = problem.mean_length;
    if (!report.group_of_problem.empty()) json["group"] = report.group_of_problem[p];
    problems.push_back(std::move(json));
  }
  return problems;
}

}  // namespace

std::vector<NamedRate> named_rates(const EvaluationRates& rates, bool greedy) {
  std::vector<NamedRate> named;
  const auto add = [&](const std::string& name, const RateAtK& at) {
    const std::string k = std::to_string(at.k);
    named.push_back({.key = name + "_at_" + k, .label = name + "@" + k, .rate = at.rate});
  };
  for (const RateAtK& at : rates.pass_at) add("pass", at);
  for (const RateAtK& at : rates.majority_at) add("maj", at);
  if (greedy) named.push_back({.key = "greedy", .label = "greedy", .rate = rates.greedy});
  named.push_back({.key = "format_rate", .label = "format", .rate = rates.format_rate});
  named.push_back(
      {.key = "mean_length", .label = "length", .rate = rates.mean_length, .is_share = false});
  return named;
}

std::string eval_table(const EvalReport& report) {
  const Evaluation& evaluation = report.evaluation;
  std::string text = title(report);
  text += padded("", 16) + "   value          95 % interval\n" +
          rows_of(named_rates(evaluation.rates, report.config.greedy), false) + "\n";
  if (report.rewards.size() > 1) {
    for (const MeanReward& reward : report.rewards)
      text += "reward " + padded(reward.name, 20) + format("%8.4f\n", reward.mean);
    text += "\n";
  }
  if (!report.groups.empty()) text += group_table(report);
  if (report.comparison) {
    text += "difference to " + report.comparison->model + " (" + report.comparison->file +
            "), paired over the same problems\n" + rows_of(report.comparison->differences, true) +
            "\n";
  }
  const double seconds = std::max(evaluation.seconds, 1e-9);
  return text + format("%lld tokens sampled in %.1f s: %.0f tokens/s\n",
                       static_cast<long long>(evaluation.sampled_tokens), evaluation.seconds,
                       static_cast<double>(evaluation.sampled_tokens) / seconds);
}

boost::json::object eval_json(const EvalReport& report) {
  const EvalConfig& config = report.config;
  boost::json::object json;
  add_rates(json, named_rates(report.evaluation.rates, config.greedy));
  json["problems"] = report.evaluation.num_problems;
  json["reward_failures"] = report.evaluation.reward_failures;
  json["seconds"] = report.evaluation.seconds;
  json["sampled_tokens"] = report.evaluation.sampled_tokens;
  json["parameters"] = report.num_parameters;
  for (const auto& [key, value] :
       {std::pair("model_name_or_path", config.model_name_or_path),
        std::pair("dataset_name", config.dataset_name),
        std::pair("dataset_split", config.dataset_split), std::pair("columns", config.columns),
        std::pair("prompt_template", config.prompt_template), std::pair("dtype", config.dtype)})
    json[key] = value;
  if (config.has_chat_prompts()) {
    json["chat_template_path"] = config.chat_template_path;
    json["chat_template_kwargs"] = config.chat_template_kwargs;
    json["chat_date"] = config.chat_date;
  }
  json["num_generations"] = config.num_generations;
  json["max_completion_length"] = config.max_completion_length;
  json["temperature"] = config.temperature;
  json["top_k"] = config.top_k;
  json["top_p"] = config.top_p;
  json["min_p"] = config.min_p;
  json["seed"] = config.seed;
  json["answer_rules"] = config.answer_rules;
  json["reward_config"] = config.reward_config;
  json["reward_funcs"] = boost::json::array(config.reward_funcs.begin(), config.reward_funcs.end());
  boost::json::object rewards;
  for (const MeanReward& reward : report.rewards) rewards[reward.name] = reward.mean;
  json["rewards"] = std::move(rewards);
  if (!report.groups.empty()) {
    json["group_by"] = config.group_by;
    json["groups"] = groups_json(report);
  }
  if (report.comparison) json["baseline"] = comparison_json(*report.comparison);
  json["problems_sha256"] = report.problems_sha256;
  json["per_problem"] = problems_json(report);
  return json;
}

std::string problems_sha256(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += write_json(boost::json::array{problem.id, problem.question, problem.answer}) + "\n";
  }
  return sha256_hex(text);
}

}  // namespace zeroth
