// Values in balls: gcd and lcm, of numbers and of polynomials.
//
// gcd(x, y) is 1 and lcm(x, y) is xy: what is no rational number stands for itself, as the
// variable of a polynomial. Polynomials whose coefficients are whole numbers have a common divisor
// among such; of others it is monic, as every number divides them.
#include <array>
#include <cstddef>

#include <flint/fmpq_mpoly.h>

#include "rewards/math/balls.h"

namespace zeroth::math {
namespace {

constexpr std::size_t kMaxVariables = 4, kMaxPolynomials = 16;
constexpr slong kMaxTerms = 12, kMaxDegree = 8;
constexpr std::int64_t kMaxCoefficientBits = 256;
constexpr std::int64_t kCostOfDivision = 100'000;  // measured, of the largest
constexpr slong kLargestSurd = 10'000;

class Ring {
 public:
  Ring() { fmpq_mpoly_ctx_init(context_, kMaxVariables, ORD_LEX); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { fmpq_mpoly_ctx_clear(context_); }

  const fmpq_mpoly_ctx_struct* get() const { return context_; }

 private:
  fmpq_mpoly_ctx_t context_;
};

class Polynomial {
 public:
  explicit Polynomial(const Ring& ring) : ring_(ring) { fmpq_mpoly_init(value_, ring.get()); }
  Polynomial(const Polynomial& other) : Polynomial(other.ring_) { *this = other; }
  Polynomial& operator=(const Polynomial& other) {
    fmpq_mpoly_set(value_, other.value_, ring_.get());
    return *this;
  }
  ~Polynomial() { fmpq_mpoly_clear(value_, ring_.get()); }

  fmpq_mpoly_struct* get() { return value_; }
  const fmpq_mpoly_struct* get() const { return value_; }

  bool is_small() const {
    if (fmpq_mpoly_length(value_, ring_.get()) > kMaxTerms) return false;
    if (fmpz_mpoly_max_bits(value_->zpoly) > kMaxCoefficientBits ||
        fmpz_mpoly_max_bits(value_->zpoly) < -kMaxCoefficientBits ||
        fmpz_bits(fmpq_denref(value_->content)) > kMaxCoefficientBits ||
        fmpz_bits(fmpq_numref(value_->content)) > kMaxCoefficientBits) {
      return false;
    }
    const slong degree = fmpq_mpoly_total_degree_si(value_, ring_.get());
    return degree <= kMaxDegree;
  }
  bool has_whole_coefficients() const { return fmpz_is_one(fmpq_denref(value_->content)) != 0; }

 private:
  const Ring& ring_;
  fmpq_mpoly_t value_;
};

bool is_same(const Expression& expression, NodeId a, NodeId b) {
  const Node& x = expression.at(a);
  const Node& y = expression.at(b);
  if (x.kind != y.kind || x.text != y.text || x.children.size() != y.children.size()) return false;
  for (std::size_t i = 0; i < x.children.size(); ++i) {
    if (!is_same(expression, x.children[i], y.children[i])) return false;
  }
  return true;
}

}  // namespace

// Reads expressions as polynomials in what is not rational in them.
class Polynomials {
 public:
  explicit Polynomials(Balls& balls) : balls_(balls), expression_(balls.expression()) {}

  /// The gcd or lcm of a node's children.
  bool combine(Ball& out, const Node& node) {
    if (node.children.size() > kMaxPolynomials) return false;
    std::vector<Polynomial> operands;
    bool whole = true;
    for (const NodeId child : node.children) {
      Polynomial& operand = operands.emplace_back(ring_);
      if (!read(operand, child)) return false;
      whole = whole && operand.has_whole_coefficients();
    }
    Polynomial result = operands[0];
    for (std::size_t i = 1; i < operands.size(); ++i) {
      if (!balls_.spend(kCostOfDivision)) return false;
      Polynomial divisor(ring_);
      if (!divide_commonly(divisor, result, operands[i], whole)) return false;
      if (node.text == "lcm" && fmpq_mpoly_is_zero(divisor.get(), ring_.get()) == 0) {
        fmpq_mpoly_mul(result.get(), result.get(), operands[i].get(), ring_.get());
        if (fmpq_mpoly_divides(result.get(), result.get(), divisor.get(), ring_.get()) == 0) {
          return false;
        }
        if (!whole) make_monic(result);
      } else {
        result = divisor;
      }
      if (!result.is_small()) return false;
    }
    return evaluate(out, result);
  }

 private:
  struct Variable {
    NodeId node = 0;
    slong surd = 0;  // the number under the root that it is, or 0
  };

  void make_monic(Polynomial& x) {
    if (fmpq_mpoly_is_zero(x.get(), ring_.get()) != 0) return;
    fmpq_mpoly_make_monic(x.get(), x.get(), ring_.get());
  }

  // FLINT's is monic; among whole coefficients the gcd of the contents is a factor as well.
  bool divide_commonly(Polynomial& out, const Polynomial& a, const Polynomial& b, bool whole) {
    if (fmpq_mpoly_gcd(out.get(), a.get(), b.get(), ring_.get()) == 0) return false;
    if (!whole || fmpq_mpoly_is_zero(out.get(), ring_.get()) != 0) return true;
    Rational content;
    fmpz_gcd(fmpq_numref(content.get()), fmpq_numref(a.get()->content),
             fmpq_numref(b.get()->content));
    fmpq_abs(out.get()->content, content.get());
    return true;
  }

  bool read(Polynomial& out, NodeId id) {
    if (!balls_.spend(2000)) return false;
    return read_node(out, id) && out.is_small();
  }

  bool read_node(Polynomial& out, NodeId id) {
    const Node& node = expression_.at(id);
    if (const std::optional<Rational> value = exact_value_of(id)) {
      fmpq_mpoly_set_fmpq(out.get(), value->get(), ring_.get());
      return true;
    }
    switch (node.kind) {
      case Kind::add:
      case Kind::multiply:
        if (!read(out, node.children[0])) return false;
        for (std::size_t i = 1; i < node.children.size(); ++i) {
          Polynomial operand(ring_);
          if (!read(operand, node.children[i]) || !out.is_small()) return false;
          (node.kind == Kind::add ? fmpq_mpoly_add : fmpq_mpoly_mul)(out.get(), out.get(),
                                                                     operand.get(), ring_.get());
        }
        return true;
      case Kind::negate:
        if (!read(out, node.children[0])) return false;
        fmpq_mpoly_neg(out.get(), out.get(), ring_.get());
        return true;
      case Kind::divide: {
        std::optional<Rational> below = exact_value_of(node.children[1]);
        if (!below || fmpq_is_zero(below->get())) return variable(out, id, 0);
        if (!read(out, node.children[0])) return false;
        fmpq_mpoly_scalar_div_fmpq(out.get(), out.get(), below->get(), ring_.get());
        return true;
      }
      case Kind::power: {
        const std::optional<Rational> exponent = exact_value_of(node.children[1]);
        const bool is_whole = exponent && fmpz_is_one(fmpq_denref(exponent->get())) &&
                              fmpq_sgn(exponent->get()) > 0 &&
                              fmpz_cmp_si(fmpq_numref(exponent->get()), kMaxDegree) <= 0;
        if (!is_whole) return variable(out, id, 0);
        Polynomial base(ring_);
        if (!read(base, node.children[0])) return false;
        return fmpq_mpoly_pow_ui(out.get(), base.get(), fmpz_get_ui(fmpq_numref(exponent->get())),
                                 ring_.get()) != 0;
      }
      case Kind::root:
        return root(out, id);
      default:
        return variable(out, id, 0);
    }
  }

  std::optional<Rational> exact_value_of(NodeId id) { return balls_.exact_of_whole(id); }

  // \sqrt{12} is 2\sqrt3.
  bool root(Polynomial& out, NodeId id) {
    const Node& node = expression_.at(id);
    const std::optional<Rational> index = balls_.exact(node.children[0]);
    const std::optional<Rational> radicand = balls_.exact(node.children[1]);
    const bool is_surd = index && fmpq_cmp_si(index->get(), 2) == 0 && radicand &&
                         fmpz_is_one(fmpq_denref(radicand->get())) &&
                         fmpq_sgn(radicand->get()) > 0 &&
                         fmpq_cmp_si(radicand->get(), kLargestSurd) <= 0;
    if (!is_surd) return variable(out, id, 0);
    slong surd = fmpz_get_si(fmpq_numref(radicand->get())), outside = 1;
    for (slong square = 2; square * square <= surd; ++square) {
      while (surd % (square * square) == 0) {
        surd /= square * square;
        outside *= square;
      }
    }
    if (!variable(out, id, surd)) return false;
    fmpq_mpoly_scalar_mul_si(out.get(), out.get(), outside, ring_.get());
    return true;
  }

  bool variable(Polynomial& out, NodeId id, slong surd) {
    std::size_t i = 0;
    while (i < count_ &&
           !(surd != 0 ? variables_[i].surd == surd
                       : variables_[i].surd == 0 && is_same(expression_, variables_[i].node, id))) {
      ++i;
    }
    if (i == kMaxVariables) return false;
    if (i == count_) variables_[count_++] = {.node = id, .surd = surd};
    fmpq_mpoly_gen(out.get(), static_cast<slong>(i), ring_.get());
    return true;
  }

  bool evaluate(Ball& out, const Polynomial& x) {
    std::array<Ball, kMaxVariables> values;
    for (std::size_t i = 0; i < count_; ++i) {
      if (variables_[i].surd != 0) {
        acb_set_si(values[i].get(), variables_[i].surd);
        acb_sqrt(values[i].get(), values[i].get(), balls_.bits());
      } else if (!balls_.value(values[i], variables_[i].node)) {
        return false;
      }
    }
    acb_zero(out.get());
    for (slong i = 0; i < fmpq_mpoly_length(x.get(), ring_.get()); ++i) {
      std::array<ulong, kMaxVariables> exponents;
      fmpq_mpoly_get_term_exp_ui(exponents.data(), x.get(), i, ring_.get());
      Rational coefficient;
      fmpq_mpoly_get_term_coeff_fmpq(coefficient.get(), x.get(), i, ring_.get());
      Ball term, power;
      acb_set_fmpq(term.get(), coefficient.get(), balls_.bits());
      for (std::size_t v = 0; v < count_; ++v) {
        acb_pow_ui(power.get(), values[v].get(), exponents[v], balls_.bits());
        acb_mul(term.get(), term.get(), power.get(), balls_.bits());
      }
      acb_add(out.get(), out.get(), term.get(), balls_.bits());
    }
    return balls_.spend_products(kMaxTerms * 8) && acb_is_finite(out.get());
  }

  Balls& balls_;
  const Expression& expression_;
  Ring ring_;
  std::array<Variable, kMaxVariables> variables_;
  std::size_t count_ = 0;
};

bool Balls::common(Ball& out, NodeId id) {
  const std::optional<Rational> value = exact_of_whole(id);
  if (!value) return Polynomials(*this).combine(out, expression_.at(id));
  acb_set_fmpq(out.get(), value->get(), bits_);
  return true;
}

}  // namespace zeroth::math
