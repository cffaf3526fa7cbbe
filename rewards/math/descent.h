// The parser's state and its rules, by recursive descent; included by the parser's own sources
// only.
//
// Each function reads one level of precedence, the loosest first, and throws NotAnExpression where
// the text is none or passes a limit. parser.cpp: lists, relations and sets; parser_operations.cpp:
// sums down to powers; parser_atoms.cpp: names, numbers and what brackets hold;
// parser_functions.cpp: functions and commands; parser_environments.cpp: matrices and cases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rewards/math/expression.h"
#include "rewards/math/tokens.h"

namespace zeroth::math {

struct NotAnExpression {};

class Descent {
 public:
  /// Of the bars that may close or open, those whose bit is set open; see parse_expression.
  Descent(std::vector<Token> tokens, const ExpressionLimits& limits, std::uint32_t opening_bars);

  Expression run();

 private:
  // Counts the levels of the recursion.
  class Level {
   public:
    explicit Level(Descent& descent) : descent_(descent) {
      if (++descent_.level_ > descent_.limits_.max_depth) throw NotAnExpression{};
    }
    ~Level() { --descent_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Descent& descent_;
  };

  // ---- Tokens
  const Token& peek(std::size_t ahead = 0) const;
  Token& current();
  void next();
  bool accept(std::string_view mark);
  bool accept_relation(std::string_view relation);
  void expect(std::string_view mark);

  // ---- Nodes
  NodeId make(Kind kind, std::vector<NodeId> children, std::string text = "");
  NodeId number(std::string text) { return make(Kind::number, {}, std::move(text)); }
  const Node& node(NodeId id) const { return expression_.at(id); }
  Kind kind_of(NodeId id) const { return expression_.at(id).kind; }
  NodeId added(std::vector<NodeId> terms);
  NodeId multiplied(std::vector<NodeId> factors);
  NodeId divided(NodeId above, NodeId below);
  NodeId negated(NodeId id);
  NodeId raised(NodeId base, NodeId exponent);
  NodeId value_of(NodeId id) const;

  // ---- parser.cpp
  NodeId list();
  NodeId solutions(const std::vector<NodeId>& items, const std::vector<std::size_t>& ends);
  NodeId listed(std::vector<NodeId> items);
  NodeId relation();
  NodeId related(std::vector<NodeId> sides, std::vector<std::string> operators);
  NodeId set_expression();
  NodeId ratio();

  // ---- parser_operations.cpp
  NodeId sum();
  NodeId product();
  NodeId divisor(NodeId dividend, bool is_modulus);
  NodeId signed_factor();
  NodeId unsigned_factor();
  std::string words();
  bool begins_factor() const;
  bool begins_fraction() const;
  NodeId fraction_after_whole();
  NodeId power();
  bool accept_side();
  NodeId exponent_without_braces();
  NodeId exponent_without_braces_positive();
  NodeId postfix(NodeId base);
  NodeId prime(NodeId base);
  NodeId subscript(NodeId base);
  std::string subscript_text();

  // ---- parser_atoms.cpp
  NodeId repeating(const std::string& decimal);
  NodeId primary();
  NodeId numeral();
  NodeId name();
  NodeId enclosed();
  NodeId bracket(const std::string& open);
  NodeId braces();
  NodeId set_braces();
  NodeId bars(std::string_view close);
  NodeId closed_list(std::string_view close);
  NodeId argument();

  // ---- parser_functions.cpp
  NodeId function(const std::string& name);
  NodeId applied(const std::string& name, NodeId operand);
  NodeId function_argument();
  NodeId command();
  NodeId fraction();
  NodeId root();
  NodeId overlined();
  NodeId over_index(Kind kind);
  NodeId limit();
  NodeId integral();
  NodeId derivative();
  bool begins_derivative() const;
  bool begins_differential() const;
  void differential();

  // ---- parser_environments.cpp
  NodeId environment();
  NodeId matrix();
  NodeId cases();
  NodeId rows();
  NodeId determinant(NodeId matrix);
  NodeId trace(NodeId matrix);
  NodeId transposed(NodeId matrix);
  NodeId scaled(NodeId matrix, NodeId factor);
  NodeId matrix_sum(const std::vector<NodeId>& terms);
  NodeId matrix_product(NodeId a, NodeId b);
  std::size_t columns_of(NodeId matrix) const;

  std::vector<Token> tokens_;
  const ExpressionLimits& limits_;
  std::uint32_t opening_bars_;
  std::size_t at_ = 0;
  std::uint32_t level_ = 0;
  bool in_limit_point_ = false;
  std::string limit_side_;     // + or - after a limit's point, or nothing
  std::size_t open_bars_ = 0;  // | that wait for their second
  std::vector<std::string>
      variables_;                     // of integrals that wait for their differential: "" or found
  std::vector<std::string> indices_;  // of the sums and products that are being read
  Expression expression_;
};

}  // namespace zeroth::math
