// sample of token_logprob.h.
#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "kernels/random.h"
#include "kernels/token_logprob.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

constexpr double kAlmostOne = 1.0 - 0x1.0p-53;
constexpr float kNever = -std::numeric_limits<float>::infinity();

struct Draws {
  std::vector<std::int32_t> tokens;
  std::vector<float> logprobs;
};

// One draw for each row of logits.
Draws draw(const Context& context, const std::vector<float>& logits,
           const std::vector<double>& uniforms, float inverse_temperature = 1.0F) {
  const auto R = static_cast<std::int64_t>(uniforms.size());
  const Guarded guarded(logits);
  Draws draws{std::vector<std::int32_t>(uniforms.size(), -1),
              std::vector<float>(uniforms.size(), kNan)};
  sample(context, {.logits = guarded.data(),
                   .R = R,
                   .V = static_cast<std::int64_t>(logits.size()) / R,
                   .inverse_temperature = inverse_temperature,
                   .uniforms = uniforms.data(),
                   .tokens = draws.tokens.data(),
                   .logprobs = draws.logprobs.data()});
  return draws;
}

std::int32_t draw_one(const Context& context, const std::vector<float>& logits, double uniform) {
  return draw(context, logits, {uniform}).tokens[0];
}

TEST_CASE("sample: four equal tokens share the unit interval in order of id") {
  for (const Isa isa : supported_isas()) {
    const Context context = context_of(isa);
    const std::vector<float> logits{3, 3, 3, 3};
    CHECK(draw_one(context, logits, 0.0) == 0);
    CHECK(draw_one(context, logits, 0.2499) == 0);
    CHECK(draw_one(context, logits, 0.25) == 1);  // the first token at which the sum exceeds u
    CHECK(draw_one(context, logits, 0.74) == 2);
    CHECK(draw_one(context, logits, 0.75) == 3);
    CHECK(draw_one(context, logits, kAlmostOne) == 3);
  }
}

TEST_CASE("sample: greedy takes the lowest id among equals") {
  for (const Isa isa : supported_isas()) {
    CHECK(draw_one(context_of(isa), {1, 5, 2, 5, 5}, -1.0) == 1);
    CHECK(draw_one(context_of(isa), {-2, -2}, -1.0) == 0);
    CHECK(draw_one(context_of(isa), {kNever, kNever, 0}, -1.0) == 2);
  }
}

TEST_CASE("sample: tokens without probability are never drawn, at either end of the interval") {
  for (const Isa isa : supported_isas()) {
    for (const float lowest : {kNever, -1e30F}) {
      std::vector<float> logits(
          3000, lowest);  // three blocks of the scan, the first and the last without mass
      logits[1100] = 0.0F;
      logits[1500] = 0.0F;
      CHECK(draw_one(context_of(isa), logits, 0.0) == 1100);
      CHECK(draw_one(context_of(isa), logits, 0.49) == 1100);
      CHECK(draw_one(context_of(isa), logits, 0.5) == 1500);
      CHECK(draw_one(context_of(isa), logits, kAlmostOne) == 1500);
    }
  }
}

TEST_CASE("sample: the ends of the interval draw a token with probability from uneven logits") {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    auto logits = random_floats(2500, seed, 20.0);
    logits[0] = kNever;
    logits[2499] = kNever;
    CHECK(draw_one(best_context(), logits, 0.0) == 1);
    const auto last = static_cast<std::size_t>(draw_one(best_context(), logits, kAlmostOne));
    CHECK(logits[last] > -100.0F);
  }
}

TEST_CASE("sample: inverts the cumulative distribution, except within rounding of a step") {
  for (const std::int64_t V : {1, 3, 16, 17, 100, 1024, 1025, 3000}) {
    const auto logits = random_floats(V, 7, 3.0);
    const Doubles p = reference_softmax(as_doubles(logits).data(), V, 1.0);
    for (int i = 0; i < 101; ++i) {
      const double u = i / 101.0;
      const auto token = static_cast<std::size_t>(draw_one(best_context(), logits, u));
      double below = 0.0;
      for (std::size_t v = 0; v < token; ++v) below += p[v];
      CHECK(below <= u + 1e-6);
      CHECK(below + p[token] >= u - 1e-6);
    }
  }
}

TEST_CASE(
    "sample: the same draws on every instruction set and number of threads, alone or in a batch") {
  constexpr std::int64_t kVocabulary = 1500;
  const auto logits = random_floats(60 * kVocabulary, 8, 4.0);
  std::vector<double> uniforms;
  for (std::uint32_t r = 0; r < 60; ++r) {
    uniforms.push_back(r % 7 == 0 ? -1.0 : uniform_double(SampleKey{.seed = 3, .sample = r}));
  }
  Draws whole;
  same_everywhere([&](const Context& c) {
    whole = draw(c, logits, uniforms, 1.25F);
    auto all = whole.logprobs;
    for (const std::int32_t token : whole.tokens) all.push_back(static_cast<float>(token));
    return all;
  });
  for (std::size_t r = 0; r < 60; ++r) {
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(r) * kVocabulary;
    const Draws alone = draw(best_context(), {begin, begin + kVocabulary}, {uniforms[r]}, 1.25F);
    REQUIRE(alone.tokens[0] == whole.tokens[r]);
    REQUIRE(same_bits(alone.logprobs, {whole.logprobs[r]}));
  }
}

TEST_CASE("sample: reports the bits that token_logprob computes") {
  const auto logits = random_floats(40 * 100, 9, 4.0);
  std::vector<double> uniforms;
  for (std::uint32_t r = 0; r < 40; ++r)
    uniforms.push_back(uniform_double(SampleKey{.seed = 4, .sample = r}));
  const Draws draws = draw(best_context(), logits, uniforms, 0.7F);
  std::vector<std::int64_t> offsets;
  for (std::int64_t r = 0; r <= 40; ++r) offsets.push_back(r);
  std::vector<float> logprobs(40);
  token_logprob(best_context(), {.logits = logits.data(),
                                 .R = 40,
                                 .V = 100,
                                 .inverse_temperature = 0.7F,
                                 .target_offsets = offsets.data(),
                                 .targets = draws.tokens.data(),
                                 .logprobs = logprobs.data()});
  CHECK(same_bits(logprobs, draws.logprobs));
}

// How far 200,000 draws are from softmax(scale * row): chi-square of V - 1 degrees of freedom.
double chi_square(const std::vector<float>& row, float drawn_at, double expected_at) {
  constexpr std::uint32_t kBatch = 1000;
  constexpr std::uint32_t kBatches = 200;
  std::vector<float> logits;
  for (std::uint32_t r = 0; r < kBatch; ++r) logits.insert(logits.end(), row.begin(), row.end());
  std::vector<double> counts(row.size());
  std::vector<double> uniforms(kBatch);
  for (std::uint32_t batch = 0; batch < kBatches; ++batch) {
    for (std::uint32_t r = 0; r < kBatch; ++r) {
      uniforms[r] = uniform_double(SampleKey{.seed = 11, .step = batch, .sample = r});
    }
    for (const std::int32_t token : draw(best_context(), logits, uniforms, drawn_at).tokens) {
      counts[static_cast<std::size_t>(token)] += 1.0;
    }
  }
  const Doubles p =
      reference_softmax(as_doubles(row).data(), static_cast<std::int64_t>(row.size()), expected_at);
  double chi = 0.0;
  for (std::size_t v = 0; v < row.size(); ++v) {
    const double expected = p[v] * kBatch * kBatches;
    chi += (counts[v] - expected) * (counts[v] - expected) / expected;
  }
  return chi;
}

TEST_CASE("sample: 200,000 draws are distributed as the softmax") {
  const auto row = random_floats(37, 10, 2.0);
  CHECK(chi_square(row, 1.0F, 1.0) <
        73.0);  // 36 degrees of freedom exceed 73 once in 4,000 seeds; the seed is fixed
  CHECK(chi_square(row, 2.0F, 2.0) < 73.0);
}

TEST_CASE("sample: control: draws at a temperature five per cent off are told from the softmax") {
  CHECK(chi_square(random_floats(37, 10, 2.0), 1.05F, 1.0) > 150.0);
}

}  // namespace
}  // namespace zeroth
