#include "policy/gguf/pre_tokenizer_name.h"

#include <algorithm>
#include <span>
#include <variant>

#include "policy/tokenizer/known_patterns.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

struct Row {
  std::string_view name;
  std::span<const std::string_view> expressions;
  bool ignore_merges = false;          // what llama.cpp does under this name
  std::string_view architecture = {};  // empty: any
};

std::span<const Row> rows() {
  static constexpr std::string_view kGpt2[] = {kGpt2Pattern};
  static constexpr std::string_view kQwen2[] = {kQwen2Pattern};
  static constexpr std::string_view kLlama3[] = {kLlama3Pattern};
  static constexpr std::string_view kKimiK2[] = {kKimiK2Pattern};
  static constexpr Row kRows[] = {
      {"gpt-2", kGpt2},
      {"qwen2", kQwen2},
      {"llama-bpe", kLlama3, /*ignore_merges=*/true},
      {"glm4", kLlama3, false, "glm4moe"},
      {"smaug-bpe", kLlama3},  // the same cuts, with merges
      {"deepseek-llm", kDeepseekLlmPatterns},
      {"deepseek-coder", kDeepseekCoderPatterns},
      {"deepseek-v3", kDeepseekV3Patterns},
      {"kimi-k2", kKimiK2},
  };
  return kRows;
}

/// With the carriage return and the line feed spelled out.
std::string spelled_out(std::string_view expression) {
  std::string out;
  for (const char c : expression) {
    if (c == '\r' || c == '\n') {
      out += c == '\r' ? "\\r" : "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

/// Matches and what lies between them; for the expressions that are known, which match everything,
/// matches alone are the same.
bool cuts_at_matches(const PreTokenizer::Split& split) {
  using Behavior = PreTokenizer::Behavior;
  return (split.behavior == Behavior::isolated && !split.invert) ||
         (split.behavior == Behavior::removed && split.invert);
}

std::string expression_of(const PreTokenizer::Step& step) {
  if (const auto* split = std::get_if<PreTokenizer::Split>(&step)) {
    return cuts_at_matches(*split) ? spelled_out(split->pattern.expression()) : "";
  }
  const auto* at = std::get_if<PreTokenizer::SplitAt>(&step);
  const bool digits = at != nullptr && at->matches == is_numeric &&
                      at->behavior == PreTokenizer::Behavior::isolated;
  return digits ? R"(\p{N})" : "";
}

}  // namespace

std::optional<std::vector<std::string>> cutting_expressions(const PreTokenizer& pre_tokenizer) {
  std::vector<std::string> expressions;
  for (const PreTokenizer::Step& step : pre_tokenizer.steps()) {
    expressions.push_back(expression_of(step));
    if (expressions.back().empty()) return std::nullopt;
  }
  return expressions;
}

std::string_view pre_tokenizer_name(const std::vector<std::string>& expressions, bool ignore_merges,
                                    std::string_view architecture) {
  for (const Row& row : rows()) {
    const bool fits = row.ignore_merges == ignore_merges &&
                      (row.architecture.empty() || row.architecture == architecture);
    if (fits && std::equal(expressions.begin(), expressions.end(), row.expressions.begin(),
                           row.expressions.end())) {
      return row.name;
    }
  }
  return {};
}

std::string known_pre_tokenizers() {
  std::string names;
  for (const Row& row : rows()) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

}  // namespace zeroth
