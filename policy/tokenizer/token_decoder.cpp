#include "policy/tokenizer/token_decoder.h"

#include <optional>
#include <utility>

#include "policy/byte_level.h"
#include "policy/tokenizer/normalizer.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// The byte of <0x..>, which may be written +F as Rust reads numbers.
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  int value = 0;
  for (const std::size_t at : {std::size_t{3}, std::size_t{4}}) {
    if (at == 3 && token[at] == '+') continue;
    const std::size_t digit = std::string_view("0123456789abcdefABCDEF").find(token[at]);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<int>(digit < 16 ? digit : digit - 6);
  }
  return static_cast<char>(value);
}

std::string_view without_end(std::string_view text, const TokenDecoder::Strip& step) {
  std::string content;
  append_code_point(content, step.content);
  for (std::size_t i = 0; i < step.stop && text.ends_with(content); ++i) {
    text.remove_suffix(content.size());
  }
  return text;
}

}  // namespace

/// What a step does with the next part of a token (feed) and behind the last token (end).
struct DecodeStream::Visitor {
  DecodeStream& stream;
  std::size_t step;
  State& state;
  std::string_view part;
  bool ends_token;
  bool ends_text;

  void give(std::string_view text, bool ends) const { stream.feed(step + 1, text, ends); }

  /// The token once it is whole.
  std::optional<std::string> whole() const {
    if (ends_text) return std::nullopt;
    state.token += part;
    if (!ends_token) return std::nullopt;
    return std::exchange(state.token, {});
  }

  void operator()(const TokenDecoder::ByteLevel&) const {
    if (ends_text) {
      give(utf8_lossy(std::exchange(state.waiting, {})), true);
    } else if (const auto token = whole()) {
      state.waiting += byte_level_bytes(*token).value_or(*token);
      const std::size_t certain = state.waiting.size() - unfinished_utf8(state.waiting);
      const std::string text = utf8_lossy(std::string_view(state.waiting).substr(0, certain));
      state.waiting.erase(0, certain);
      give(text, false);
    }
  }

  void give_run() const {
    if (state.waiting.empty()) return;
    const std::string run = std::exchange(state.waiting, {});
    if (find_invalid_utf8(run) == std::string::npos) {
      give(run, true);
    } else {
      for (std::size_t i = 0; i < run.size(); ++i) give(kReplacement, true);
    }
  }
  void operator()(const TokenDecoder::ByteFallback&) const {
    if (ends_text) return give_run();
    const auto token = whole();
    if (!token) return;
    if (const auto byte = fallback_byte(*token)) {
      state.waiting += *byte;
    } else {
      give_run();
      give(*token, true);
    }
  }

  void operator()(const TokenDecoder::Fuse&) const { give(part, ends_text); }

  void operator()(const TokenDecoder::Spaces&) const {
    if (ends_text) return;
    if (state.cutting && state.index > 0) give(" ", false);
    state.cutting = ends_token;  // the next part begins a token
    if (ends_token) ++state.index;
    give(part, ends_token);
  }

  void operator()(const TokenDecoder::Replace& replace) const {
    if (const auto token = whole()) {
      give(replace_matches(*token, replace.pattern, replace.content, stream.scratch_), true);
    }
  }

  void operator()(const TokenDecoder::Strip& strip) const {
    if (ends_text) return;
    std::string_view rest = part;
    while (state.cutting && !rest.empty()) {
      const CodePoint c = code_point_at(rest, 0);
      state.cutting = state.taken < strip.start && c.value == strip.content;
      if (!state.cutting) break;
      rest.remove_prefix(c.size);
      ++state.taken;
    }
    if (strip.stop > 0) {
      state.token += rest;
      if (ends_token) give(without_end(std::exchange(state.token, {}), strip), true);
    } else {
      give(rest, ends_token);
    }
    if (ends_token) {
      state.taken = 0;
      state.cutting = true;
    }
  }

  void operator()(const TokenDecoder::Metaspace& metaspace) const {
    if (ends_text) return;
    std::string text;
    for (std::size_t at = 0; at < part.size();) {
      const CodePoint c = code_point_at(part, at);
      if (c.value != metaspace.replacement) {
        text += part.substr(at, c.size);
      } else if (state.index > 0 || !metaspace.drops_first) {
        text += ' ';
      }
      at += c.size;
    }
    if (ends_token) ++state.index;
    give(text, ends_token);
  }
};

void TokenDecoder::add(Step step) {
  steps_.push_back(std::move(step));
}

DecodeStream::DecodeStream(const TokenDecoder& decoder)
    : decoder_(decoder), states_(decoder.steps().size()) {}

void DecodeStream::feed(std::size_t step, std::string_view part, bool ends_token) {
  if (step == states_.size()) {
    out_ += part;
  } else {
    std::visit(Visitor{*this, step, states_[step], part, ends_token, false},
               decoder_.steps()[step]);
  }
}

void DecodeStream::end(std::size_t step) {
  std::visit(Visitor{*this, step, states_[step], {}, true, true}, decoder_.steps()[step]);
}

std::string DecodeStream::push(std::string_view token) {
  feed(0, token, true);
  return std::exchange(out_, {});
}

std::string DecodeStream::finish() {
  for (std::size_t step = 0; step < states_.size(); ++step) end(step);
  return std::exchange(out_, {});
}

}  // namespace zeroth
