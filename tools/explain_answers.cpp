#include "tools/explain_answers.h"

#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include "rewards/math/describe.h"
#include "rewards/math/readings.h"
#include "rewards/rules/math_reward.h"
#include "system/json.h"
#include "tools/clock.h"
#include "tools/printable.h"

namespace zeroth {
namespace {

constexpr std::size_t kMaxShown = 200;   // bytes of a text in the table
constexpr std::size_t kMaxRead = 16384;  // of an answer that is read as mathematics

struct Explanation {
  std::optional<Extraction> found;
  std::string reference, read, reference_read;
  AnswerVerdict verdict;
  double micros = 0;
};

std::string read_as(std::string_view text) {
  if (text.size() > kMaxRead) return "text, too long to be read";
  const math::Readings readings = math::read_answer(text, false);
  if (readings.expressions.empty()) return "text";
  const math::Expression& first = readings.expressions.front();
  return math::describe(first, first.root);
}

Explanation explain(const AnswerToExplain& answer, const ExtractionConfig& rules) {
  Explanation result;
  result.micros = micros_of([&] {
    result.found = extract_answer(answer.completion, rules);
    result.reference = reference_answer(answer.reference);
    result.verdict = result.found ? judge_answer(result.found->text, result.reference)
                                  : AnswerVerdict{.equal = false, .why = "no answer found"};
  });
  if (result.found) result.read = read_as(result.found->text);
  result.reference_read = read_as(result.reference);
  return result;
}

void print_json(const AnswerToExplain& answer, const Explanation& e) {
  boost::json::object line{{"line", answer.line}, {"rule", nullptr}, {"text", nullptr}};
  if (e.found) {
    line["rule"] = answer_rule_name(e.found->rule);
    line["text"] = e.found->text;
    line["read_as"] = e.read;
  }
  line["reference"] = e.reference;
  line["reference_read_as"] = e.reference_read;
  line["equal"] = e.verdict.equal;
  line["why"] = e.verdict.why;
  line["micros"] = std::round(e.micros * 10) / 10;
  std::cout << write_json(line) << "\n";
}

std::string shown(std::string_view text) {
  return printable(text.substr(0, kMaxShown)) + (text.size() > kMaxShown ? "…" : "");
}

void print_text(const AnswerToExplain& answer, const Explanation& e) {
  std::printf("line %zu: %s: %s (%.1f us)\n", answer.line, e.verdict.equal ? "right" : "wrong",
              std::string(e.verdict.why).c_str(), e.micros);
  if (e.found) {
    std::printf("  found by %s: %s\n  read as %s\n",
                std::string(answer_rule_name(e.found->rule)).c_str(), shown(e.found->text).c_str(),
                shown(e.read).c_str());
  }
  std::printf("  reference: %s\n  read as %s\n", shown(e.reference).c_str(),
              shown(e.reference_read).c_str());
}

}  // namespace

void explain_answers(const std::vector<AnswerToExplain>& answers, const ExtractionConfig& rules,
                     bool json) {
  for (const AnswerToExplain& answer : answers) {
    const Explanation explanation = explain(answer, rules);
    json ? print_json(answer, explanation) : print_text(answer, explanation);
  }
}

}  // namespace zeroth
