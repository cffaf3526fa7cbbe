#include "policy/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <variant>

#include "policy/gguf/model_keys.h"
#include "policy/gguf/pre_tokenizer_name.h"
#include "policy/tokenizer/parts.h"
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

/// Tokens that show in no text, special or not, by the marks of the model families.
bool looks_special(const std::string& text) {
  const auto is_between = [&](std::string_view begin, std::string_view end) {
    return text.starts_with(begin) && text.ends_with(end);
  };
  return text == "<pad>" || text == "<mask>" || is_between("<|", "|>") ||
         is_between("<｜", "｜>") || is_between("<unused", ">");
}

class TokenizerWriter {
 public:
  TokenizerWriter(const Tokenizer& tokenizer, const ModelConfig& config,
                  const GgufTokenizerOptions& options)
      : tokenizer_(tokenizer),
        parts_(tokenizer.parts()),
        config_(config),
        options_(options),
        source_(options.source + "/tokenizer.json") {}

  GgufTokenizer write() {
    if (tokenizer_.vocab_size() > config_.vocab_size) {
      fail("", "at most vocab_size (" + std::to_string(config_.vocab_size) + ") tokens",
           std::to_string(tokenizer_.vocab_size()));
    }
    check_parts();
    check_added_tokens();
    add("model", std::string("gpt2"));
    add("pre", pre_tokenizer());
    add_tokens();
    add("merges", GgufArray(merge_texts()));  // llama.cpp wants the key, be it empty
    add_special_ids();
    add_surroundings();
    if (!options_.chat_template.empty()) {
      made_.metadata.push_back({"tokenizer.chat_template", options_.chat_template});
    }
    return std::move(made_);
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& expected,
                         const std::string& actual) const {
    throw InputError({.source = source_, .field = field, .expected = expected, .actual = actual});
  }

  void add(const std::string& key, GgufValue value) {
    made_.metadata.push_back({"tokenizer.ggml." + key, std::move(value)});
  }

  void check_parts() {
    if (!parts_.bpe.options().bytes || !parts_.decoder.is_byte_level()) {
      fail("pre_tokenizer", "bytes, as llama.cpp's gpt2 tokenizer has them", "characters");
    }
    if (parts_.added_take_space) {
      fail("added_tokens",
           "none with lstrip, rstrip or single_word, which llama.cpp has no keys for", "one");
    }
    for (const Normalizer::Step& step : parts_.normalizer.steps()) {
      const auto* form = std::get_if<Normalizer::Form>(&step);
      if (form == nullptr || form->form != NormalForm::nfc) {
        fail("normalizer", "none or NFC, since llama.cpp does not change the text", "another");
      }
      made_.warnings.emplace_back(
          "texts that are not in normal form C have other ids in llama.cpp, which does not "
          "normalize");
    }
  }

  /// An end of `a` is a begin of `b`, and where the two overlap in a text, the first and the
  /// longest of the tokens there are two.
  bool may_overlap(const std::string& a, const std::string& b,
                   const std::vector<const Tokenizer::Token*>& added) const {
    if (a.size() > b.size()) return false;  // the first is the longest
    for (std::size_t length = 1; length < a.size(); ++length) {
      if (!a.ends_with(std::string_view(b).substr(0, length))) continue;
      const std::string both = a + b.substr(length);
      const bool longer_first = std::any_of(added.begin(), added.end(), [&](const auto* token) {
        const bool goes_first = token->spelling.size() > b.size() || token->spelling == b;
        return goes_first && both.starts_with(token->spelling);
      });
      if (!longer_first) return true;
    }
    return false;
  }

  void check_added_tokens() {
    std::vector<const Tokenizer::Token*> added;
    bool shown_otherwise = false;
    for (const Tokenizer::Token& token : tokenizer_.tokens()) {
      if (!token.added) continue;
      added.push_back(&token);
      shown_otherwise = shown_otherwise || token.bytes != token.spelling;
    }
    if (shown_otherwise) {
      made_.warnings.emplace_back(
          "added tokens that are characters of the byte alphabet show as themselves in llama.cpp, "
          "and as the byte they stand for here");
    }
    for (const Tokenizer::Token* a : added) {
      for (const Tokenizer::Token* b : added) {
        const bool later =
            a->normalized && !b->normalized && a->spelling.find(b->spelling) != std::string::npos;
        if (later || (a != b && may_overlap(a->spelling, b->spelling, added))) {
          fail("added_tokens",
               "tokens that cannot overlap in a text, since llama.cpp takes the longest first",
               a->spelling + " and " + b->spelling);
        }
      }
    }
  }

  std::string pre_tokenizer() {
    if (!options_.pre.empty()) {
      made_.warnings.push_back("the text is cut as llama.cpp's " + options_.pre +
                               " does, because that was asked for: ids may differ");
      return options_.pre;
    }
    if (parts_.pre_tokenizer.empty()) return uncut_pre_tokenizer();
    const auto expressions = cutting_expressions(parts_.pre_tokenizer);
    const std::string_view name =
        expressions ? pre_tokenizer_name(*expressions, parts_.bpe.options().ignore_merges,
                                         gguf_architecture(config_, options_.source))
                    : std::string_view();
    if (name.empty()) {
      fail("pre_tokenizer",
           "the expressions of one that llama.cpp has (" + known_pre_tokenizers() +
               "; llama-bpe alone with ignore_merges), or the name of one to take in its place",
           expressions ? expressions->back() : "other steps");
    }
    return std::string(name);
  }

  std::string uncut_pre_tokenizer() const {
    if (parts_.bpe.options().ignore_merges) {
      fail("model.ignore_merges", "false, as llama.cpp has it for a text that is not cut", "true");
    }
    for (const auto& [left, right] : tokenizer_.merges()) {
      const Tokenizer::Token& first = tokenizer_.tokens()[static_cast<std::size_t>(left)];
      const Tokenizer::Token& second = tokenizer_.tokens()[static_cast<std::size_t>(right)];
      if (!is_safe_to_merge(first.bytes + second.bytes)) {
        fail("model.merges",
             "tokens of printable ASCII without space ( ) | . , ! ? (llama.cpp has no byte-level "
             "tokenizer that does not cut the text beside the others)",
             first.spelling + " " + second.spelling);
      }
    }
    // Without merges every expression will do; gpt-2's is cut without recursion, texts of any
    // length included.
    return tokenizer_.merges().empty() ? "gpt-2" : "bloom";
  }

  std::vector<std::string> merge_texts() const {
    std::vector<std::string> texts;
    for (const auto& [left, right] : tokenizer_.merges()) {
      texts.push_back(tokenizer_.spelling(left) + " " + tokenizer_.spelling(right));
    }
    return texts;
  }

  /// What ends a turn in GLM's templates, where config.json does not say it.
  void add_glm_ids(std::size_t num_named) {
    const auto add_named = [&](const char* key, const char* token) {
      const auto id = tokenizer_.token_id(token);
      if (id) add(key, static_cast<std::uint32_t>(*id));
    };
    if (num_named < 2) add_named("eot_token_id", "<|user|>");
    if (num_named < 3) add_named("eom_token_id", "<|observation|>");
    add_named("unknown_token_id", "<|endoftext|>");
  }

  /// Tokens that the file puts before and behind a text: bos and eos, or none.
  void add_surroundings() {
    const auto is_one = [](const std::vector<std::int32_t>& ids, std::int64_t id) {
      return ids.empty() || (ids.size() == 1 && ids[0] == id);
    };
    if (!is_one(parts_.before, bos_id()) || !is_one(parts_.behind, eos_ids()[0])) {
      fail("post_processor", "bos before and eos behind a text, or nothing", "other tokens");
    }
    add("add_bos_token", !parts_.before.empty());
    if (!parts_.behind.empty()) add("add_eos_token", true);
  }

  void add_tokens() {
    std::vector<std::string> texts;
    std::vector<std::int32_t> kinds;
    for (const Tokenizer::Token& token : tokenizer_.tokens()) {
      texts.push_back(token.spelling);
      const bool hidden = token.special || looks_special(token.spelling);
      const TokenKind kind = !token.added ? TokenKind::normal
                             : hidden     ? TokenKind::control
                                          : TokenKind::user_defined;
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

  /// llama.cpp wants one to exist, used or not.
  std::int64_t bos_id() const {
    if (tokenizer_.bos_id()) return *tokenizer_.bos_id();
    return config_.bos_token_id >= 0 ? config_.bos_token_id : eos_ids()[0];
  }

  void add_special_ids() {
    constexpr std::array kNames = {"eos_token_id", "eot_token_id", "eom_token_id"};
    const std::vector<std::int64_t> eos = eos_ids();
    for (std::size_t i = 0; i < eos.size(); ++i) {
      add(kNames[i], static_cast<std::uint32_t>(eos[i]));
    }
    if (gguf_architecture(config_, options_.source) == "glm4moe") add_glm_ids(eos.size());
    add("bos_token_id", static_cast<std::uint32_t>(bos_id()));
    if (const auto pad = tokenizer_.pad_id()) {
      add("padding_token_id", static_cast<std::uint32_t>(*pad));
    }
  }

  const Tokenizer& tokenizer_;
  const TokenizerParts& parts_;
  const ModelConfig& config_;
  const GgufTokenizerOptions& options_;
  std::string source_;
  GgufTokenizer made_;
};

}  // namespace

GgufTokenizer gguf_tokenizer(const Tokenizer& tokenizer, const ModelConfig& config,
                             const GgufTokenizerOptions& options) {
  return TokenizerWriter(tokenizer, config, options).write();
}

}  // namespace zeroth
