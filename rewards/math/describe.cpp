#include "rewards/math/describe.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace zeroth::math {
namespace {

struct KindName {
  Kind kind;
  std::string_view name;
};
constexpr KindName kNames[] = {
    {Kind::number, "number"},
    {Kind::symbol, "symbol"},
    {Kind::constant, "constant"},
    {Kind::add, "add"},
    {Kind::negate, "negate"},
    {Kind::plus_minus, "plus_minus"},
    {Kind::multiply, "multiply"},
    {Kind::divide, "divide"},
    {Kind::power, "power"},
    {Kind::root, "root"},
    {Kind::function, "function"},
    {Kind::log, "log"},
    {Kind::binomial, "binomial"},
    {Kind::factorial, "factorial"},
    {Kind::modulo, "modulo"},
    {Kind::sum_over, "sum_over"},
    {Kind::product_over, "product_over"},
    {Kind::limit, "limit"},
    {Kind::derivative, "derivative"},
    {Kind::integral, "integral"},
    {Kind::piecewise, "piecewise"},
    {Kind::percent, "percent"},
    {Kind::degree, "degree"},
    {Kind::unit, "unit"},
    {Kind::ratio, "ratio"},
    {Kind::list, "list"},
    {Kind::bracket, "bracket"},
    {Kind::matrix, "matrix"},
    {Kind::set_union, "union"},
    {Kind::relation, "relation"},
    {Kind::words, "words"},
    {Kind::set_intersection, "intersection"},
    {Kind::set_difference, "difference"},
};

std::string_view kind_name(Kind kind) {
  const auto* found = std::find_if(std::begin(kNames), std::end(kNames),
                                   [kind](const KindName& row) { return row.kind == kind; });
  return found == std::end(kNames) ? "other" : found->name;
}

void append(const Expression& expression, NodeId id, std::size_t max_bytes, std::string& out) {
  if (out.size() > max_bytes) return;
  const Node& node = expression.at(id);
  const bool is_leaf = node.children.empty();
  if (is_leaf && node.kind == Kind::words) {
    out += '"' + node.text + '"';
    return;
  }
  if (is_leaf && !node.text.empty()) {
    out += node.text;
    return;
  }
  const bool text_names_it = node.kind == Kind::function || node.kind == Kind::relation;
  out += text_names_it ? std::string_view(node.text) : kind_name(node.kind);
  if (!text_names_it && !node.text.empty()) out += '[' + node.text + ']';
  out += '(';
  for (std::size_t i = 0; i < node.children.size() && out.size() <= max_bytes; ++i) {
    if (i > 0) out += ", ";
    append(expression, node.children[i], max_bytes, out);
  }
  out += ')';
}

}  // namespace

std::string describe(const Expression& expression, NodeId id, std::size_t max_bytes) {
  std::string out;
  append(expression, id, max_bytes, out);
  if (out.size() > max_bytes) {
    out.resize(max_bytes);
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xc0) out.pop_back();
    out += "…";
  }
  return out;
}

}  // namespace zeroth::math
