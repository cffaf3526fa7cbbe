#include "rl/trace_filter.h"

#include <catch2/catch.hpp>

namespace zeroth {
namespace {

SampledTrace trace(std::vector<std::int32_t> tokens, double reward = 1.0, bool finished = true) {
  return {.tokens = std::move(tokens), .text = "", .finished = finished, .rewards = {1.0, reward}};
}

Problem problem(const std::string& question) {
  return {.id = question, .question = question, .answer = "1", .solution = "", .columns_json = ""};
}

std::vector<std::string> ids(const std::vector<Problem>& problems) {
  std::vector<std::string> names;
  for (const Problem& p : problems) names.push_back(p.id);
  return names;
}

}  // namespace

TEST_CASE("select_traces: every filter drops its sample and counts it once", "[rl]") {
  const SampledProblem sampled{.problem = 0,
                               .id = "p",
                               .question = "",
                               .answer = "",
                               .prompt = {1, 2, 3},
                               .samples = {
                                   trace({9, 8}, 1.0, false),           // 0 unfinished
                                   trace({9, 8}, 0.0, false),           // 1 unfinished and wrong
                                   trace({9, 8}, 0.99),                 // 2 wrong: not above
                                   trace({5, 6, 7, 8, 9, 10, 11, 12}),  // 3 eleven tokens
                                   trace({4, 4, 4, 4, 4, 2}),           // 4 five times the same
                                   trace({5, 6, 2}),                    // 5 kept
                                   trace({5, 6, 2}),                    // 6 duplicate
                                   trace({5, 7, 2}, 1.5),               // 7 kept
                                   trace({5, 8, 2}),                    // 8 surplus
                                   trace({5, 7, 2}),                    // 9 duplicate, not surplus
                               }};
  const TraceFilterOptions options{.reward_threshold = 0.99,
                                   .max_length = 10,
                                   .max_loop_tokens = 4,
                                   .max_traces_per_problem = 2};
  TraceCounts counts;
  CHECK(select_traces(sampled, options, counts) == std::vector<std::size_t>{5, 7});
  CHECK(counts.sampled == 10);
  CHECK(counts.unfinished == 2);
  CHECK(counts.wrong == 1);
  CHECK(counts.too_long == 1);
  CHECK(counts.repetitive == 1);
  CHECK(counts.duplicate == 2);
  CHECK(counts.surplus == 1);
  CHECK(counts.kept == 2);

  TraceCounts open;
  const TraceFilterOptions all{.reward_threshold = -1.0,
                               .max_length = 100,
                               .max_loop_tokens = 0,
                               .max_traces_per_problem = 0};
  CHECK(select_traces(sampled, all, open) == std::vector<std::size_t>{2, 3, 4, 5, 7, 8});
  CHECK(open.unfinished == 2);
  CHECK(open.duplicate == 2);
}

TEST_CASE("select_traces: a reward that does not apply is not asked, and no score drops a sample",
          "[rl]") {
  const auto scored = [](std::optional<double> first, std::optional<double> second, bool score) {
    SampledTrace sample = trace({9, 2});
    sample.rewards = {first, second};
    sample.scored = score;
    return sample;
  };
  SampledProblem sampled{
      .problem = 0, .id = "p", .question = "", .answer = "", .prompt = {1}, .samples = {}};
  const TraceFilterOptions options{.reward_threshold = 0.5, .max_traces_per_problem = 0};
  const auto counts_of = [&](SampledTrace sample) {
    sampled.samples = {std::move(sample)};
    TraceCounts counts;
    select_traces(sampled, options, counts);
    return counts;
  };
  CHECK(counts_of(scored(1.0, std::nullopt, true)).kept == 1);
  CHECK(counts_of(scored(0.0, std::nullopt, true)).wrong == 1);
  CHECK(counts_of(scored(std::nullopt, std::nullopt, false)).unscored == 1);
  CHECK(counts_of(scored(1.0, std::nullopt, false)).unscored == 1);  // the other one failed
}

TEST_CASE("longest_loop: runs of one, two and many tokens by hand", "[rl]") {
  CHECK(longest_loop(std::vector<std::int32_t>{}) == 0);
  CHECK(longest_loop(std::vector<std::int32_t>{7, 7, 7}) == 0);  // three times is no loop
  CHECK(longest_loop(std::vector<std::int32_t>{7, 7, 7, 7}) == 4);
  CHECK(longest_loop(std::vector<std::int32_t>{1, 7, 7, 7, 7, 7, 2}) == 5);
  // 1 2 four times and half a time more
  CHECK(longest_loop(std::vector<std::int32_t>{9, 1, 2, 1, 2, 1, 2, 1, 2, 1, 5}) == 9);
  CHECK(longest_loop(std::vector<std::int32_t>{1, 2, 3, 1, 2, 3, 1, 2, 3, 4}) == 0);
  // The digits of 111+222=, column by column: three like columns are no loop.
  CHECK(longest_loop(std::vector<std::int32_t>{1, 0, 2, 0, 3, 1, 0, 2, 0, 3, 1, 0, 2, 0, 3}) == 0);
  std::vector<std::int32_t> text;
  for (int i = 0; i < 500; ++i) text.push_back(i);
  CHECK(longest_loop(text) == 0);
  for (int i = 0; i < 4 * 50; ++i) text.push_back(1000 + i % 50);
  CHECK(longest_loop(text) == 200);
}

TEST_CASE("without_held_out: a test problem in other spelling is found", "[rl]") {
  CHECK(normalized_question(" 12 + 34\t=\n") == "12+34=");
  CHECK(normalized_question("What IS é?") == "whatisé?");
  for (const char* space : {"\u00A0", "\u2003", "\u1680", "\u2000", "\u200A", "\u2028", "\u2029",
                            "\u202F", "\u205F", "\u3000", "\u200B", "\uFEFF", "\xC2\x85"})
    CHECK(normalized_question(std::string("12") + space + "+34=") == "12+34=");
  // Controls: neighbours of theirs are letters and signs, and case is folded in ASCII only.
  for (const char* sign : {"\u00A1", "\u2010", "\u2030", "\u3001", "\u00C9"})
    CHECK(normalized_question(sign) == sign);
  const std::vector<Problem> train = {problem("1+2="), problem("3+4="), problem("How many Eggs?"),
                                      problem("3+5=")};
  const std::vector<Problem> test = {problem("3 + 4 ="), problem("how many eggs?")};
  CHECK(ids(without_held_out(train, test)) == std::vector<std::string>{"1+2=", "3+5="});
  CHECK(without_held_out(train, {}).size() == 4);  // control
}

}  // namespace zeroth
