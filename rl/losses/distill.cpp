#include "rl/losses/distill.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace zeroth {
namespace {

// log of the sum of exp(logits), as largest logit and rest.
struct LogSum {
  double maximum;
  double log_total;
  double logprob(float logit) const { return double{logit} - maximum - log_total; }
};

LogSum log_sum(std::span<const float> logits) {
  const double maximum = double{*std::max_element(logits.begin(), logits.end())};
  double total = 0.0;
  for (const float logit : logits) total += std::exp(double{logit} - maximum);
  return {maximum, std::log(total)};
}

double row(std::span<const float> student, std::span<const float> teacher, double weight,
           std::span<float> dlogits) {
  const LogSum of_student = log_sum(student);
  const LogSum of_teacher = log_sum(teacher);
  double divergence = 0.0;
  for (std::size_t v = 0; v < student.size(); ++v) {
    const double log_q = of_student.logprob(student[v]);
    const double log_p = of_teacher.logprob(teacher[v]);
    const double p = std::exp(log_p);
    divergence += p * (log_p - log_q);
    dlogits[v] = static_cast<float>(weight * (std::exp(log_q) - p));
  }
  return divergence;
}

}  // namespace

void forward_kl(const Context& context, const ForwardKlInputs& in) {
  const std::size_t rows = in.weights.size();
  const auto V = static_cast<std::size_t>(in.vocab_size);
  if (in.vocab_size < 1 || in.student.size() != rows * V || in.teacher.size() != rows * V ||
      in.dlogits.size() != rows * V || in.divergences.size() != rows) {
    throw std::invalid_argument("forward_kl: sizes disagree");
  }
  context.pool->parallel_for(
      static_cast<std::int64_t>(rows), 4, [&](std::int64_t begin, std::int64_t end) {
        for (auto r = static_cast<std::size_t>(begin); r < static_cast<std::size_t>(end); ++r) {
          in.divergences[r] = row(in.student.subspan(r * V, V), in.teacher.subspan(r * V, V),
                                  in.weights[r], in.dlogits.subspan(r * V, V));
        }
      });
}

}  // namespace zeroth
