#include "policy/tokenizer/pipeline_reader.h"

#include <algorithm>
#include <optional>

#include "policy/tokenizer/known_patterns.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

/// Calls `take` with every part of `json`.`key`, the parts of sequences in their order.
void for_each_part(const JsonReader& part, const char* list,
                   const std::function<void(const JsonReader&)>& take, int depth = 0) {
  if (part.get_string("type") != "Sequence") return take(part);
  constexpr int kDeepest = 16;
  if (depth == kDeepest) part.fail("sequences within sequences, 16 at most");
  for (const JsonReader& element : part.child(list).elements()) {
    for_each_part(element, list, take, depth + 1);
  }
}

TextPattern compile(const JsonReader& part, std::string_view key, bool regex) {
  try {
    const std::string text = part.get_string(key);
    return regex ? TextPattern::regex(text) : TextPattern::literal(text);
  } catch (const PatternError& error) {
    part.fail(key, std::string("a supported expression: ") + error.what());
  }
}

/// {"String": "…"} or {"Regex": "…"}.
TextPattern read_pattern(const JsonReader& part) {
  const JsonReader pattern = part.child("pattern");
  if (pattern.has("Regex")) return compile(pattern, "Regex", true);
  return compile(pattern, "String", false);
}

/// The one character of a text.
char32_t read_character(const JsonReader& part, std::string_view key) {
  const std::string text = part.get_string(key);
  if (text.empty() || code_point_at(text, 0).size != text.size()) {
    part.fail(key, "one character");
  }
  return code_point_at(text, 0).value;
}

std::size_t read_count(const JsonReader& part, std::string_view key) {
  constexpr std::int64_t kMost = 1 << 20;
  const std::int64_t count = part.get_int64(key);
  if (count < 0 || count > kMost) part.fail(key, "0 to " + std::to_string(kMost));
  return static_cast<std::size_t>(count);
}

PreTokenizer::Behavior read_behavior(const JsonReader& part, std::string_view fallback) {
  using Behavior = PreTokenizer::Behavior;
  const std::string name = part.get_string("behavior", fallback);
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  part.fail("behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

/// "prepend_scheme", or "add_prefix_space" of files before it.
PreTokenizer::Metaspace::Prepend read_prepend(const JsonReader& part) {
  using Prepend = PreTokenizer::Metaspace::Prepend;
  const bool legacy = part.get_bool("add_prefix_space", true);
  const std::string scheme = part.get_string("prepend_scheme", legacy ? "always" : "never");
  if (!legacy && scheme != "never")
    part.fail("prepend_scheme", "\"never\" (add_prefix_space is false)");
  if (scheme == "always") return Prepend::always;
  if (scheme == "first") return Prepend::first;
  if (scheme != "never") part.fail("prepend_scheme", "\"always\", \"first\" or \"never\"");
  return Prepend::never;
}

void add_metaspace(const JsonReader& part, PreTokenizer& out) {
  std::string replacement;
  append_code_point(replacement, read_character(part, "replacement"));
  out.add(PreTokenizer::Metaspace{.replacement = replacement, .prepend = read_prepend(part)});
  if (!part.get_bool("split", true)) return;
  out.add(PreTokenizer::Split{.pattern = TextPattern::literal(replacement),
                              .behavior = PreTokenizer::Behavior::merged_with_next,
                              .invert = false});
}

void read_normalizer_part(const JsonReader& part, Normalizer& out) {
  const std::string type = part.get_string("type");
  if (type == "NFC") {
    out.add(Normalizer::Form{NormalForm::nfc});
  } else if (type == "NFD") {
    out.add(Normalizer::Form{NormalForm::nfd});
  } else if (type == "NFKC") {
    out.add(Normalizer::Form{NormalForm::nfkc});
  } else if (type == "NFKD") {
    out.add(Normalizer::Form{NormalForm::nfkd});
  } else if (type == "Lowercase") {
    out.add(Normalizer::Lowercase{});
  } else if (type == "Strip") {
    out.add(Normalizer::Strip{.left = part.get_bool("strip_left"),
                              .right = part.get_bool("strip_right")});
  } else if (type == "Prepend") {
    out.add(Normalizer::Prepend{part.get_string("prepend")});
  } else if (type == "Replace") {
    out.add(
        Normalizer::Replace{.pattern = read_pattern(part), .content = part.get_string("content")});
  } else if (type == "ByteLevel") {
    out.add(Normalizer::ByteLevel{});
  } else {
    part.fail("type",
              "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace, ByteLevel or Sequence "
              "(others are not supported)");
  }
}

void read_decoder_part(const JsonReader& part, TokenDecoder& out) {
  const std::string type = part.get_string("type");
  if (type == "ByteLevel") {
    out.add(TokenDecoder::ByteLevel{});
  } else if (type == "ByteFallback") {
    out.add(TokenDecoder::ByteFallback{});
  } else if (type == "Fuse") {
    out.add(TokenDecoder::Fuse{});
  } else if (type == "Replace") {
    out.add(TokenDecoder::Replace{.pattern = read_pattern(part),
                                  .content = part.get_string("content")});
  } else if (type == "Strip") {
    out.add(TokenDecoder::Strip{.content = read_character(part, "content"),
                                .start = read_count(part, "start"),
                                .stop = read_count(part, "stop")});
  } else if (type == "Metaspace") {
    out.add(TokenDecoder::Metaspace{
        .replacement = read_character(part, "replacement"),
        .drops_first = read_prepend(part) != PreTokenizer::Metaspace::Prepend::never});
  } else {
    part.fail("type",
              "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace or Sequence (others are "
              "not supported)");
  }
}

/// The special tokens of a post-processor and the text between them.
class PostProcessorReader {
 public:
  PostProcessorReader(std::size_t vocab_size, std::vector<std::int32_t>& before,
                      std::vector<std::int32_t>& behind)
      : vocab_size_(vocab_size), before_(before), behind_(behind) {}

  void read(const JsonReader& part) {
    const std::string type = part.get_string("type");
    if (type == "ByteLevel") return;  // moves offsets, of which there are none here
    if (type == "TemplateProcessing") return read_template(part);
    if (type == "BertProcessing" || type == "RobertaProcessing") return read_pair(part);
    part.fail(
        "type",
        "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing or Sequence (others "
        "are not supported)");
  }

 private:
  std::int32_t checked(const JsonReader& id) const {
    const std::int64_t value = id.as_int64();
    if (value < 0 || value >= static_cast<std::int64_t>(vocab_size_)) {
      id.fail("an id below " + std::to_string(vocab_size_));
    }
    return static_cast<std::int32_t>(value);
  }

  void surround(std::vector<std::int32_t> before, const std::vector<std::int32_t>& behind) {
    before.insert(before.end(), before_.begin(), before_.end());
    before_ = std::move(before);
    behind_.insert(behind_.end(), behind.begin(), behind.end());
  }

  /// "cls" and "sep", each [token, id].
  void read_pair(const JsonReader& part) {
    const auto id_of = [&](const char* key) {
      const std::vector<JsonReader> entry = part.child(key).elements();
      if (entry.size() != 2) part.fail(key, "a token and its id");
      return checked(entry[1]);
    };
    surround({id_of("cls")}, {id_of("sep")});
  }

  void read_template(const JsonReader& part) {
    std::vector<std::int32_t> before, behind;
    int texts = 0;
    for (const JsonReader& piece : part.child("single").elements()) {
      if (piece.has("Sequence")) {
        if (piece.child("Sequence").get_string("id") != "A") piece.fail("the sequence A alone");
        ++texts;
        continue;
      }
      const std::string name = piece.child("SpecialToken").get_string("id");
      const JsonReader special = part.child("special_tokens").child(name);
      for (const JsonReader& id : special.child("ids").elements()) {
        (texts == 0 ? before : behind).push_back(checked(id));
      }
    }
    if (texts != 1) part.fail("single", "a template with the text in it, once");
    surround(std::move(before), behind);
  }

  std::size_t vocab_size_;
  std::vector<std::int32_t>& before_;
  std::vector<std::int32_t>& behind_;
};

}  // namespace

void PipelineReader::read_normalizer(Normalizer& out) const {
  if (!json_.has("normalizer")) return;
  for_each_part(json_.child("normalizer"), "normalizers",
                [&](const JsonReader& part) { read_normalizer_part(part, out); });
}

bool PipelineReader::read_pre_tokenizer(PreTokenizer& out) {
  if (!json_.has("pre_tokenizer")) return false;
  for_each_part(json_.child("pre_tokenizer"), "pretokenizers", [&](const JsonReader& part) {
    spell_out_bytes(out);
    bytes_at_end_ = false;
    read_pre_tokenizer_part(part, out);
  });
  return bytes_at_end_;
}

void PipelineReader::spell_out_bytes(PreTokenizer& out) const {
  if (bytes_at_end_) out.add(PreTokenizer::Alphabet{});
}

void PipelineReader::read_pre_tokenizer_part(const JsonReader& part, PreTokenizer& out) {
  using Behavior = PreTokenizer::Behavior;
  const std::string type = part.get_string("type");
  if (type == "ByteLevel") {
    if (part.get_bool("add_prefix_space", true)) out.add(PreTokenizer::PrefixSpace{});
    if (part.get_bool("use_regex", true)) {
      out.add(PreTokenizer::Split{.pattern = TextPattern::regex(kGpt2Pattern),
                                  .behavior = Behavior::isolated,
                                  .invert = false});
    }
    bytes_at_end_ = true;
  } else if (type == "Split") {
    out.add(PreTokenizer::Split{.pattern = read_pattern(part),
                                .behavior = read_behavior(part, ""),
                                .invert = part.get_bool("invert", false)});
  } else if (type == "Digits") {
    const bool each = part.get_bool("individual_digits", false);
    out.add(PreTokenizer::SplitAt{.matches = is_numeric,
                                  .behavior = each ? Behavior::isolated : Behavior::contiguous});
  } else if (type == "Punctuation") {
    out.add(PreTokenizer::SplitAt{.matches = is_punctuation,
                                  .behavior = read_behavior(part, "Isolated")});
  } else if (type == "Whitespace") {
    out.add(PreTokenizer::Words{});
  } else if (type == "WhitespaceSplit") {
    out.add(PreTokenizer::SplitAt{.matches = is_space_code_point, .behavior = Behavior::removed});
  } else if (type == "CharDelimiterSplit") {
    std::string delimiter;
    append_code_point(delimiter, read_character(part, "delimiter"));
    out.add(PreTokenizer::Split{.pattern = TextPattern::literal(delimiter),
                                .behavior = Behavior::removed,
                                .invert = false});
  } else if (type == "Metaspace") {
    add_metaspace(part, out);
  } else {
    part.fail("type",
              "ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, "
              "CharDelimiterSplit, Metaspace or Sequence (others are not supported)");
  }
}

void PipelineReader::read_decoder(TokenDecoder& out) const {
  if (!json_.has("decoder")) return out.add(TokenDecoder::Spaces{});
  for_each_part(json_.child("decoder"), "decoders",
                [&](const JsonReader& part) { read_decoder_part(part, out); });
}

void PipelineReader::read_post_processor(std::size_t vocab_size, std::vector<std::int32_t>& before,
                                         std::vector<std::int32_t>& behind) const {
  if (!json_.has("post_processor")) return;
  PostProcessorReader reader(vocab_size, before, behind);
  for_each_part(json_.child("post_processor"), "processors",
                [&](const JsonReader& part) { reader.read(part); });
}

}  // namespace zeroth
