#include "policy/tokenizer/text_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <new>

#include "policy/byte_level.h"
#include "policy/tokenizer/unicode.h"
#include "system/error.h"
#include "system/utf8.h"

namespace zeroth {
namespace {

constexpr std::size_t kLongestPattern = 1U << 16U;
constexpr std::uint32_t kMatchLimit = 20'000'000;        // steps of one search
constexpr std::uint32_t kHeapLimit = 64 * 1024;          // KiB, without a just-in-time compiler
constexpr std::size_t kJitStackFirst = 32 * 1024;        // bytes
constexpr std::size_t kJitStackMost = 64 * 1024 * 1024;  // bytes

std::string message_of(int error) {
  std::array<unsigned char, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

template <class T, void (*free)(T*)>
struct Freed {
  void operator()(T* pointer) const { free(pointer); }
};
template <class T, void (*free)(T*)>
using Owned = std::unique_ptr<T, Freed<T, free>>;

template <class T>
T* checked(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

}  // namespace

struct TextPattern::Code {
  Owned<pcre2_code, pcre2_code_free> compiled;
};

struct PatternScratch::State {
  Owned<pcre2_match_data, pcre2_match_data_free> data{checked(pcre2_match_data_create(1, nullptr))};
  Owned<pcre2_match_context, pcre2_match_context_free> context{
      checked(pcre2_match_context_create(nullptr))};
  Owned<pcre2_jit_stack, pcre2_jit_stack_free> stack;  // once a search needed more than is there

  State() {
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimit);
  }
};

PatternScratch::PatternScratch() = default;
PatternScratch::~PatternScratch() = default;

TextPattern TextPattern::regex(std::string_view pattern) {
  if (find_invalid_utf8(pattern) != std::string::npos || pattern.size() > kLongestPattern) {
    throw PatternError("UTF-8 of at most " + std::to_string(kLongestPattern) + " bytes");
  }
  const std::string spelling = pcre2_spelling(pattern);
  const Owned<pcre2_compile_context, pcre2_compile_context_free> context(
      checked(pcre2_compile_context_create(nullptr)));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_bsr(context.get(), PCRE2_BSR_UNICODE);
  int error = 0;
  PCRE2_SIZE offset = 0;
  const auto code = std::make_shared<Code>();
  code->compiled.reset(pcre2_compile(
      units(spelling), spelling.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK,
      &error, &offset, context.get()));
  if (code->compiled == nullptr) throw PatternError(message_of(error));
  // Where it cannot be compiled to machine code (no memory that may be executed) it is interpreted.
  pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);
  TextPattern made;
  made.code_ = code;
  made.text_ = pattern;
  return made;
}

TextPattern TextPattern::literal(std::string text) {
  if (text.empty()) throw PatternError("a text that is not empty");
  TextPattern made;
  made.text_ = std::move(text);
  return made;
}

void TextPattern::literal_spans(std::string_view text, std::vector<Span>& out) const {
  std::size_t begin = 0;
  for (std::size_t at = text.find(text_); at != std::string_view::npos;
       at = text.find(text_, begin)) {
    if (at > begin) out.push_back({begin, at, false});
    out.push_back({at, at + text_.size(), true});
    begin = at + text_.size();
  }
  if (begin < text.size()) out.push_back({begin, text.size(), false});
}

void TextPattern::spans(std::string_view text, PatternScratch& scratch,
                        std::vector<Span>& out) const {
  out.clear();
  if (!code_) return literal_spans(text, out);
  if (!scratch.state_) scratch.state_ = std::make_unique<PatternScratch::State>();
  PatternScratch::State& state = *scratch.state_;
  std::size_t begin = 0;     // of what no match has covered
  std::size_t last_end = 0;  // of the last match
  bool any = false;
  for (std::size_t from = 0; from <= text.size();) {
    const auto search = [&] {
      return pcre2_match(code_->compiled.get(), units(text), text.size(), from, PCRE2_NO_UTF_CHECK,
                         state.data.get(), state.context.get());
    };
    int result = search();
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && state.stack == nullptr) {
      state.stack.reset(checked(pcre2_jit_stack_create(kJitStackFirst, kJitStackMost, nullptr)));
      pcre2_jit_stack_assign(state.context.get(), nullptr, state.stack.get());
      result = search();
    }
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) {
      throw InputError({.source = "text to encode",
                        .field = "byte " + std::to_string(from),
                        .expected = "a text that the expression " +
                                    std::string(utf8_prefix(text_, 60)) + " matches within limits",
                        .actual = message_of(result)});
    }
    const PCRE2_SIZE* found = pcre2_get_ovector_pointer(state.data.get());
    const std::size_t first = found[0], end = found[1];
    if (first == end && any && last_end == end) {
      if (from >= text.size()) break;
      from += code_point_at(text, from).size;
      continue;
    }
    if (begin < first) out.push_back({begin, first, false});
    out.push_back({first, end, true});
    begin = end;
    last_end = end;
    from = end;
    any = true;
  }
  if (begin < text.size()) out.push_back({begin, text.size(), false});
}

}  // namespace zeroth
