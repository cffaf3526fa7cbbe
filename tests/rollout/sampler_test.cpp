#include "rollout/sampler.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "kernels/token_logprob.h"
#include "tests/rollout/tiny_policy.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

struct Drawn {
  std::vector<std::int32_t> tokens;
  std::vector<float> logprobs;
};

struct Fixture {
  explicit Fixture(const char* json) : tiny(json) {
    for (std::int64_t i = 0; i < kRows * tiny.config.hidden_size; ++i) {
      hidden.push_back(static_cast<float>(
          uniform_double({.seed = 5, .problem = static_cast<std::uint32_t>(i)}) - 0.5));
    }
  }

  Drawn draw(double temperature, const std::vector<Draw>& draws) {
    Drawn drawn{std::vector<std::int32_t>(draws.size()), std::vector<float>(draws.size())};
    Sampler(temperature)
        .sample(context, tiny.policy, hidden.data(), draws, drawn.tokens, drawn.logprobs);
    return drawn;
  }

  // softmax(logits / temperature) of a row, in fp64.
  std::vector<double> probabilities(std::int64_t row, double temperature) {
    HeadBuffers buffers;
    const float* logits =
        head_logits(context, tiny.policy, hidden.data(), std::span(&row, 1), buffers);
    std::vector<double> p;
    double total = 0.0;
    for (std::int64_t v = 0; v < tiny.config.vocab_size; ++v) {
      p.push_back(std::exp(static_cast<double>(logits[v]) / temperature));
      total += p.back();
    }
    for (double& value : p) value /= total;
    return p;
  }

  static constexpr std::int64_t kRows = 5;
  ThreadPool pool{2};
  Context context{best_isa(), &pool};
  testing::TinyPolicy tiny;
  std::vector<float> hidden;
};

std::vector<Draw> draws_of_row(std::int64_t row, std::uint32_t count) {
  std::vector<Draw> draws;
  for (std::uint32_t i = 0; i < count; ++i) {
    draws.push_back({.row = row, .key = {.seed = 11, .step = 2, .problem = 1, .sample = i}});
  }
  return draws;
}

TEST_CASE("sampler: tokens come as often as the softmax says", "[rollout]") {
  Fixture fixture(testing::kTinyQwen2);
  constexpr std::uint32_t kDraws = 40000;
  for (const double temperature : {1.0, 0.6}) {
    const Drawn drawn = fixture.draw(temperature, draws_of_row(2, kDraws));
    const std::vector<double> p = fixture.probabilities(2, temperature);
    std::vector<double> counts(p.size());
    for (std::size_t i = 0; i < drawn.tokens.size(); ++i) {
      const auto token = static_cast<std::size_t>(drawn.tokens[i]);
      ++counts[token];
      REQUIRE(drawn.logprobs[i] == Approx(std::log(p[token])).margin(1e-5));
    }
    const auto chi_square = [&](const std::vector<double>& expected) {
      double sum = 0.0;
      for (std::size_t v = 0; v < p.size(); ++v) {
        const double mean = kDraws * expected[v];
        sum += (counts[v] - mean) * (counts[v] - mean) / mean;
      }
      return sum;
    };
    CHECK(chi_square(p) < 72.1);  // 39 degrees of freedom: exceeded once in a thousand
    // The counts are fine enough to tell this temperature from its neighbour.
    CHECK(chi_square(fixture.probabilities(2, temperature * 1.1)) > 72.1);
  }
}

TEST_CASE("sampler: a draw does not depend on the draws beside it", "[rollout]") {
  Fixture fixture(testing::kTinyDeepseek);
  std::vector<Draw> draws;
  for (const std::int64_t row : {4, 1, 0, 3}) {
    for (std::uint32_t i = 0; i < 1 + static_cast<std::uint32_t>(row) * 3; ++i) {
      draws.push_back({.row = row, .key = {.seed = 11, .problem = 9, .sample = i, .position = 4}});
    }
  }
  const Drawn together = fixture.draw(0.9, draws);
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const Drawn alone = fixture.draw(0.9, {draws[i]});
    CHECK(alone.tokens[0] == together.tokens[i]);
    CHECK(alone.logprobs[0] == together.logprobs[i]);
  }
}

TEST_CASE("sampler: more draws than a block of logits holds are those of the parts", "[rollout]") {
  Fixture fixture(testing::kTinyQwen2);
  const std::vector<Draw> draws = draws_of_row(3, 60000);  // 2.4 million logits
  const Drawn whole = fixture.draw(1.0, draws);
  for (const std::size_t begin : {0U, 26214U, 59990U}) {
    const std::vector<Draw> part(draws.begin() + static_cast<std::ptrdiff_t>(begin),
                                 draws.begin() + static_cast<std::ptrdiff_t>(begin) + 10);
    const Drawn drawn = fixture.draw(1.0, part);
    for (std::size_t i = 0; i < part.size(); ++i) CHECK(drawn.tokens[i] == whole.tokens[begin + i]);
  }
}

TEST_CASE("sampler: temperature 0 takes the most likely token at its log-prob of temperature 1",
          "[rollout]") {
  Fixture fixture(testing::kTinyQwen2);
  const Drawn drawn = fixture.draw(0.0, draws_of_row(1, 3));
  const std::vector<double> p = fixture.probabilities(1, 1.0);
  const auto best = std::max_element(p.begin(), p.end()) - p.begin();
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(drawn.tokens[i] == best);
    CHECK(drawn.logprobs[i] == Approx(std::log(p[static_cast<std::size_t>(best)])).margin(1e-5));
  }
}

TEST_CASE("sampler: with truncation the learner's log-prob is reported and the other beside it",
          "[rollout]") {
  Fixture fixture(testing::kTinyQwen2);
  const std::vector<Draw> draws = draws_of_row(2, 500);
  const std::vector<double> p = fixture.probabilities(2, 0.8);
  std::vector<double> ranked = p;
  std::sort(ranked.rbegin(), ranked.rend());
  const double kept = ranked[0] + ranked[1] + ranked[2];
  Drawn drawn{std::vector<std::int32_t>(500), std::vector<float>(500)};
  std::vector<float> sampling(500);
  Sampler(0.8, {.top_k = 3})
      .sample(fixture.context, fixture.tiny.policy, fixture.hidden.data(), draws, drawn.tokens,
              drawn.logprobs, sampling);
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const double token = p[static_cast<std::size_t>(drawn.tokens[i])];
    REQUIRE(token >= ranked[2]);
    CHECK(drawn.logprobs[i] == Approx(std::log(token)).margin(1e-5));
    CHECK(sampling[i] == Approx(std::log(token / kept)).margin(1e-5));
  }
}

TEST_CASE("sampler: refuses a truncation outside of its ranges", "[rollout]") {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const Truncation& wrong :
       {Truncation{.top_k = -1}, Truncation{.top_p = 0.0}, Truncation{.top_p = 1.01},
        Truncation{.top_p = kNan}, Truncation{.min_p = -0.1}, Truncation{.min_p = 1.01},
        Truncation{.min_p = kNan}}) {
    CHECK_THROWS_AS(Sampler(1.0, wrong), std::invalid_argument);
    CHECK_THROWS_AS(Sampler(0.0, wrong), std::invalid_argument);
  }
  CHECK_NOTHROW(Sampler(1.0, {.top_k = 1, .top_p = 1.0, .min_p = 1.0}));
}

TEST_CASE("sampler: refuses a temperature it cannot divide by", "[rollout]") {
  for (const double temperature : {-1.0, std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::quiet_NaN(), 1e-60, 1e60}) {
    CHECK_THROWS_AS(Sampler(temperature), std::invalid_argument);
  }
  CHECK_NOTHROW(Sampler(1e-3));
}

}  // namespace
}  // namespace zeroth
