// Sums of two numbers, solved column by column: the quickstart's task, small enough to learn in
// minutes from nothing.
//
// Goal: problems that cannot be won by memory (every split has operands of its own) and cold-start
// texts with three habits, one of which works. Non-goal: natural language.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/problem.h"
#include "datasets/random_stream.h"

namespace zeroth {

struct SumsProblem {
  std::uint64_t a = 0;  // both operands have the task's number of digits, the first of them not 0
  std::uint64_t b = 0;

  friend bool operator==(const SumsProblem&, const SumsProblem&) = default;
};

enum class Split { train, calibration, validation, test };

struct SumsConfig {
  int digits = 3;  // of each operand, 1 to 9
  std::uint64_t seed = 0;
  std::uint64_t num_train = 40000;
  std::uint64_t num_calibration = 300;
  std::uint64_t num_validation = 300;
  std::uint64_t num_test = 600;
};

/// Problems in four splits. A split with m problems (not train) reserves ceil(sqrt(6 m)) operands,
/// six pairs for each problem; training draws from the operands that are left. So no operand of one
/// split occurs in another, and within a split no ordered pair occurs twice. Both are chosen by the
/// seed.
class SumsTask {
 public:
  /// Throws InputError where the numbers of this width do not suffice for the counts.
  explicit SumsTask(SumsConfig config);

  const std::vector<SumsProblem>& problems(Split split) const&;
  const std::vector<SumsProblem>& problems(Split split) const&& = delete;  // would dangle

 private:
  std::vector<SumsProblem> train_, calibration_, validation_, test_;
};

/// {id "347+586", question "347+586=", answer "933"}, the solution empty.
Problem sums_problem(const SumsProblem& sum);

/// How cold-start texts are written. The three habits are weights, not all 0; they need not add up
/// to 1.
struct HabitMix {
  double careful = 0.2;  // columns from the right with carries
  double guess = 0.4;    // no work, an answer near the sum and never equal to it
  double hasty = 0.4;    // names the columns from the left, forgets the carries
  double noise =
      0.01;  // chance that a careful step is off by one; what follows uses the wrong digit
  double bad_format = 0.1;  // chance that one of the four tags is missing
};

/// One completion, "<think>…</think><answer>…</answer>". For 347+586:
///   careful  <think>7+6+0=13;4+8+1=13;3+5+1=09;</think><answer>933</answer>
///   guess    <think>?</think><answer>871</answer>
///   hasty    <think>3+5?4+8?7+6?</think><answer>823</answer>
/// Careful steps are digit + digit + carry = two digits; a carry left at the end leads the answer.
/// The same key gives the same text. Throws std::invalid_argument for a mix with negative,
/// non-finite or only zero weights or chances outside [0, 1].
std::string sums_trace(const SumsProblem& sum, const HabitMix& mix, RandomKey key);

}  // namespace zeroth
