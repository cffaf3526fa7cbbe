#include "rl/evaluate.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>

#include "rewards/rules/math_reward.h"
#include "tests/support/tiny_checkpoint.h"

namespace zeroth {
namespace {

// Answers every prompt with texts written in advance, and remembers what it was asked.
class ScriptedEngine : public Engine {
 public:
  struct Script {
    std::vector<std::string> samples;
    std::string greedy;
  };
  ScriptedEngine(const Tokenizer& tokenizer, std::map<std::string, Script> scripts)
      : tokenizer_(tokenizer), scripts_(std::move(scripts)) {}

  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& /*on_group*/ = {}) override {
    calls.push_back(sampling);
    std::vector<Group> groups;
    for (const GenerateRequest& request : requests) {
      problems.push_back(request.problem);
      const Script& script = scripts_.at(tokenizer_.decode(request.prompt, false));
      Group& group = groups.emplace_back();
      for (std::int64_t i = 0; i < request.num_generations; ++i) {
        const std::string& text = sampling.temperature == 0.0
                                      ? script.greedy
                                      : script.samples.at(static_cast<std::size_t>(i));
        Completion& completion = group.completions.emplace_back();
        completion.tokens = tokenizer_.encode(text);
        completion.tokens.push_back(tokenizer_.eos_id().value());
        completion.logprobs.assign(completion.tokens.size(), -1.0F);
        completion.stop_reason = StopReason::end_of_sequence;
      }
    }
    return groups;
  }

  std::vector<SamplingParams> calls;
  std::vector<std::uint32_t> problems;

 private:
  const Tokenizer& tokenizer_;
  std::map<std::string, Script> scripts_;
};

std::string laid_out(const std::string& answer) {
  return "<think>1</think><answer>" + answer + "</answer>";
}

// Three problems of four samples:
//   1+1=  right 3 of 4, the majority is right, greedy right
//   2+2=  right 1 of 4, the majority (5, twice) is wrong, greedy wrong
//   3+3=  never right; three samples without an answer, which have no vote; greedy without one
struct Scripted {
  Scripted()
      : engine(
            tokenizer,
            {{"1+1=",
              {{laid_out("2"), laid_out("2"), laid_out("3"), "<answer>2</answer>"}, laid_out("2")}},
             {"2+2=",
              {{laid_out("5"), laid_out("4"), laid_out("5"), laid_out("6")}, laid_out("5")}},
             {"3+3=", {{"9", "9", "", laid_out("7")}, "6"}}}) {}

  Evaluation evaluated(const EvaluationOptions& options) {
    return evaluate(engine, tokenizer, prompt_template, problems, *right, options);
  }

  Tokenizer tokenizer = testing::sums_tokenizer();
  ScriptedEngine engine;
  PromptTemplate prompt_template = PromptTemplate::from_text("{question}=", "test");
  std::vector<Problem> problems = {
      {"a", "1+1", "2", "", "{}"}, {"b", "2+2", "4", "", "{}"}, {"c", "3+3", "6", "", "{}"}};
  std::unique_ptr<Reward> right = make_accuracy_reward();
};

const EvaluationOptions kOptions{.num_generations = 4,
                                 .max_completion_length = 20,
                                 .majority_generations = 16,
                                 .temperature = 0.8,
                                 .seed = 5};

TEST_CASE("evaluate: rates of scripted completions by hand", "[rl]") {
  Scripted scripted;
  const Evaluation result = scripted.evaluated(kOptions);
  CHECK(result.num_problems == 3);
  CHECK(result.num_generations == 4);
  CHECK(result.majority_generations == 4);  // no more than there are
  CHECK(result.pass_at_1.mean == Approx((0.75 + 0.25 + 0.0) / 3));
  CHECK(result.pass_at_1.low <= result.pass_at_1.mean);
  CHECK(result.pass_at_1.high >= result.pass_at_1.mean);
  CHECK(result.pass_at_n == Approx(2.0 / 3));
  CHECK(result.majority == Approx(1.0 / 3));
  CHECK(result.greedy == Approx(1.0 / 3));
  // The layout: 3 of the first problem's, 4 of the second's, 1 of the third's.
  CHECK(result.format_rate == Approx(8.0 / 12));
  // A laid out text is 6 tokens and its end, the bare answer 4, "9" 2, nothing 1.
  const double tokens = 8 * 7 + 4 + 2 + 2 + 1;
  CHECK(result.mean_length == Approx(tokens / 12));
  CHECK(result.sampled_tokens == static_cast<std::int64_t>(tokens) + 7 + 7 + 2);
}

// Fails on what answers 5.
class FailingReward final : public Reward {
 public:
  std::string_view name() const override { return "failing"; }
  std::vector<double> score(std::span<const RewardItem> items) const override {
    std::vector<double> scores;
    for (const RewardItem& item : items)
      scores.push_back(item.completion.find(">5<") == std::string_view::npos ? 1.0 : NAN);
    return scores;
  }
};

TEST_CASE("evaluate: what the reward fails on is counted and not right, or stops", "[rl]") {
  Scripted scripted;
  scripted.right = std::make_unique<FailingReward>();
  EvaluationOptions options = kOptions;
  CHECK_THROWS_AS(scripted.evaluated(options), RewardError);
  options.on_reward_error = OnRewardError::exclude;
  const Evaluation result = scripted.evaluated(options);
  CHECK(result.reward_failures == 3);  // twice sampled, once greedy
  CHECK(result.pass_at_1.mean == Approx((1.0 + 0.5 + 1.0) / 3));
  CHECK(result.greedy == Approx(2.0 / 3));
}

TEST_CASE("evaluate: two calls, sampling and greedy, in a stream of their own", "[rl]") {
  Scripted scripted;
  scripted.evaluated(kOptions);
  REQUIRE(scripted.engine.calls.size() == 2);
  CHECK(scripted.engine.calls[0].temperature == 0.8);
  CHECK(scripted.engine.calls[1].temperature == 0.0);
  for (const SamplingParams& sampling : scripted.engine.calls) {
    CHECK(sampling.seed == 5);
    CHECK(sampling.max_new_tokens == 20);
    CHECK(sampling.stream != 0);
    CHECK(sampling.stream != 1);  // that of the training rollouts
  }
  CHECK(scripted.engine.problems == std::vector<std::uint32_t>{0, 1, 2, 0, 1, 2});
}

TEST_CASE("evaluate: without greedy decoding its rate is 0 and nothing is decoded for it", "[rl]") {
  Scripted scripted;
  EvaluationOptions options = kOptions;
  options.greedy = false;
  const Evaluation result = scripted.evaluated(options);
  CHECK(scripted.engine.calls.size() == 1);
  CHECK(result.greedy == 0.0);
  CHECK(result.sampled_tokens == 65);
}

TEST_CASE("evaluate: the first samples vote, and of equal counts the first answer wins", "[rl]") {
  Scripted scripted;
  EvaluationOptions options = kOptions;
  options.majority_generations = 1;  // 2, 5, none
  CHECK(scripted.evaluated(options).majority == Approx(1.0 / 3));
  options.majority_generations = 2;  // 2; 5 and 4, of which 5 came first; none
  CHECK(scripted.evaluated(options).majority == Approx(1.0 / 3));
  std::swap(scripted.problems[1].answer, scripted.problems[2].answer);  // 2+2= now wants 6
  scripted.problems[1].answer = "5";
  CHECK(scripted.evaluated(options).majority == Approx(2.0 / 3));
  CHECK(scripted.evaluated(options).majority_generations == 2);
}

TEST_CASE("evaluate: answers that are written differently vote apart only if they differ as texts",
          "[rl]") {
  Tokenizer tokenizer = testing::sums_tokenizer();
  // "02" and "2" are equal numbers and different texts: "2" has two votes of four.
  ScriptedEngine engine(
      tokenizer, {{"1+1=", {{laid_out("3"), laid_out("02"), laid_out("2"), laid_out("2")}, "2"}}});
  const std::vector<Problem> problems = {{"a", "1+1=", "2", "", "{}"}};
  const auto right = make_accuracy_reward();
  const Evaluation result =
      evaluate(engine, tokenizer, PromptTemplate::from_text("{question}", "test"), problems, *right,
               kOptions);
  CHECK(result.majority == 1.0);
  CHECK(result.pass_at_1.mean == 0.75);
}

TEST_CASE("evaluate: rates at every k by hand, with the records they come from", "[rl]") {
  Scripted scripted;
  EvaluationOptions options = kOptions;
  options.pass_at = {1, 2, 4};
  options.majority_at = {1, 2, 4};
  const Evaluation result = scripted.evaluated(options);
  REQUIRE(result.problems.size() == 3);
  CHECK(result.problems[0].id == "a");
  CHECK(result.problems[0].num_right == 3);
  CHECK(result.problems[1].num_right == 1);
  CHECK(result.problems[2].num_right == 0);
  CHECK(result.problems[0].greedy == 1.0);
  CHECK(result.problems[1].greedy == 0.0);
  CHECK(result.problems[0].format_rate == 0.75);
  CHECK(result.problems[2].format_rate == 0.25);
  CHECK(result.problems[0].mean_length == Approx((3 * 7 + 4) / 4.0));
  const EvaluationRates& rates = result.rates;
  REQUIRE(rates.pass_at.size() == 3);
  CHECK(rates.pass_at[0].k == 1);
  CHECK(rates.pass_at[0].rate.mean == result.pass_at_1.mean);
  CHECK(rates.pass_at[0].rate.low == result.pass_at_1.low);
  // Two of four: 1 - C(1, 2) / C(4, 2) = 1; 1 - C(3, 2) / C(4, 2) = 1/2; 0.
  CHECK(rates.pass_at[1].rate.mean == Approx((1.0 + 0.5 + 0.0) / 3));
  CHECK(rates.pass_at[2].rate.mean == result.pass_at_n);
  REQUIRE(rates.majority_at.size() == 3);
  // Single samples; pairs (2 2, 3 2 -> 3 first; 5 4 -> 5 first, 5 6; nobody, 7); all four.
  CHECK(rates.majority_at[0].rate.mean == Approx((0.75 + 0.25 + 0.0) / 3));
  CHECK(rates.majority_at[1].rate.mean == Approx((0.5 + 0.0 + 0.0) / 3));
  CHECK(rates.majority_at[2].rate.mean == result.majority);
  CHECK(rates.greedy.mean == Approx(result.greedy));
  CHECK(rates.format_rate.mean == Approx(result.format_rate));
  CHECK(rates.mean_length.mean == Approx(result.mean_length));

  const std::span<const EvaluatedProblem> first(result.problems.data(), 1);
  const EvaluationRates of_first = rates_of(first, options);
  CHECK(of_first.num_problems == 1);
  CHECK(of_first.pass_at[0].rate.mean == 0.75);
  CHECK(of_first.pass_at[0].rate.low == 0.75);  // of one problem there is nothing to resample
  CHECK(of_first.majority_at[1].rate.mean == 0.5);
  options.pass_at = {5};
  CHECK_THROWS_AS(scripted.evaluated(options), std::invalid_argument);
}

TEST_CASE("evaluate: every completion is handed out with its score, the greedy ones last", "[rl]") {
  Scripted scripted;
  EvaluationOptions options = kOptions;
  std::vector<std::string> seen;
  options.on_samples = [&](const EvaluatedSamples& samples) {
    seen.push_back(samples.greedy ? "greedy" : "samples");
    CHECK(samples.num_generations == (samples.greedy ? 1 : 4));
    REQUIRE(samples.items.size() == samples.scores.size());
    for (std::size_t i = 0; i < samples.items.size(); ++i) {
      seen.push_back(std::string(samples.items[i].completion) + "|" +
                     std::string(samples.items[i].reference) +
                     (samples.scores[i] > 0.5 ? "|right" : "|wrong"));
    }
  };
  scripted.evaluated(options);
  REQUIRE(seen.size() == 1 + 12 + 1 + 3);
  CHECK(seen[0] == "samples");
  CHECK(seen[1] == laid_out("2") + "|2|right");
  CHECK(seen[3] == laid_out("3") + "|2|wrong");
  CHECK(seen[13] == "greedy");
  CHECK(seen[15] == laid_out("5") + "|4|wrong");
}

TEST_CASE("evaluate: all right is a share of exactly 1, however many problems there are", "[rl]") {
  const Scripted scripted;
  for (const std::size_t count : {9, 11, 21, 39}) {  // n times 1 / n is more than 1
    std::map<std::string, ScriptedEngine::Script> scripts;
    std::vector<Problem> problems;
    double sum_of_shares = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string question = std::to_string(i) + "+0";
      scripts[question + "="] = {{laid_out("2")}, laid_out("2")};
      problems.push_back({question, question, "2", "", "{}"});
      sum_of_shares += 1.0 / static_cast<double>(count);
    }
    CHECK(sum_of_shares > 1.0);
    ScriptedEngine engine(scripted.tokenizer, std::move(scripts));
    EvaluationOptions options = kOptions;
    options.num_generations = 1;
    const Evaluation result = evaluate(engine, scripted.tokenizer, scripted.prompt_template,
                                       problems, *scripted.right, options);
    CHECK(result.greedy == 1.0);
    CHECK(result.pass_at_1.mean == 1.0);
    CHECK(result.pass_at_n == 1.0);
  }
}

TEST_CASE("evaluate: truncation reaches the engine", "[rl]") {
  Scripted scripted;
  EvaluationOptions options = kOptions;
  options.top_k = 5;
  options.top_p = 0.9;
  options.min_p = 0.1;
  scripted.evaluated(options);
  CHECK(scripted.engine.calls[0].top_k == 5);
  CHECK(scripted.engine.calls[0].top_p == 0.9);
  CHECK(scripted.engine.calls[0].min_p == 0.1);
}

TEST_CASE("evaluate: no problems are a mistake of the caller", "[rl]") {
  Scripted scripted;
  scripted.problems.clear();
  CHECK_THROWS_AS(scripted.evaluated(kOptions), std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
