#include "rewards/rules/countdown_reward.h"

#include <algorithm>
#include <optional>

#include "rewards/math/arithmetic.h"
#include "rewards/reward_parameters.h"
#include "rewards/rules/item_reward.h"
#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

constexpr std::size_t kMaxNumbers = 100;

// A number, or a text of one.
std::string number_of(const JsonReader& json) {
  const bool is_text = json.value().is_string();
  if (!is_text) json.as_double();  // finite, so that it can be written
  const auto number = math::lowest_terms(is_text ? json.as_string() : write_json(json.value()));
  if (!number) json.fail("a number");
  return *number;
}

std::vector<std::string> numbers_of(const JsonReader& json) {
  if (!json.value().is_array()) json.fail("a list of numbers");
  const std::vector<JsonReader> elements = json.elements();
  if (elements.empty() || elements.size() > kMaxNumbers)
    json.fail("1 to " + std::to_string(kMaxNumbers) + " numbers");
  std::vector<std::string> numbers;
  for (const JsonReader& element : elements) numbers.push_back(number_of(element));
  return numbers;
}

bool is_object(std::string_view reference) {
  return trimmed(reference).starts_with('{') && !math::lowest_terms(reference);
}

JsonReader object_of(std::string_view reference) {
  return JsonReader::parse(reference, "reference");
}

CountdownGame game_of_reference(std::string_view reference) {
  const JsonReader object = object_of(reference);
  return {.target = number_of(object.child("target")),
          .numbers = numbers_of(object.child(object.has("nums") ? "nums" : "numbers"))};
}

// What a reference that is an object says; empty where it says a game.
std::string wanted_of(std::string_view reference) {
  if (!is_object(reference)) return {};
  try {
    game_of_reference(reference);
  } catch (const InputError&) {
    return "the target, or an object such as {\"target\": 24, \"numbers\": [3, 8]}";
  }
  return {};
}

}  // namespace

bool solves_countdown(std::string_view answer, const CountdownGame& game, bool allow_subset) {
  const std::optional<math::Arithmetic> arithmetic = math::read_arithmetic(answer);
  if (!arithmetic || arithmetic->value != game.target) return false;
  std::vector<std::string> used = arithmetic->numbers;
  std::vector<std::string> given = game.numbers;
  std::sort(used.begin(), used.end());
  std::sort(given.begin(), given.end());
  return allow_subset ? std::includes(given.begin(), given.end(), used.begin(), used.end())
                      : used == given;
}

CountdownGame countdown_game(const RewardItem& item, const CountdownConfig& config) {
  const JsonReader columns =
      JsonReader::parse(item.columns_json.empty() ? "{}" : item.columns_json, "columns");
  if (!columns.has(config.numbers_column)) {
    if (is_object(item.reference)) return game_of_reference(item.reference);
    columns.fail(config.numbers_column, "a list of numbers, for countdown");
  }
  CountdownGame game{.target = {}, .numbers = numbers_of(columns.child(config.numbers_column))};
  if (columns.has(config.target_column)) {
    game.target = number_of(columns.child(config.target_column));
  } else if (const auto target = math::lowest_terms(item.reference)) {
    game.target = *target;
  } else if (is_object(item.reference)) {
    game.target = number_of(object_of(item.reference).child("target"));
  } else {
    columns.fail(config.target_column, "a number, there or as the reference, for countdown");
  }
  return game;
}

std::unique_ptr<Reward> make_countdown_reward(const CountdownConfig& config,
                                              const ExtractionConfig& extraction) {
  require_parameter(config.format_score >= 0.0 && config.format_score <= 1.0, "countdown",
                    "format_score", "from 0 to 1", config.format_score);
  return make_item_reward(
      "countdown",
      [config, extraction](const RewardItem& item) {
        const CountdownGame game = countdown_game(item, config);
        const std::optional<Extraction> answer = extract_answer(item.completion, extraction);
        if (!answer) return 0.0;
        return solves_countdown(answer->text, game, config.allow_subset) ? 1.0
                                                                         : config.format_score;
      },
      wanted_of);
}

}  // namespace zeroth
