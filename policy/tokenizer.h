// BPE tokenizers in Hugging Face's tokenizer.json, read and written, with the ids of `tokenizers`.
//
// Goals: what Zeroth makes itself (one token a byte and a few words of its own), and the files of
// the model families: byte-level vocabularies with the file's own expressions, and characters with
// byte fallback (docs/tokenizer.md lists the parts). Non-goals: other models than BPE, dropout,
// truncation, padding; a file that asks for what is not here is refused by name rather than
// tokenized differently.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zeroth {

class JsonReader;
class TokenDecoder;
struct TokenizerParts;

struct ByteLevelOptions {
  /// The bytes that have a token; nothing: all 256, and the id is the byte.
  std::optional<std::string> alphabet = std::nullopt;
  std::string pad_token = "<pad>";  // special: left out by decode(skip_special)
  std::string bos_token = "<bos>";
  std::string eos_token = "<eos>";
  std::vector<std::string> added_tokens = {"<think>", "</think>", "<answer>", "</answer>"};
};

/// Immutable; safe to use from several threads.
class Tokenizer {
 public:
  /// Reads `path`, a tokenizer.json or the directory that holds it; tokenizer_config.json beside it
  /// names bos, eos and pad. InputError naming the key for what is missing, inconsistent or not
  /// supported.
  static Tokenizer load(const std::filesystem::path& path);

  /// The same from text; `config` is the text of tokenizer_config.json or empty.
  static Tokenizer parse(std::string_view json, std::string_view config, const std::string& source);

  /// A tokenizer without merges: bytes in ascending order, then pad, bos, eos, then the added
  /// tokens. std::invalid_argument for tokens that are empty, equal, or would not decode to
  /// themselves.
  static Tokenizer byte_level(const ByteLevelOptions& options);

  /// The ids of `text`. `add_special_tokens`: with those that the file's post-processor puts before
  /// and behind, such as bos. InputError naming byte and position for a byte or character that has
  /// no token, for text that is not UTF-8 (unless the tokenizer reads bytes alone), and for an
  /// expression of the file that backtracks without end on it.
  std::vector<std::int32_t> encode(std::string_view text, bool add_special_tokens = false) const;

  /// Text of `ids`: UTF-8, with U+FFFD for bytes that are not. An id without a token gives
  /// nothing, so a vocabulary padded in the model decodes. With `skip_special` special tokens give
  /// nothing; <think> and its like are not special.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;
  /// Of a byte-level decoder: the bytes of `ids` that decode() makes UTF-8 of.
  std::string bytes(std::span<const std::int32_t> ids, bool skip_special) const;

  struct Token {
    std::string spelling;     // in tokenizer.json
    std::string bytes;        // what a byte-level decoder makes of the spelling
    std::string decoded;      // what a decoder is given in its place; empty: the spelling
    bool added = false;       // matched in the text before merges
    bool special = false;     // left out by decode(skip_special)
    bool normalized = false;  // of added tokens: matched in what the others leave
  };
  const std::vector<Token>& tokens() const;  // by id
  /// Left and right of every merge, the first to be applied first.
  std::vector<std::pair<std::int32_t, std::int32_t>> merges() const;

  /// What it is made of, for who writes it in another format.
  const TokenizerParts& parts() const { return *parts_; }
  const TokenDecoder& decoder() const;

  std::int64_t vocab_size() const { return static_cast<std::int64_t>(tokens().size()); }
  /// Id of a token as tokenizer.json spells it ("<think>", "a", "Ġ" for a space).
  std::optional<std::int32_t> token_id(std::string_view token) const;
  /// How tokenizer.json spells token `id` (< vocab_size); empty for an id that has none.
  const std::string& spelling(std::int32_t id) const {
    return tokens().at(static_cast<std::size_t>(id)).spelling;
  }
  std::optional<std::int32_t> pad_id() const { return pad_id_; }
  std::optional<std::int32_t> bos_id() const { return bos_id_; }
  std::optional<std::int32_t> eos_id() const { return eos_id_; }

  /// Writes tokenizer.json and tokenizer_config.json, as they were read.
  void save(const std::filesystem::path& directory) const;

 private:
  Tokenizer() = default;
  std::optional<std::int32_t> named_token(const JsonReader& config, const char* key) const;

  std::shared_ptr<const TokenizerParts> parts_;
  std::optional<std::int32_t> pad_id_, bos_id_, eos_id_;
  std::string json_, config_json_;  // the two files
};

}  // namespace zeroth
