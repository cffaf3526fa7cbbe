#include "datasets/problem_source.h"

#include "datasets/columns.h"
#include "datasets/jsonl_reader.h"
#include "datasets/sums.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::uint64_t kTraceStream =
    0x7472616365;  // keeps solutions apart from the choice of problems

Split split_of(const std::string& name) {
  if (name == "train") return Split::train;
  if (name == "calibration") return Split::calibration;
  if (name == "validation") return Split::validation;
  if (name == "test") return Split::test;
  throw InputError({.source = "dataset_split",
                    .field = "",
                    .expected = "train, calibration, validation or test",
                    .actual = "\"" + name + "\""});
}

std::vector<Problem> sums(Split split, std::uint64_t seed) {
  const SumsTask task({.seed = seed});
  std::vector<Problem> problems;
  for (const SumsProblem& sum : task.problems(split)) {
    problems.push_back(sums_problem(sum));
    problems.back().solution = sums_trace(
        sum, HabitMix{}, {.seed = seed, .stream = kTraceStream, .index = problems.size()});
  }
  return problems;
}

}  // namespace

std::vector<Problem> load_problems(const std::string& name, const std::string& split,
                                   const std::string& default_split, const std::string& columns,
                                   std::uint64_t seed) {
  if (name == "sums") return sums(split_of(split.empty() ? default_split : split), seed);
  if (!split.empty()) {
    throw InputError({.source = "dataset_split",
                      .field = "",
                      .expected = "nothing, as " + name + " is a file and has no splits",
                      .actual = "\"" + split + "\""});
  }
  return read_problems(name, parse_columns(columns));
}

}  // namespace zeroth
