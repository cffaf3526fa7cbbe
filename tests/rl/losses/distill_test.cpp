#include "rl/losses/distill.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"

namespace zeroth {
namespace {

struct Result {
  std::vector<float> dlogits;
  std::vector<double> divergences;
};

Result run(const std::vector<float>& student, const std::vector<float>& teacher,
           const std::vector<double>& weights, int num_threads = 1) {
  Result result{std::vector<float>(student.size()), std::vector<double>(weights.size())};
  forward_kl(testing::context_of(best_isa(), num_threads),
             {.student = student,
              .teacher = teacher,
              .vocab_size = static_cast<std::int64_t>(student.size() / weights.size()),
              .weights = weights,
              .dlogits = result.dlogits,
              .divergences = result.divergences});
  return result;
}

}  // namespace

TEST_CASE("forward_kl: by hand", "[rl]") {
  // p = (3/4, 1/4), q = (1/2, 1/2): 3/4 log 3/2 + 1/4 log 1/2
  const float log3 = std::log(3.0F);
  const Result result = run({5.0F, 5.0F}, {log3 - 2.0F, -2.0F}, {2.0});
  CHECK(result.divergences[0] == Approx(0.75 * std::log(1.5) + 0.25 * std::log(0.5)));
  CHECK(result.dlogits[0] == Approx(2.0 * (0.5 - 0.75)));
  CHECK(result.dlogits[1] == Approx(2.0 * (0.5 - 0.25)));
}

TEST_CASE("forward_kl: nothing is left to learn from a teacher of the same bits", "[rl]") {
  const std::vector<float> logits = testing::random_floats(40, 3, 4.0);
  const Result result = run(logits, logits, {1.0, 0.5});
  CHECK(result.divergences == std::vector<double>{0.0, 0.0});
  CHECK(result.dlogits == std::vector<float>(40, 0.0F));
}

TEST_CASE("forward_kl: it is finite where a logit is far away", "[rl]") {
  const Result result = run({0.0F, -1000.0F, 3e4F}, {1000.0F, -3e4F, 0.0F}, {1.0});
  CHECK(result.divergences[0] == Approx(3e4));
  for (const float d : result.dlogits) CHECK(std::isfinite(d));
}

TEST_CASE("forward_kl: the derivative is that of a finite difference", "[rl]") {
  const std::vector<float> student = testing::random_floats(30, 1, 2.0);
  const std::vector<float> teacher = testing::random_floats(30, 2, 2.0);
  const std::vector<double> weights = {0.7, 1.0, -0.2};
  const auto loss = [&](const std::vector<float>& at) {
    const Result result = run(at, teacher, weights);
    double sum = 0.0;
    for (std::size_t r = 0; r < 3; ++r) sum += weights[r] * result.divergences[r];
    return sum;
  };
  const Result result = run(student, teacher, weights);
  for (std::size_t i = 0; i < student.size(); ++i) {
    std::vector<float> up = student;
    std::vector<float> down = student;
    up[i] += 1.0F / 256.0F;
    down[i] -= 1.0F / 256.0F;
    const double step = static_cast<double>(up[i]) - static_cast<double>(down[i]);
    CHECK(result.dlogits[i] == Approx((loss(up) - loss(down)) / step).margin(1e-5));
  }
}

TEST_CASE("forward_kl: rows cut anywhere and any threads give the same bits", "[rl]") {
  const std::vector<float> student = testing::random_floats(9 * 21, 1, 3.0);
  const std::vector<float> teacher = testing::random_floats(9 * 21, 2, 3.0);
  const std::vector<double> weights(9, 0.3);
  const Result whole = run(student, teacher, weights);
  CHECK(testing::same_bits(run(student, teacher, weights, 5).dlogits, whole.dlogits));
  for (std::size_t cut = 1; cut < 9; ++cut) {
    const auto at = static_cast<std::ptrdiff_t>(cut * 21);
    const Result first =
        run({student.begin(), student.begin() + at}, {teacher.begin(), teacher.begin() + at},
            {weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(cut)});
    Result rest = run({student.begin() + at, student.end()}, {teacher.begin() + at, teacher.end()},
                      {weights.begin() + static_cast<std::ptrdiff_t>(cut), weights.end()});
    rest.dlogits.insert(rest.dlogits.begin(), first.dlogits.begin(), first.dlogits.end());
    CHECK(testing::same_bits(rest.dlogits, whole.dlogits));
  }
}

TEST_CASE("forward_kl: misuse is refused", "[rl]") {
  std::vector<float> two(2);
  std::vector<double> one(1);
  const std::vector<double> weights = {1.0};
  CHECK_THROWS_AS(forward_kl(testing::best_context(), {.student = two,
                                                       .teacher = two,
                                                       .vocab_size = 3,
                                                       .weights = weights,
                                                       .dlogits = two,
                                                       .divergences = one}),
                  std::invalid_argument);
}

}  // namespace zeroth
