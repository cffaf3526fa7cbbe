#include "rewards/registry.h"

#include <array>
#include <string>
#include <type_traits>
#include <vector>

#include "rewards/host/plugin_host.h"
#include "rewards/host/program_host.h"
#include "rewards/host/script_host.h"
#include "rewards/rules/answer_reward.h"
#include "rewards/rules/countdown_reward.h"
#include "rewards/rules/format_reward.h"
#include "rewards/rules/group_length_reward.h"
#include "rewards/rules/length_reward.h"
#include "rewards/rules/tag_reward.h"
#include "rewards/rules/text_reward.h"
#include "rewards/rules/tool_call_reward.h"
#include "system/error.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

// A row whose reward is made by `make` from its parameters, from how answers are found, or both.
template <class Config, auto make>
constexpr RewardEntry row(std::string_view name, std::string_view description) {
  return {name, description, list_parameters<Config>,
          [](std::string_view reward, const RewardOptions& options) -> std::unique_ptr<Reward> {
            const auto config = read_parameters<Config>(reward, options.parameters);
            if constexpr (std::is_invocable_v<decltype(make), Config, ExtractionConfig>) {
              return make(config, options.extraction);
            } else if constexpr (std::is_invocable_v<decltype(make), Config>) {
              return make(config);
            } else {
              return make();
            }
          }};
}

std::unique_ptr<Reward> make_accuracy_in_format(const NoParameters& /*none*/,
                                                const ExtractionConfig& extraction) {
  return make_accuracy_in_format_reward({.extraction = extraction});
}

constexpr std::array kEntries = {
    row<AccuracyParameters, make_accuracy_reward_of>(
        "accuracy", "1 when the final answer equals the reference, else 0"),
    row<NoParameters, make_accuracy_in_format>("accuracy_in_format",
                                               "1 when both accuracy and format are 1, else 0"),
    row<NoParameters, make_boxed_reward>("boxed", "1 when a \\boxed{} holds something, else 0"),
    row<CodeFormatConfig, make_code_format_reward>(
        "code_format",
        "1 when <think> and <answer> stand on lines of their own and the answer has "
        "a code block, else 0"),
    row<CosineLengthConfig, make_cosine_length_reward>(
        "cosine_length",
        "right answers: less for longer ones; wrong answers: more for longer ones"),
    row<CountdownConfig, make_countdown_reward>(
        "countdown", "1 when the answer reaches the target, each number used once, else 0"),
    row<AnswerTagConfig, make_exact_answer_reward>(
        "exact_answer",
        "1 when <answer>…</answer> has the letters and digits of the reference, else 0"),
    row<NoParameters, make_format_reward>(
        "format",
        "1 when the completion is <think>…</think><answer>…</answer> and nothing else, else 0"),
    row<NoParameters, make_format_lines_reward>(
        "format_lines", "1 when <think> and <answer> stand on lines of their own, else 0"),
    row<NoParameters, make_graded_format_reward>(
        "format_parts", "0.25 for each of the four tags that occurs once and in order"),
    row<LanguageConfig, make_language_reward>(
        "language", "share of the letters that belong to the scripts asked for"),
    row<GroupLengthConfig, make_group_length_reward>(
        "length",
        "right answers: more for shorter than the others of the prompt; wrong: at most 0"),
    row<AnswerTagConfig, make_math_expression_reward>(
        "math_expression", "1 when <answer>…</answer> equals the reference as mathematics, else 0"),
    row<ReasoningAccuracyConfig, make_reasoning_accuracy_reward>(
        "reasoning_accuracy",
        "1 when the final answer after the reasoning equals the reference, else 0"),
    row<NoParameters, make_reasoning_steps_reward>("reasoning_steps",
                                                   "a third for each step, at most 1"),
    row<RepetitionPenaltyConfig, make_repetition_penalty_reward>(
        "repetition_penalty", "0 without a repeated n-gram, down to max_penalty"),
    row<SoftOverlongConfig, make_soft_overlong_reward>(
        "soft_overlong", "0, and from near the longest completion down to -1"),
    row<NoParameters, make_tag_count_reward>(
        "tag_count", "0.25 for each of the four tags that stands once on a line of its own"),
    row<TagPairsConfig, make_tag_pairs_reward>(
        "tag_pairs", "0.25 for <think>…</think> and 0.75 for <answer>…</answer>"),
    row<NoParameters, make_think_format_reward>(
        "think_format", "1 when the completion begins with its only <think>…</think>, else 0"),
    row<ToolCallConfig, make_tool_call_reward>(
        "tool_call", "1 when all calls are JSON that matches the tools' schemas, else 0"),
};

RewardHost with_parameters(const RewardOptions& options) {
  RewardHost host = options.host;
  host.parameters = options.parameters;
  return host;
}

}  // namespace

std::span<const RewardEntry> reward_entries() {
  return kEntries;
}

std::unique_ptr<Reward> make_reward(std::string_view name, const RewardOptions& options) {
  const std::string word(name);
  if (names_script(word)) return make_script_reward(word, with_parameters(options));
  if (names_program(word)) return make_program_reward(word, with_parameters(options));
  if (names_plugin(word)) return make_plugin_reward(word, with_parameters(options));
  std::vector<std::string> names;
  std::string list;
  for (const RewardEntry& entry : kEntries) {
    if (entry.name == name) return entry.make(name, options);
    list += (names.empty() ? "" : ", ") + std::string(entry.name);
    names.emplace_back(entry.name);
  }
  throw InputError({.source = "reward_funcs",
                    .field = "",
                    .expected = "one of " + list +
                                ", FILE.so, python:FILE:FUNCTION or exec:FILE; nearest is " +
                                nearest_name(name, names),
                    .actual = word});
}

}  // namespace zeroth
