#include "datasets/sums.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <stdexcept>

#include "datasets/order.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::uint64_t kOperandStream = 1;  // which operands a split owns
constexpr std::uint64_t kPairStream = 2;     // which of a split's pairs are problems; + split

std::uint64_t power_of_ten(int exponent) {
  std::uint64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

std::uint64_t reserved_operands(std::uint64_t num_problems) {
  std::uint64_t count = 0;
  while (count * count < 6 * num_problems) ++count;
  return count;
}

void check_counts(const SumsConfig& config) {
  if (config.digits < 1 || config.digits > 9) {
    throw InputError({.source = "sums",
                      .field = "digits",
                      .expected = "1 to 9",
                      .actual = std::to_string(config.digits)});
  }
  constexpr std::uint64_t kMostProblems = 100'000'000;
  for (const std::uint64_t count :
       {config.num_train, config.num_calibration, config.num_validation, config.num_test}) {
    if (count <= kMostProblems) continue;
    throw InputError({.source = "sums",
                      .field = "num_train, num_calibration, num_validation, num_test",
                      .expected = "at most " + std::to_string(kMostProblems) + " problems a split",
                      .actual = std::to_string(count)});
  }
}

std::string digits_from_right(std::uint64_t number) {
  std::string digits = std::to_string(number);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

struct Thought {
  std::string work;
  std::string answer;
};

// A wrong step stays within 0..19, the values two digits and a carry can have.
int off_by_one(int sum, RandomStream& random) {
  if (sum == 0) return 1;
  if (sum == 19) return 18;
  return random.next_below(2) == 0 ? sum - 1 : sum + 1;
}

Thought careful(const SumsProblem& sum, double noise, RandomStream& random) {
  const std::string a = digits_from_right(sum.a), b = digits_from_right(sum.b);
  Thought thought;
  int carry = 0;
  for (std::size_t column = 0; column < a.size(); ++column) {
    int result = (a[column] - '0') + (b[column] - '0') + carry;
    if (random.next_uniform() < noise) result = off_by_one(result, random);
    thought.work += {a[column], '+', b[column], '+', static_cast<char>('0' + carry), '='};
    carry = result / 10;
    const char digit = static_cast<char>('0' + result % 10);
    thought.work += {static_cast<char>('0' + carry), digit, ';'};
    thought.answer.push_back(digit);
  }
  if (carry != 0) thought.answer.push_back(static_cast<char>('0' + carry));
  std::reverse(thought.answer.begin(), thought.answer.end());
  return thought;
}

Thought guess(const SumsProblem& sum, RandomStream& random) {
  const int width = static_cast<int>(std::to_string(sum.a).size());
  const std::uint64_t distance = 1 + random.next_below(power_of_ten(width - 1));
  const std::uint64_t truth = sum.a + sum.b;
  const bool below = random.next_below(2) == 0 && distance <= truth;
  return {.work = "?", .answer = std::to_string(below ? truth - distance : truth + distance)};
}

Thought hasty(const SumsProblem& sum) {
  const std::string a = std::to_string(sum.a), b = std::to_string(sum.b);
  Thought thought;
  for (std::size_t column = 0; column < a.size(); ++column) {
    thought.work += {a[column], '+', b[column], '?'};
    const int result = (a[column] - '0') + (b[column] - '0');
    thought.answer.push_back(static_cast<char>('0' + result % 10));
  }
  return thought;
}

void check_mix(const HabitMix& mix) {
  const double total = mix.careful + mix.guess + mix.hasty;
  const bool weights_hold = mix.careful >= 0 && mix.guess >= 0 && mix.hasty >= 0 && total > 0;
  const bool chances_hold =
      mix.noise >= 0 && mix.noise <= 1 && mix.bad_format >= 0 && mix.bad_format <= 1;
  if (!weights_hold || !chances_hold || !std::isfinite(total)) {
    throw std::invalid_argument(
        "HabitMix: weights must be at least 0 and not all 0, chances in [0, 1]");
  }
}

Thought draw_thought(const SumsProblem& sum, const HabitMix& mix, RandomStream& random) {
  const double habit = random.next_uniform() * (mix.careful + mix.guess + mix.hasty);
  if (habit < mix.careful) return careful(sum, mix.noise, random);
  if (habit < mix.careful + mix.guess) return guess(sum, random);
  return hasty(sum);
}

}  // namespace

SumsTask::SumsTask(SumsConfig config) {
  check_counts(config);
  const std::uint64_t lowest = power_of_ten(config.digits - 1);
  const std::uint64_t num_operands = power_of_ten(config.digits) - lowest;
  const KeyedPermutation operands(num_operands, config.seed, kOperandStream);

  // Each split owns a run of the permuted operands: test first, training what is left.
  std::uint64_t first = 0;
  const auto draw = [&](Split split, std::uint64_t num_problems, std::uint64_t num_own) {
    std::vector<SumsProblem> problems;
    if (num_problems == 0) return problems;
    if (num_own > num_operands - first || num_own * num_own < num_problems) {
      throw InputError({.source = "sums",
                        .field = "digits",
                        .expected = "enough operands for every split's problems",
                        .actual = std::to_string(num_operands) + " operands of " +
                                  std::to_string(config.digits) + " digits"});
    }
    const std::uint64_t stream = kPairStream + static_cast<std::uint64_t>(split);
    const KeyedPermutation pairs(num_own * num_own, config.seed, stream);
    problems.reserve(num_problems);
    for (std::uint64_t i = 0; i < num_problems; ++i) {
      const std::uint64_t pair = pairs.at(i);
      problems.push_back({.a = lowest + operands.at(first + pair / num_own),
                          .b = lowest + operands.at(first + pair % num_own)});
    }
    first += num_own;
    return problems;
  };
  test_ = draw(Split::test, config.num_test, reserved_operands(config.num_test));
  validation_ =
      draw(Split::validation, config.num_validation, reserved_operands(config.num_validation));
  calibration_ =
      draw(Split::calibration, config.num_calibration, reserved_operands(config.num_calibration));
  train_ = draw(Split::train, config.num_train, num_operands - first);
}

const std::vector<SumsProblem>& SumsTask::problems(Split split) const& {
  switch (split) {
    case Split::train:
      return train_;
    case Split::calibration:
      return calibration_;
    case Split::validation:
      return validation_;
    case Split::test:
      return test_;
  }
  throw std::invalid_argument("SumsTask::problems: not a split");
}

Problem sums_problem(const SumsProblem& sum) {
  const std::string text = std::to_string(sum.a) + "+" + std::to_string(sum.b);
  return {.id = text,
          .question = text + "=",
          .answer = std::to_string(sum.a + sum.b),
          .solution = "",
          .columns_json = "{}"};
}

std::string sums_trace(const SumsProblem& sum, const HabitMix& mix, RandomKey key) {
  check_mix(mix);
  if (std::to_string(sum.a).size() != std::to_string(sum.b).size()) {
    throw std::invalid_argument("sums_trace: the operands differ in their number of digits");
  }
  RandomStream random(key);
  std::array<std::string_view, 4> tags = {"<think>", "</think>", "<answer>", "</answer>"};
  if (random.next_uniform() < mix.bad_format) tags[random.next_below(4)] = "";
  const Thought thought = draw_thought(sum, mix, random);
  std::string text;
  text.append(tags[0]).append(thought.work).append(tags[1]);
  text.append(tags[2]).append(thought.answer).append(tags[3]);
  return text;
}

}  // namespace zeroth
