#include "kernels/router.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

struct Routing {
  std::vector<float> scores, weights;
  std::vector<std::int32_t> experts;
};

// `args` says E, K, groups and the kind of score.
Routing route(const Context& context, RouterArgs args, const std::vector<float>& logits,
              const std::vector<float>& bias = {}) {
  args.T = static_cast<std::int64_t>(logits.size()) / args.E;
  const Guarded guarded(logits);
  Guarded scores(args.T * args.E);
  Guarded weights(args.T * args.K);
  std::vector<std::int32_t> experts(static_cast<std::size_t>(args.T * args.K), -1);
  args.logits = guarded.data();
  args.bias = bias.empty() ? nullptr : bias.data();
  args.scores = scores.data();
  args.weights = weights.data();
  args.experts = experts.data();
  router(context, args);
  CHECK((scores.intact() && weights.intact()));
  return {scores.values(), weights.values(), experts};
}

// Scores, weights and experts of a routing as one vector, for comparison of bits.
std::vector<float> joined(const Routing& routing) {
  auto all = routing.scores;
  all.insert(all.end(), routing.weights.begin(), routing.weights.end());
  for (const std::int32_t e : routing.experts) all.push_back(static_cast<float>(e));
  return all;
}

// The weights of the given experts in double precision.
Doubles reference_weights(const RouterArgs& args, const Doubles& logits,
                          const std::vector<std::int32_t>& experts) {
  Doubles weights;
  for (std::size_t t = 0; t < logits.size() / static_cast<std::size_t>(args.E); ++t) {
    const double* const row = logits.data() + t * static_cast<std::size_t>(args.E);
    Doubles s = reference_softmax(row, args.E, 1.0);
    for (std::size_t e = 0; !args.softmax && e < s.size(); ++e) s[e] = reference_sigmoid(row[e]);
    double total = 0.0;
    for (std::int64_t k = 0; k < args.K; ++k) total += s[experts[t * args.K + k]];
    for (std::int64_t k = 0; k < args.K; ++k) {
      const double weight = s[experts[t * args.K + k]] / (args.normalize ? total : 1.0);
      weights.push_back(weight * static_cast<double>(args.scaling_factor));
    }
  }
  return weights;
}

TEST_CASE("router: sigmoid scores by hand, ties go to the lower id") {
  for (const Isa isa : supported_isas()) {
    const auto r =
        route(context_of(isa), {.E = 5, .K = 3, .scaling_factor = 3.0F}, {0, -100, 0, 0, 0});
    CHECK(r.experts == std::vector<std::int32_t>{0, 2, 3});
    check_close(r.weights, std::vector<double>{1, 1, 1}, {1e-6, 0});
    check_close(r.scores, std::vector<double>{0.5, 0, 0.5, 0.5, 0.5}, {1e-6, 1e-12});
  }
}

TEST_CASE("router: chosen experts stand in descending order of choice") {
  const auto r =
      route(best_context(), {.E = 4, .K = 4, .softmax = true, .normalize = false}, {1, 3, 0, 2});
  CHECK(r.experts == std::vector<std::int32_t>{1, 3, 0, 2});
  CHECK(r.weights[0] + r.weights[1] + r.weights[2] + r.weights[3] == Approx(1.0));
}

TEST_CASE("router: the bias decides but does not weigh") {
  const auto r = route(best_context(), {.E = 3, .K = 1, .normalize = false}, {2, 1, 0}, {0, 0, 1});
  CHECK(r.experts == std::vector<std::int32_t>{2});
  CHECK(r.weights[0] == 0.5F);
}

TEST_CASE("router: groups are judged by the sum of their two best choices") {
  // Groups of two: sums .9+.0, .6+.5, .7+.1, .55+.5. The best two groups are 1 and 3, without the
  // best expert, 0.
  const std::vector<float> bias{0.9F, 0.0F, 0.6F, 0.5F, 0.7F, 0.1F, 0.55F, 0.5F};
  const std::vector<float> logits(8, 0.0F);
  const auto r =
      route(best_context(), {.E = 8, .K = 3, .n_group = 4, .topk_group = 2}, logits, bias);
  CHECK(r.experts == std::vector<std::int32_t>{2, 6, 3});
  const auto all = route(best_context(), {.E = 8, .K = 3}, logits, bias);
  CHECK(all.experts == std::vector<std::int32_t>{0, 4, 2});
}

TEST_CASE("router: with group_max a group is judged by its best choice") {
  // Groups of two. By the best: groups 0 (.9) and 2 (.7); by the two best: 1 (1.1) and 3 (1.05).
  const std::vector<float> bias{0.9F, 0.0F, 0.6F, 0.5F, 0.7F, 0.1F, 0.55F, 0.5F};
  const std::vector<float> logits(8, 0.0F);
  RouterArgs args{.E = 8, .K = 3, .n_group = 4, .topk_group = 2, .group_max = true};
  CHECK(route(best_context(), args, logits, bias).experts == std::vector<std::int32_t>{0, 4, 5});
  args.group_max = false;
  CHECK(route(best_context(), args, logits, bias).experts == std::vector<std::int32_t>{2, 6, 3});
}

// The groups that may be chosen from, in double precision, ties to the lower id.
std::vector<bool> reference_groups(const RouterArgs& args, const float* choice) {
  const std::int64_t size = args.E / args.n_group;
  std::vector<std::pair<double, std::int64_t>> ranking;
  for (std::int64_t g = 0; g < args.n_group; ++g) {
    std::vector<double> in_group(choice + g * size, choice + (g + 1) * size);
    std::sort(in_group.rbegin(), in_group.rend());
    const double score = args.group_max || size == 1 ? in_group[0] : in_group[0] + in_group[1];
    ranking.emplace_back(-score, g);
  }
  std::sort(ranking.begin(), ranking.end());
  std::vector<bool> keep(static_cast<std::size_t>(args.n_group));
  for (std::int64_t k = 0; k < args.topk_group; ++k)
    keep[static_cast<std::size_t>(ranking[static_cast<std::size_t>(k)].second)] = true;
  return keep;
}

TEST_CASE("router: experts of groups agree with a plain sort, for each kind of group score") {
  for (const bool group_max : {false, true}) {
    for (const std::int64_t groups : {2, 3, 5}) {
      for (const std::int64_t size : {1, 2, 7, 16, 21}) {
        const RouterArgs args{.E = groups * size,
                              .K = std::min<std::int64_t>(2 * size, 5),
                              .n_group = groups,
                              .topk_group = 2,
                              .group_max = group_max,
                              .softmax = group_max,
                              .normalize = !group_max,
                              .scaling_factor = 16.0F};
        const auto logits = random_floats(61 * args.E, 8, 3.0);
        same_everywhere([&](const Context& c) { return joined(route(c, args, logits)); });
        const auto r = route(best_context(), args, logits);
        check_close(r.weights, reference_weights(args, as_doubles(logits), r.experts),
                    {2e-6, 1e-7});
        for (std::int64_t t = 0; t < 61; ++t) {
          const float* const s = r.scores.data() + t * args.E;
          const std::vector<bool> keep = reference_groups(args, s);
          std::vector<std::int32_t> eligible;
          for (std::int32_t e = 0; e < args.E; ++e) {
            if (keep[static_cast<std::size_t>(e / size)]) eligible.push_back(e);
          }
          std::stable_sort(eligible.begin(), eligible.end(),
                           [&](std::int32_t a, std::int32_t b) { return s[a] > s[b]; });
          eligible.resize(static_cast<std::size_t>(args.K));
          REQUIRE(std::equal(eligible.begin(), eligible.end(), r.experts.data() + t * args.K));
        }
      }
    }
  }
}

TEST_CASE(
    "router: equal groups go to the lower id, and groups of one are judged by their one choice") {
  const auto equal =
      route(best_context(), {.E = 6, .K = 2, .n_group = 3, .topk_group = 1}, {0, 0, 0, 0, 0, 0});
  CHECK(equal.experts == std::vector<std::int32_t>{0, 1});
  const auto ones =
      route(best_context(), {.E = 4, .K = 2, .n_group = 4, .topk_group = 2}, {0, 3, 1, 2});
  CHECK(ones.experts == std::vector<std::int32_t>{1, 3});
}

TEST_CASE("router: agrees with double precision at odd numbers of experts") {
  for (const bool softmax : {false, true}) {
    for (const bool normalize : {false, true}) {
      for (const std::int64_t E : kOddSizes) {
        const RouterArgs args{.E = E,
                              .K = std::min<std::int64_t>(E, 3),
                              .softmax = softmax,
                              .normalize = normalize,
                              .scaling_factor = 2.5F};
        const auto logits = random_floats(70 * E, 1, 4.0);
        const auto bias = random_floats(E, 2, 0.1);
        same_everywhere([&](const Context& c) { return joined(route(c, args, logits, bias)); });
        const auto r = route(best_context(), args, logits, bias);
        check_close(r.weights, reference_weights(args, as_doubles(logits), r.experts),
                    {2e-6, 1e-7});
        for (std::int64_t t = 0; t < 70; ++t) {  // nobody left out beats one who was chosen
          const float* const s = r.scores.data() + t * E;
          const std::int32_t* const chosen = r.experts.data() + t * args.K;
          const std::int32_t last = chosen[args.K - 1];
          for (std::int32_t e = 0; e < E; ++e) {
            if (std::find(chosen, chosen + args.K, e) == chosen + args.K) {
              REQUIRE(s[e] + bias[e] <= s[last] + bias[last]);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("router: a row's bits do not depend on the other rows") {
  const RouterArgs args{.E = 24, .K = 4, .n_group = 4, .topk_group = 2};
  const auto logits = random_floats(50 * 24, 3, 3.0);
  const auto whole = route(best_context(), args, logits);
  for (std::ptrdiff_t t = 0; t < 50; ++t) {
    const auto alone =
        route(best_context(), args, {logits.begin() + t * 24, logits.begin() + (t + 1) * 24});
    REQUIRE(same_bits(alone.weights,
                      {whole.weights.begin() + t * 4, whole.weights.begin() + (t + 1) * 4}));
    REQUIRE(std::equal(alone.experts.begin(), alone.experts.end(), whole.experts.begin() + t * 4));
  }
}

TEST_CASE("router_backward: agrees with finite differences for each kind of score") {
  for (const bool softmax : {false, true}) {
    for (const bool normalize : {false, true}) {
      for (const std::int64_t E : {2, 16, 17, 33}) {
        const RouterArgs args{
            .E = E, .K = 2, .softmax = softmax, .normalize = normalize, .scaling_factor = 2.5F};
        const auto logits = random_floats(133 * E, 4, 2.0);
        const auto dweights = random_floats(133 * 2, 5);
        const auto r = route(best_context(), args, logits);
        const auto dlogits = same_everywhere([&](const Context& c) {
          Guarded out(133 * E);
          router_backward(c, {.scores = r.scores.data(),
                              .experts = r.experts.data(),
                              .dweights = dweights.data(),
                              .dlogits = out.data(),
                              .T = 133,
                              .E = E,
                              .K = 2,
                              .softmax = softmax,
                              .normalize = normalize,
                              .scaling_factor = 2.5F});
          CHECK(out.intact());
          return out.values();
        });
        // Rows do not mix, so three of them say it all.
        const std::vector<std::int32_t> experts(r.experts.begin(), r.experts.begin() + 6);
        const Doubles upstream(dweights.begin(), dweights.begin() + 6);
        const Doubles at(logits.begin(), logits.begin() + 3 * E);
        const auto loss = [&](const Doubles& x) {
          return testing::dot(reference_weights(args, x, experts), upstream);
        };
        check_close({dlogits.begin(), dlogits.begin() + 3 * E}, numeric_gradient(at, loss),
                    kGradient);
      }
    }
  }
}

}  // namespace
}  // namespace zeroth
