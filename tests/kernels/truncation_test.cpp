// truncation.h, and sample of token_logprob.h over what it leaves.
#include "kernels/truncation.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "kernels/random.h"
#include "kernels/token_logprob.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;
using Ids = std::vector<std::int64_t>;

struct Draws {
  std::vector<std::int32_t> tokens;
  std::vector<float> logprobs, sampling_logprobs, weights;
};

// A draw for each row of logits from what the truncation leaves of it.
Draws draw(const Context& context, const std::vector<float>& logits,
           const std::vector<double>& uniforms, const Truncation& truncation,
           float inverse_temperature = 1.0F) {
  const auto R = static_cast<std::int64_t>(uniforms.size());
  const auto V = static_cast<std::int64_t>(logits.size()) / R;
  const Guarded guarded(logits);
  Draws draws{std::vector<std::int32_t>(uniforms.size(), -1),
              std::vector<float>(uniforms.size(), kNan), std::vector<float>(uniforms.size(), kNan),
              std::vector<float>(logits.size(), kNan)};
  std::vector<std::uint64_t> ranking(logits.size());
  token_weights(context, {.logits = guarded.data(),
                          .weights = draws.weights.data(),
                          .R = R,
                          .V = V,
                          .inverse_temperature = inverse_temperature});
  truncate(context, {.logits = guarded.data(),
                     .weights = draws.weights.data(),
                     .ranking = ranking.data(),
                     .R = R,
                     .V = V,
                     .truncation = truncation});
  sample(context, {.logits = guarded.data(),
                   .R = R,
                   .V = V,
                   .inverse_temperature = inverse_temperature,
                   .uniforms = uniforms.data(),
                   .tokens = draws.tokens.data(),
                   .logprobs = draws.logprobs.data(),
                   .weights = draws.weights.data(),
                   .sampling_logprobs = draws.sampling_logprobs.data()});
  return draws;
}

// The same without weights.
Draws draw_whole(const Context& context, const std::vector<float>& logits,
                 const std::vector<double>& uniforms, float inverse_temperature) {
  Draws draws{std::vector<std::int32_t>(uniforms.size(), -1),
              std::vector<float>(uniforms.size(), kNan),
              {},
              {}};
  sample(context, {.logits = logits.data(),
                   .R = static_cast<std::int64_t>(uniforms.size()),
                   .V = static_cast<std::int64_t>(logits.size()) /
                        static_cast<std::int64_t>(uniforms.size()),
                   .inverse_temperature = inverse_temperature,
                   .uniforms = uniforms.data(),
                   .tokens = draws.tokens.data(),
                   .logprobs = draws.logprobs.data()});
  return draws;
}

Ids left(const std::vector<float>& logits, const Truncation& truncation,
         float inverse_temperature = 1.0F) {
  const Draws draws = draw(best_context(), logits, {0.0}, truncation, inverse_temperature);
  Ids ids;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    if (draws.weights[v] != 0.0F) ids.push_back(static_cast<std::int64_t>(v));
  }
  return ids;
}

// Logits of probabilities.
std::vector<float> logs(const std::vector<double>& p) {
  std::vector<float> logits;
  for (const double value : p) logits.push_back(static_cast<float>(std::log(value)));
  return logits;
}

// The definition, in plain fp64: ids in ascending order.
Ids reference_left(const std::vector<float>& logits, const Truncation& truncation, double scale) {
  Ids ranked(logits.size());
  std::iota(ranked.begin(), ranked.end(), 0);
  std::stable_sort(ranked.begin(), ranked.end(), [&](std::int64_t a, std::int64_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  const Doubles p =
      reference_softmax(as_doubles(logits).data(), static_cast<std::int64_t>(logits.size()), scale);
  const auto probability = [&](std::int64_t id) { return p[static_cast<std::size_t>(id)]; };
  if (truncation.top_k > 0 && truncation.top_k < static_cast<std::int64_t>(ranked.size()))
    ranked.resize(static_cast<std::size_t>(truncation.top_k));
  if (truncation.top_p < 1.0) {
    double total = 0.0, sum = 0.0;
    for (const std::int64_t id : ranked) total += probability(id);
    std::size_t count = 0;
    while (count < ranked.size() && sum < truncation.top_p * total)
      sum += probability(ranked[count++]);
    ranked.resize(count);
  }
  const double least = truncation.min_p * probability(ranked[0]);
  std::erase_if(ranked, [&](std::int64_t id) { return probability(id) < least; });
  std::sort(ranked.begin(), ranked.end());
  return ranked;
}

const Truncation kTruncations[] = {
    {.top_k = 1},
    {.top_k = 7},
    {.top_k = 900},
    {.top_p = 0.1},
    {.top_p = 0.9},
    {.top_p = 0.999},
    {.min_p = 0.05},
    {.min_p = 0.5},
    {.top_k = 20, .top_p = 0.7},
    {.top_k = 40, .min_p = 0.1},
    {.top_p = 0.8, .min_p = 0.2},
    {.top_k = 30, .top_p = 0.95, .min_p = 0.01},
};

TEST_CASE("truncate: each rule by hand") {
  const std::vector<float> logits = logs({0.1, 0.4, 0.05, 0.25, 0.2});
  CHECK(left(logits, {}) == Ids{0, 1, 2, 3, 4});
  CHECK(left(logits, {.top_k = 2}) == Ids{1, 3});
  CHECK(left(logits, {.top_k = 5}) == Ids{0, 1, 2, 3, 4});
  CHECK(left(logits, {.top_k = 9}) == Ids{0, 1, 2, 3, 4});
  CHECK(left(logits, {.top_p = 0.3}) == Ids{1});
  CHECK(left(logits, {.top_p = 0.6}) == Ids{1, 3});     // 0.4 is not enough, 0.65 is
  CHECK(left(logits, {.top_p = 0.7}) == Ids{1, 3, 4});  // 0.85
  CHECK(left(logits, {.top_p = 1e-9}) == Ids{1});       // one is always left
  CHECK(left(logits, {.min_p = 0.4}) == Ids{1, 3, 4});  // at least 0.16
  CHECK(left(logits, {.min_p = 1.0}) == Ids{1});
}

TEST_CASE("truncate: the rules follow one another") {
  const std::vector<float> logits = logs({0.1, 0.4, 0.05, 0.25, 0.2});
  // Of the first three, 0.85 together, 0.4 and 0.25 have 76 %. Of all they have 65 %.
  CHECK(left(logits, {.top_k = 3, .top_p = 0.7}) == Ids{1, 3});
  CHECK(left(logits, {.top_p = 0.7}) == Ids{1, 3, 4});
  // top_p leaves 0.4, 0.25 and 0.2, min_p those above 0.18. min_p first would have left 0.4 and
  // 0.25 to top_p: 76 % of the three.
  CHECK(left(logits, {.top_p = 0.7, .min_p = 0.45}) == Ids{1, 3, 4});
  CHECK(left(logits, {.top_p = 0.7, .min_p = 0.55}) == Ids{1, 3});
}

TEST_CASE("truncate: the temperature comes first") {
  const std::vector<float> logits = logs({0.1, 0.4, 0.05, 0.25, 0.2});
  // Squared and normalised: 0.036, 0.567, 0.009, 0.222, 0.142 (of 0.2800).
  CHECK(left(logits, {.top_p = 0.7}, 2.0F) == Ids{1, 3});
  CHECK(left(logits, {.min_p = 0.4}, 2.0F) == Ids{1});
  CHECK(left(logits, {.top_k = 2}, 2.0F) == Ids{1, 3});
}

TEST_CASE("truncate: of equal tokens the lowest ids are left") {
  CHECK(left({1, 5, 2, 5, 5}, {.top_k = 2}) == Ids{1, 3});
  CHECK(left({0, 0, 0, 0}, {.top_k = 3}) == Ids{0, 1, 2});
  CHECK(left({0, 0, 0, 0}, {.top_p = 0.5}) == Ids{0, 1});
  CHECK(left({0, 0, 0, 0}, {.min_p = 1.0}) == Ids{0, 1, 2, 3});
  CHECK(left({-0.0F, 0.0F, -0.0F, -1.0F}, {.top_k = 2}) == Ids{0, 1});  // zeros are equal
}

TEST_CASE("truncate: agrees with a plain sort in fp64") {
  for (const std::int64_t V : {1, 2, 16, 17, 100, 1025, 3000}) {
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
      const auto logits = random_floats(V, seed, seed % 2 == 0 ? 2.0 : 8.0);
      for (const Truncation& truncation : kTruncations) {
        for (const float scale : {1.0F, 0.5F, 2.0F}) {
          CAPTURE(V, seed, truncation.top_k, truncation.top_p, truncation.min_p, scale);
          REQUIRE(left(logits, truncation, scale) ==
                  reference_left(logits, truncation, static_cast<double>(scale)));
        }
      }
    }
  }
}

TEST_CASE("truncate: odd rows leave a token and touch nothing else") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Truncation& truncation : kTruncations) {
    CHECK(left({-kInfinity, -kInfinity, 3.0F}, truncation) == Ids{2});
    CHECK(left({1000.0F, -1000.0F, -1e30F}, truncation) == Ids{0});
    CHECK_NOTHROW(left({kNan, 1.0F, kNan, -kNan, 2.0F}, truncation));  // nobody's numbers
  }
}

TEST_CASE("sample: with truncation, tokens come from what is left and are reported twice") {
  constexpr std::int64_t kVocabulary = 1500;
  constexpr std::int64_t kRows = 40;
  const auto logits = random_floats(kRows * kVocabulary, 8, 4.0);
  std::vector<double> uniforms;
  for (std::uint32_t r = 0; r < kRows; ++r)
    uniforms.push_back(r % 8 == 0   ? 0.0
                       : r % 8 == 1 ? 1.0 - 0x1.0p-53
                                    : uniform_double(SampleKey{.seed = 3, .sample = r}));
  for (const Truncation& truncation : kTruncations) {
    CAPTURE(truncation.top_k, truncation.top_p, truncation.min_p);
    const Draws draws = draw(best_context(), logits, uniforms, truncation, 1.25F);
    for (std::int64_t r = 0; r < kRows; ++r) {
      const std::vector<float> row(logits.begin() + r * kVocabulary,
                                   logits.begin() + (r + 1) * kVocabulary);
      const Ids ids = reference_left(row, truncation, 1.25);
      const auto i = static_cast<std::size_t>(r);
      const std::int64_t token = draws.tokens[i];
      REQUIRE(std::binary_search(ids.begin(), ids.end(), token));
      const Doubles whole = as_doubles(row);
      Doubles kept;
      for (const std::int64_t id : ids) kept.push_back(whole[static_cast<std::size_t>(id)]);
      const auto place = std::find(ids.begin(), ids.end(), token) - ids.begin();
      CHECK(static_cast<double>(draws.logprobs[i]) ==
            Approx(reference_logprob(whole.data(), kVocabulary, 1.25, token)).margin(1e-5));
      CHECK(static_cast<double>(draws.sampling_logprobs[i]) ==
            Approx(
                reference_logprob(kept.data(), static_cast<std::int64_t>(kept.size()), 1.25, place))
                .margin(1e-5));
    }
  }
}

TEST_CASE("sample: with truncation, the same bits everywhere, alone or in a batch") {
  constexpr std::int64_t kVocabulary = 1500;
  constexpr std::size_t kRows = 30;
  const auto logits = random_floats(kRows * kVocabulary, 8, 4.0);
  std::vector<double> uniforms;
  for (std::uint32_t r = 0; r < kRows; ++r)
    uniforms.push_back(r % 7 == 0 ? -1.0 : uniform_double(SampleKey{.seed = 3, .sample = r}));
  for (const Truncation& truncation : kTruncations) {
    Draws whole;
    same_everywhere([&](const Context& c) {
      whole = draw(c, logits, uniforms, truncation, 1.25F);
      std::vector<float> all = whole.logprobs;
      all.insert(all.end(), whole.sampling_logprobs.begin(), whole.sampling_logprobs.end());
      all.insert(all.end(), whole.weights.begin(), whole.weights.end());
      for (const std::int32_t token : whole.tokens) all.push_back(static_cast<float>(token));
      return all;
    });
    for (std::size_t r = 0; r < kRows; ++r) {
      const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(r) * kVocabulary;
      const Draws alone =
          draw(best_context(), {begin, begin + kVocabulary}, {uniforms[r]}, truncation, 1.25F);
      REQUIRE(alone.tokens[0] == whole.tokens[r]);
      REQUIRE(same_bits(alone.logprobs, {whole.logprobs[r]}));
      REQUIRE(same_bits(alone.sampling_logprobs, {whole.sampling_logprobs[r]}));
    }
  }
}

TEST_CASE("sample: top_k of 1 is greedy at any temperature, with a sampling log-prob of 0") {
  constexpr std::int64_t kVocabulary = 300;
  auto logits = random_floats(50 * kVocabulary, 9, 4.0);
  for (float& logit : logits) logit = std::round(logit);  // many equals
  std::vector<double> uniforms, greedy(50, -1.0);
  for (std::uint32_t r = 0; r < 50; ++r)
    uniforms.push_back(uniform_double(SampleKey{.seed = 4, .sample = r}));
  for (const float scale : {0.5F, 1.0F, 3.0F}) {
    const Draws first = draw(best_context(), logits, uniforms, {.top_k = 1}, scale);
    CHECK(first.tokens == draw_whole(best_context(), logits, greedy, scale).tokens);
    CHECK(same_bits(first.sampling_logprobs, std::vector<float>(50, 0.0F)));
  }
}

TEST_CASE("sample: a truncation that leaves everything changes no bit") {
  constexpr std::int64_t kVocabulary = 1500;
  const auto logits = random_floats(60 * kVocabulary, 8, 4.0);
  std::vector<double> uniforms;
  for (std::uint32_t r = 0; r < 60; ++r)
    uniforms.push_back(uniform_double(SampleKey{.seed = 3, .sample = r}));
  const Draws whole = draw_whole(best_context(), logits, uniforms, 1.25F);
  for (const Truncation& all : {Truncation{}, Truncation{.top_k = kVocabulary},
                                Truncation{.top_k = 1 << 30}, Truncation{.min_p = 1e-30}}) {
    const Draws draws = draw(best_context(), logits, uniforms, all, 1.25F);
    CHECK(draws.tokens == whole.tokens);
    CHECK(same_bits(draws.logprobs, whole.logprobs));
    CHECK(same_bits(draws.sampling_logprobs, whole.logprobs));
  }
  // A control: one that leaves almost everything changes some.
  const Draws fewer = draw(best_context(), logits, uniforms, {.top_p = 0.97}, 1.25F);
  CHECK(fewer.tokens != whole.tokens);
  CHECK(same_bits(fewer.logprobs, whole.logprobs) == false);
}

// How far 200,000 truncated draws are from softmax(row) over `ids`: chi-square of ids.size() - 1
// degrees of freedom; infinite when another token was drawn.
double chi_square(const std::vector<float>& row, const Truncation& truncation, const Ids& ids) {
  constexpr std::uint32_t kBatch = 1000;
  constexpr std::uint32_t kBatches = 200;
  std::vector<float> logits;
  for (std::uint32_t r = 0; r < kBatch; ++r) logits.insert(logits.end(), row.begin(), row.end());
  std::vector<double> counts(row.size());
  std::vector<double> uniforms(kBatch);
  for (std::uint32_t batch = 0; batch < kBatches; ++batch) {
    for (std::uint32_t r = 0; r < kBatch; ++r)
      uniforms[r] = uniform_double(SampleKey{.seed = 11, .step = batch, .sample = r});
    for (const std::int32_t token : draw(best_context(), logits, uniforms, truncation).tokens)
      counts[static_cast<std::size_t>(token)] += 1.0;
  }
  Doubles kept;
  for (const std::int64_t id : ids)
    kept.push_back(static_cast<double>(row[static_cast<std::size_t>(id)]));
  const Doubles p = reference_softmax(kept.data(), static_cast<std::int64_t>(kept.size()), 1.0);
  double chi = 0.0, drawn = 0.0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const double expected = p[i] * kBatch * kBatches;
    const double count = counts[static_cast<std::size_t>(ids[i])];
    drawn += count;
    chi += (count - expected) * (count - expected) / expected;
  }
  return drawn == kBatch * kBatches ? chi : std::numeric_limits<double>::infinity();
}

TEST_CASE("sample: 200,000 truncated draws are distributed as the softmax of what is left") {
  const auto row = random_floats(60, 10, 2.0);
  for (const Truncation& truncation :
       {Truncation{.top_k = 12}, Truncation{.top_p = 0.8}, Truncation{.min_p = 0.1},
        Truncation{.top_k = 20, .top_p = 0.9, .min_p = 0.05}}) {
    const Ids ids = reference_left(row, truncation, 1.0);
    CAPTURE(truncation.top_k, truncation.top_p, truncation.min_p, ids.size());
    REQUIRE(ids.size() > 5);
    REQUIRE(ids.size() < 50);
    // 50 degrees of freedom exceed 95 once in 8,000 seeds, fewer exceed it less; the seed is fixed.
    CHECK(chi_square(row, truncation, ids) < 95.0);
  }
}

TEST_CASE("sample: control: one token more or less is told from the softmax of what is left") {
  const auto row = random_floats(60, 10, 2.0);
  const Ids ids = reference_left(row, {.top_k = 12}, 1.0);
  CHECK(chi_square(row, {.top_k = 11}, ids) > 1000.0);
  CHECK(chi_square(row, {.top_k = 13}, ids) > 1000.0);
}

}  // namespace
}  // namespace zeroth
