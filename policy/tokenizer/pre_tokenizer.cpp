#include "policy/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "policy/tokenizer/normalizer.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

using Behavior = PreTokenizer::Behavior;

void match_code_points(std::string_view text, PreTokenizer::CodePointSet matches,
                       std::vector<Span>& spans) {
  spans.clear();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (matches(c.value)) {
      if (begin < at) spans.push_back({begin, at, false});
      spans.push_back({at, at + c.size, true});
      begin = at + c.size;
    }
    at += c.size;
  }
  if (begin < text.size()) spans.push_back({begin, text.size(), false});
}

enum class WordKind { space, word, other };

WordKind word_kind(char32_t c) {
  if (is_space_code_point(c)) return WordKind::space;
  return is_word(c) ? WordKind::word : WordKind::other;
}

/// Runs of one kind, white space being what matches and is to be removed.
void match_words(std::string_view text, std::vector<Span>& spans) {
  spans.clear();
  WordKind last = WordKind::space;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    const WordKind kind = word_kind(c.value);
    if (spans.empty() || kind != last) spans.push_back({at, at, kind == WordKind::space});
    at += c.size;
    spans.back().end = at;
    last = kind;
  }
}

/// `spans` become those of the pieces; is_match then means to be removed.
void apply_behavior(Behavior behavior, std::vector<Span>& spans) {
  if (behavior == Behavior::removed) return;
  const bool from_the_end = behavior == Behavior::merged_with_next;
  if (from_the_end) std::reverse(spans.begin(), spans.end());
  std::size_t kept = 0;
  bool previous_match = false;
  for (const Span span : spans) {
    const bool merges = behavior == Behavior::contiguous ? span.is_match == previous_match
                        : behavior == Behavior::isolated ? false
                                                         : span.is_match && !previous_match;
    previous_match = span.is_match;
    if (merges && kept > 0) {
      Span& into = spans[kept - 1];
      into.begin = std::min(into.begin, span.begin);
      into.end = std::max(into.end, span.end);
    } else {
      spans[kept++] = {span.begin, span.end, false};
    }
  }
  spans.resize(kept);
  if (from_the_end) std::reverse(spans.begin(), spans.end());
}

/// One step over one piece.
class Cutter {
 public:
  Cutter(CutScratch& scratch, Piece piece) : scratch_(scratch), piece_(piece) {}

  void operator()(const PreTokenizer::Split& step) {
    step.pattern.spans(piece_.text, scratch_.pattern, scratch_.spans);
    if (step.invert) {
      for (Span& span : scratch_.spans) span.is_match = !span.is_match;
    }
    push_spans(step.behavior);
  }
  void operator()(const PreTokenizer::SplitAt& step) {
    match_code_points(piece_.text, step.matches, scratch_.spans);
    push_spans(step.behavior);
  }
  void operator()(const PreTokenizer::Words&) {
    match_words(piece_.text, scratch_.spans);
    push_spans(Behavior::removed);
  }
  void operator()(const PreTokenizer::PrefixSpace&) {
    if (!piece_.text.starts_with(' ')) {
      replace_text(" " + std::string(piece_.text));
    }
    scratch_.next.push_back(piece_);
  }
  void operator()(const PreTokenizer::Alphabet&) {
    replace_text(byte_level_text(piece_.text));
    scratch_.next.push_back(piece_);
  }
  void operator()(const PreTokenizer::Metaspace& step) {
    using Prepend = PreTokenizer::Metaspace::Prepend;
    std::string text;
    for (const char c : piece_.text) {
      if (c == ' ') {
        text += step.replacement;
      } else {
        text += c;
      }
    }
    const bool prepend =
        step.prepend == Prepend::always || (step.prepend == Prepend::first && piece_.at_start);
    if (prepend && !text.starts_with(step.replacement)) text.insert(0, step.replacement);
    replace_text(std::move(text));
    scratch_.next.push_back(piece_);
  }

 private:
  void replace_text(std::string text) {
    scratch_.texts.push_back(std::move(text));
    piece_.text = scratch_.texts.back();
  }

  void push_spans(Behavior behavior) {
    apply_behavior(behavior, scratch_.spans);
    for (const Span& span : scratch_.spans) {
      if (span.is_match || span.begin == span.end) continue;
      scratch_.next.push_back({piece_.text.substr(span.begin, span.end - span.begin),
                               piece_.at_start && span.begin == 0});
    }
  }

  CutScratch& scratch_;
  Piece piece_;
};

}  // namespace

void PreTokenizer::add(Step step) {
  steps_.push_back(std::move(step));
}

void PreTokenizer::cut(std::string_view text, bool at_start, CutScratch& scratch,
                       std::vector<Piece>& pieces) const {
  pieces.clear();
  if (text.empty()) return;
  scratch.texts.clear();
  pieces.push_back({text, at_start});
  for (const Step& step : steps_) {
    scratch.next.clear();
    for (const Piece& piece : pieces) std::visit(Cutter(scratch, piece), step);
    pieces.swap(scratch.next);
  }
}

}  // namespace zeroth
