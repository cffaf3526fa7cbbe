#include "policy/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "system/error.h"

namespace zeroth {
namespace {

// llama.cpp's llama_token_type.
enum class TokenKind : std::int32_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

constexpr std::size_t kMaxEos = 3;  // eos, eot, eom

/// Beside these and beyond ASCII the expression of `bloom` cuts, [^(\s|.,!?…。，、।۔،)].
constexpr std::string_view kCutBeside = "()|.,!?";

bool is_safe_to_merge(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return c > ' ' && c < '\x7F' && kCutBeside.find(c) == std::string_view::npos;
  });
}

/// An end of `a` is a begin of `b`: in a text where they overlap, the first of them and the longest
/// of them may be two.
bool may_overlap(const std::string& a, const std::string& b) {
  for (std::size_t length = 1; length < std::min(a.size(), b.size()); ++length) {
    if (a.ends_with(std::string_view(b).substr(0, length))) return true;
  }
  return false;
}

class TokenizerWriter {
 public:
  TokenizerWriter(const Tokenizer& tokenizer, const ModelConfig& config, const std::string& source)
      : tokenizer_(tokenizer), config_(config), source_(source + "/tokenizer.json") {}

  std::vector<GgufEntry> write(const std::string& chat_template) {
    if (tokenizer_.vocab_size() > config_.vocab_size) {
      fail("", "at most vocab_size (" + std::to_string(config_.vocab_size) + ") tokens",
           std::to_string(tokenizer_.vocab_size()));
    }
    if (!tokenizer_.is_plain_byte_level()) {
      fail(
          "",
          "bytes and merges alone (other normalizers, pre_tokenizers, post_processors and decoders "
          "have no counterpart in llama.cpp that is known to give the same ids)",
          "more");
    }
    check_added_tokens();
    add("model", std::string("gpt2"));
    const std::vector<std::string> merges = merge_texts();
    // Without merges every expression will do; gpt-2's is cut without recursion, texts of any
    // length included.
    add("pre", std::string(merges.empty() ? "gpt-2" : "bloom"));
    add_tokens();
    add("merges", GgufArray(merges));  // llama.cpp wants the key, be it empty
    add_special_ids();
    add("add_bos_token", false);
    add("add_eos_token", false);
    add("add_space_prefix", false);
    if (!chat_template.empty()) {
      entries_.push_back({"tokenizer.chat_template", chat_template});
    }
    return std::move(entries_);
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& expected,
                         const std::string& actual) const {
    throw InputError({.source = source_, .field = field, .expected = expected, .actual = actual});
  }

  void add(const std::string& key, GgufValue value) {
    entries_.push_back({"tokenizer.ggml." + key, std::move(value)});
  }

  void check_added_tokens() const {
    std::vector<const Tokenizer::Token*> added;
    for (const Tokenizer::Token& token : tokenizer_.tokens()) {
      if (token.added) added.push_back(&token);
    }
    for (const Tokenizer::Token* token : added) {
      if (token->bytes != token->spelling) {
        fail("added_tokens",
             "tokens that decode to themselves, which is how llama.cpp decodes them",
             token->spelling);
      }
    }
    for (const Tokenizer::Token* a : added) {
      for (const Tokenizer::Token* b : added) {
        const bool later =
            a->normalized && !b->normalized && a->spelling.find(b->spelling) != std::string::npos;
        if (later || (a != b && may_overlap(a->spelling, b->spelling))) {
          fail("added_tokens",
               "tokens that cannot overlap in a text, since llama.cpp takes the longest first",
               a->spelling + " and " + b->spelling);
        }
      }
    }
  }

  std::vector<std::string> merge_texts() const {
    std::vector<std::string> texts;
    for (const auto& [left, right] : tokenizer_.merges()) {
      const Tokenizer::Token& first = tokenizer_.tokens()[static_cast<std::size_t>(left)];
      const Tokenizer::Token& second = tokenizer_.tokens()[static_cast<std::size_t>(right)];
      if (!is_safe_to_merge(first.bytes + second.bytes)) {
        fail("model.merges",
             "tokens of printable ASCII without space ( ) | . , ! ? (llama.cpp has no byte-level "
             "tokenizer that does not cut the text beside the others)",
             first.spelling + " " + second.spelling);
      }
      texts.push_back(first.spelling + " " + second.spelling);
    }
    return texts;
  }

  void add_tokens() {
    std::vector<std::string> texts;
    std::vector<std::int32_t> kinds;
    for (const Tokenizer::Token& token : tokenizer_.tokens()) {
      texts.push_back(token.spelling);
      const TokenKind kind = token.special ? TokenKind::control
                             : token.added ? TokenKind::user_defined
                                           : TokenKind::normal;
      kinds.push_back(static_cast<std::int32_t>(kind));
    }
    for (std::int64_t id = tokenizer_.vocab_size(); id < config_.vocab_size; ++id) {
      std::string text = "[PAD" + std::to_string(id) + "]";
      while (tokenizer_.token_id(text)) text.insert(0, 1, '_');
      texts.push_back(text);
      kinds.push_back(static_cast<std::int32_t>(TokenKind::unused));
    }
    add("tokens", GgufArray(std::move(texts)));
    add("token_type", GgufArray(std::move(kinds)));
  }

  /// Those that end a completion in Zeroth, the tokenizer's own eos first.
  std::vector<std::int64_t> eos_ids() const {
    std::vector<std::int64_t> ids = config_.eos_token_ids;
    const std::optional<std::int32_t> own = tokenizer_.eos_id();
    if (ids.empty() && own) ids.push_back(*own);
    if (ids.empty() || ids.size() > kMaxEos) {
      fail("eos_token_id", "one to three tokens that end a completion", std::to_string(ids.size()));
    }
    const auto first = own ? std::find(ids.begin(), ids.end(), *own) : ids.end();
    if (first != ids.end()) std::rotate(ids.begin(), first, first + 1);
    return ids;
  }

  void add_special_ids() {
    constexpr std::array kNames = {"eos_token_id", "eot_token_id", "eom_token_id"};
    const std::vector<std::int64_t> eos = eos_ids();
    for (std::size_t i = 0; i < eos.size(); ++i) {
      add(kNames[i], static_cast<std::uint32_t>(eos[i]));
    }
    // Never put before a prompt (add_bos_token), but llama.cpp wants one to exist.
    std::int64_t bos = config_.bos_token_id >= 0 ? config_.bos_token_id : eos[0];
    if (tokenizer_.bos_id()) bos = *tokenizer_.bos_id();
    add("bos_token_id", static_cast<std::uint32_t>(bos));
    if (const auto pad = tokenizer_.pad_id()) {
      add("padding_token_id", static_cast<std::uint32_t>(*pad));
    }
  }

  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  std::string source_;
  std::vector<GgufEntry> entries_;
};

}  // namespace

std::vector<GgufEntry> gguf_tokenizer(const Tokenizer& tokenizer, const ModelConfig& config,
                                      const std::string& chat_template, const std::string& source) {
  return TokenizerWriter(tokenizer, config, source).write(chat_template);
}

}  // namespace zeroth
