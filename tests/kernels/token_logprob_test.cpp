#include "kernels/token_logprob.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

constexpr Tolerance kLogprob{1e-6, 1e-6};

struct Targets {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> ids;
};

// The log-probabilities of all targets, then the entropies of all rows.
std::vector<float> logprobs(const Context& context, const std::vector<float>& logits,
                            std::int64_t V, const Targets& targets,
                            float inverse_temperature = 1.0F) {
  const auto R = static_cast<std::int64_t>(logits.size()) / V;
  const Guarded guarded(logits);
  Guarded out(targets.offsets.back());
  Guarded entropies(R);
  token_logprob(context, {.logits = guarded.data(),
                          .R = R,
                          .V = V,
                          .inverse_temperature = inverse_temperature,
                          .target_offsets = targets.offsets.data(),
                          .targets = targets.ids.data(),
                          .logprobs = out.data(),
                          .entropies = entropies.data()});
  CHECK((out.intact() && entropies.intact()));
  auto all = out.values();
  for (const float entropy : entropies.values()) all.push_back(entropy);
  return all;
}

// Row r has r mod 4 targets.
Targets some_targets(std::int64_t R, std::int64_t V) {
  Targets targets{{0}, {}};
  for (std::int64_t r = 0; r < R; ++r) {
    for (std::int64_t i = 0; i < r % 4; ++i)
      targets.ids.push_back(static_cast<std::int32_t>((r * 31 + i * 17) % V));
    targets.offsets.push_back(static_cast<std::int64_t>(targets.ids.size()));
  }
  return targets;
}

Doubles reference_logprobs(const Doubles& logits, std::int64_t V, const Targets& targets,
                           double scale) {
  Doubles out;
  for (std::size_t r = 0; r + 1 < targets.offsets.size(); ++r) {
    for (std::int64_t i = targets.offsets[r]; i < targets.offsets[r + 1]; ++i) {
      out.push_back(reference_logprob(logits.data() + r * static_cast<std::size_t>(V), V, scale,
                                      targets.ids[i]));
    }
  }
  return out;
}

TEST_CASE("token_logprob: equal logits by hand") {
  for (const Isa isa : supported_isas()) {
    const auto out = logprobs(context_of(isa), {5, 5, 5, 5}, 4, {{0, 2}, {0, 3}});
    check_close(out, std::vector<double>{-std::log(4.0), -std::log(4.0), std::log(4.0)}, {1e-7, 0});
  }
}

TEST_CASE(
    "token_logprob: a certain token has log-probability 0 and no entropy, an impossible one is far "
    "below") {
  const auto out = logprobs(best_context(), {0, 1000, 0}, 3, {{0, 2}, {1, 0}});
  CHECK(out == std::vector<float>{0, -1000, 0});
}

TEST_CASE("token_logprob: the logarithm of a count is right to the last place") {
  for (const std::int64_t V : {1, 2, 3, 15, 16, 17, 100, 1000, 4097, 65536}) {
    const auto out = logprobs(best_context(), std::vector<float>(static_cast<std::size_t>(V), 0.5F),
                              V, {{0, 1}, {0}});
    CHECK(out[0] == static_cast<float>(-std::log(to_double(V))));
  }
}

TEST_CASE("token_logprob: the exponential is right to 2e-7 over its range") {
  // Of logits (0, -x), the first has log-probability -log(1 + e^-x); its distance to 0 is e^-x for
  // large x.
  for (int i = -600; i <= 600; ++i) {
    const float x = static_cast<float>(i) * 0.0271F;
    const auto out = logprobs(best_context(), {0, -x}, 2, {{0, 2}, {0, 1}});
    const double z = static_cast<double>(x);
    CHECK(is_close(static_cast<double>(out[0]), -std::log1p(std::exp(-z)), {2e-7, 2e-7}));
    CHECK(is_close(static_cast<double>(out[1]), -std::log1p(std::exp(z)), {2e-7, 2e-7}));
  }
}

TEST_CASE(
    "token_logprob: agrees with double precision to 1e-6 at odd vocabularies, whatever the "
    "temperature") {
  for (const std::int64_t V : {1, 3, 15, 16, 17, 31, 33, 100, 1025}) {
    const auto logits = random_floats(37 * V, 1, 8.0);
    const Targets targets = some_targets(37, V);
    for (const float inverse_temperature :
         {1.0F, 0.5F, 2.0F}) {  // powers of two, so that scaling is exact
      const auto out = same_everywhere(
          [&](const Context& c) { return logprobs(c, logits, V, targets, inverse_temperature); });
      const auto scale = static_cast<double>(inverse_temperature);
      Doubles expected = reference_logprobs(as_doubles(logits), V, targets, scale);
      for (std::int64_t r = 0; r < 37; ++r) {
        const Doubles row(logits.begin() + r * V, logits.begin() + (r + 1) * V);
        double entropy = 0.0;
        for (const double p : reference_softmax(row.data(), V, scale))
          entropy -= p > 0.0 ? p * std::log(p) : 0.0;
        expected.push_back(entropy);
      }
      check_close(out, expected, kLogprob);
    }
  }
}

TEST_CASE("token_logprob: logits of minus infinity have no probability and spoil nothing") {
  const float never = -std::numeric_limits<float>::infinity();
  for (const Isa isa : supported_isas()) {
    const auto out = logprobs(context_of(isa), {never, 1, never, 1, -1e30F}, 5, {{0, 2}, {1, 0}});
    CHECK(out[0] == Approx(-std::log(2.0)));
    CHECK(out[1] == never);
    CHECK(out[2] == Approx(std::log(2.0)));
  }
}

TEST_CASE(
    "token_logprob: a row's bits do not depend on the other rows, and entropies are optional") {
  const auto logits = random_floats(50 * 65, 2, 8.0);
  Targets targets{{0}, {}};
  for (std::int32_t r = 0; r < 50; ++r) {
    targets.ids.push_back(r % 65);
    targets.offsets.push_back(r + 1);
  }
  const auto whole = logprobs(best_context(), logits, 65, targets);
  for (std::ptrdiff_t r = 0; r < 50; ++r) {
    const std::int64_t offsets[] = {0, 1};
    float alone = kNan;
    token_logprob(best_context(), {.logits = logits.data() + r * 65,
                                   .R = 1,
                                   .V = 65,
                                   .target_offsets = offsets,
                                   .targets = targets.ids.data() + r,
                                   .logprobs = &alone});
    REQUIRE(same_bits({alone}, {whole[static_cast<std::size_t>(r)]}));
  }
}

TEST_CASE("token_logprob_backward: equal logits by hand") {
  // p = 1/2 each; gradients 1 for token 0 and 3 for token 1, at inverse temperature 2: 2 (1 - 4/2),
  // 2 (3 - 4/2).
  const std::int64_t offsets[] = {0, 2};
  const std::int32_t targets[] = {0, 1};
  const float g[] = {1, 3};
  for (const Isa isa : supported_isas()) {
    std::vector<float> logits{7, 7};
    token_logprob_backward(context_of(isa), {.logits = logits.data(),
                                             .R = 1,
                                             .V = 2,
                                             .inverse_temperature = 2.0F,
                                             .target_offsets = offsets,
                                             .targets = targets,
                                             .dlogprobs = g});
    CHECK(logits == std::vector<float>{-2, 2});
  }
}

TEST_CASE(
    "token_logprob_backward: several, repeated and no targets a row agree with finite "
    "differences") {
  for (const std::int64_t V : {1, 3, 16, 17, 33}) {
    const auto logits = random_floats(6 * V, 3, 2.0);
    Targets targets = some_targets(6, V);
    targets.ids.push_back(targets.ids.back());  // the last row names one token twice
    ++targets.offsets.back();
    const auto g = random_floats(targets.offsets.back(), 4);
    const auto dlogits = same_everywhere([&](const Context& c) {
      Guarded in_place(logits);
      token_logprob_backward(c, {.logits = in_place.data(),
                                 .R = 6,
                                 .V = V,
                                 .inverse_temperature = 1.25F,
                                 .target_offsets = targets.offsets.data(),
                                 .targets = targets.ids.data(),
                                 .dlogprobs = g.data()});
      CHECK(in_place.intact());
      return in_place.values();
    });
    const auto loss = [&](const Doubles& x) {
      return testing::dot(reference_logprobs(x, V, targets, 1.25), as_doubles(g));
    };
    check_close(dlogits, numeric_gradient(as_doubles(logits), loss), kGradient);
  }
}

TEST_CASE(
    "token_logprob_backward: many rows on many threads, and a row without targets becomes zero") {
  const auto logits = random_floats(100 * 33, 5, 4.0);
  const Targets targets = some_targets(100, 33);
  const auto g = random_floats(targets.offsets.back(), 6);
  const auto dlogits = same_everywhere([&](const Context& c) {
    auto in_place = logits;
    token_logprob_backward(c, {.logits = in_place.data(),
                               .R = 100,
                               .V = 33,
                               .target_offsets = targets.offsets.data(),
                               .targets = targets.ids.data(),
                               .dlogprobs = g.data()});
    return in_place;
  });
  for (std::size_t r = 0; r < 100; ++r) {
    double sum = 0.0;
    for (std::size_t v = 0; v < 33; ++v) {
      sum += static_cast<double>(dlogits[r * 33 + v]);
      if (r % 4 == 0) REQUIRE(dlogits[r * 33 + v] == 0.0F);
    }
    REQUIRE(std::abs(sum) < 1e-5);  // probabilities move, their sum does not
  }
}

}  // namespace
}  // namespace zeroth
