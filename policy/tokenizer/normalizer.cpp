#include "policy/tokenizer/normalizer.h"

#include "policy/byte_level.h"

namespace zeroth {
namespace {

std::string_view trimmed(std::string_view text, bool left, bool right) {
  std::size_t begin = 0, end = 0;  // end: of the last code point that is not white space
  bool seen = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    at += c.size;
    if (is_space_code_point(c.value)) {
      if (!seen) begin = at;
    } else {
      seen = true;
      end = at;
    }
  }
  const std::size_t from = left ? begin : 0;
  const std::size_t to = right ? std::max(end, from) : text.size();
  return text.substr(from, to - from);
}

struct Applied {
  std::string_view text;
  PatternScratch& scratch;

  std::string operator()(const Normalizer::Form& step) const {
    return normalize_unicode(text, step.form);
  }
  std::string operator()(const Normalizer::Lowercase&) const { return lowercase_unicode(text); }
  std::string operator()(const Normalizer::Strip& step) const {
    return std::string(trimmed(text, step.left, step.right));
  }
  std::string operator()(const Normalizer::Prepend& step) const {
    return text.empty() ? std::string() : step.text + std::string(text);
  }
  std::string operator()(const Normalizer::Replace& step) const {
    return replace_matches(text, step.pattern, step.content, scratch);
  }
  std::string operator()(const Normalizer::ByteLevel&) const { return byte_level_text(text); }
};

}  // namespace

void Normalizer::add(Step step) {
  steps_.push_back(std::move(step));
}

std::string Normalizer::apply(std::string_view text, PatternScratch& scratch) const {
  std::string current(text);
  for (const Step& step : steps_) current = std::visit(Applied{current, scratch}, step);
  return current;
}

std::string replace_matches(std::string_view text, const TextPattern& pattern,
                            std::string_view content, PatternScratch& scratch) {
  std::vector<Span> spans;
  pattern.spans(text, scratch, spans);
  std::string out;
  out.reserve(text.size());
  for (const Span& span : spans) {
    out += span.is_match ? content : text.substr(span.begin, span.end - span.begin);
  }
  return out;
}

std::string byte_level_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) text += byte_level_character(static_cast<std::uint8_t>(byte));
  return text;
}

}  // namespace zeroth
