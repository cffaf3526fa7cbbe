#include "policy/tokenizer.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <set>
#include <stdexcept>

#include "policy/byte_level.h"
#include "policy/text_stream.h"
#include "policy/tokenizer/parts.h"
#include "policy/tokenizer/tokenizer_json.h"
#include "policy/tokenizer_reader.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/utf8.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kFile = "tokenizer.json";
constexpr const char* kConfigFile = "tokenizer_config.json";

std::string printable(std::uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = {'0', 'x', kDigits[byte >> 4U], kDigits[byte & 15U]};
  if (byte > ' ' && byte < 0x7F) text += std::string(" '") + static_cast<char>(byte) + "'";
  return text;
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? path / kFile : path;
  const fs::path config = file.parent_path() / kConfigFile;
  return parse(read_file(file), fs::exists(config) ? read_file(config) : "", file.string());
}

Tokenizer Tokenizer::parse(std::string_view json_text, std::string_view config,
                           const std::string& source) {
  Tokenizer tokenizer;
  tokenizer.parts_ = TokenizerReader(JsonReader::parse(json_text, source)).read();
  tokenizer.json_ = json_text;
  tokenizer.config_json_ = config;
  if (!config.empty()) {
    const fs::path beside = fs::path(source).parent_path() / kConfigFile;
    const JsonReader names = JsonReader::parse(config, beside.string());
    tokenizer.pad_id_ = tokenizer.named_token(names, "pad_token");
    tokenizer.bos_id_ = tokenizer.named_token(names, "bos_token");
    tokenizer.eos_id_ = tokenizer.named_token(names, "eos_token");
  }
  return tokenizer;
}

/// A token that tokenizer_config.json names as text or as an object with "content".
std::optional<std::int32_t> Tokenizer::named_token(const JsonReader& config,
                                                   const char* key) const {
  if (!config.has(key)) return std::nullopt;
  const JsonReader token = config.child(key);
  const auto id =
      token_id(token.value().is_object() ? token.get_string("content") : token.as_string());
  if (!id) config.fail(key, "a token of tokenizer.json");
  return id;
}

Tokenizer Tokenizer::byte_level(const ByteLevelOptions& options) {
  std::set<std::uint8_t> bytes;
  if (options.alphabet) {
    for (const char c : *options.alphabet) bytes.insert(static_cast<std::uint8_t>(c));
  } else {
    for (int byte = 0; byte < 256; ++byte) bytes.insert(static_cast<std::uint8_t>(byte));
  }
  std::int32_t next_id = 0;
  json::object vocab;
  for (const std::uint8_t byte : bytes) vocab[byte_level_character(byte)] = next_id++;

  json::array added;
  std::set<std::string> seen;
  const auto add = [&](const std::string& token, bool special) {
    if (token.empty() || !decodes_to_itself(token) || !seen.insert(token).second ||
        vocab.contains(token)) {
      throw std::invalid_argument("Tokenizer: token \"" + token +
                                  "\" is empty, twice there or does not decode to itself");
    }
    added.push_back(added_token_json(next_id++, token, special));
  };
  for (const auto& token : {options.pad_token, options.bos_token, options.eos_token})
    add(token, true);
  for (const auto& token : options.added_tokens) add(token, false);

  return parse(tokenizer_json_text({.added_tokens = std::move(added),
                                    .pre_tokenizer = byte_level_json(/*use_regex=*/false),
                                    .vocab = std::move(vocab)}),
               tokenizer_config_text(
                   {.pad = options.pad_token, .bos = options.bos_token, .eos = options.eos_token}),
               kFile);
}

namespace {

/// One text being encoded.
class Encoder {
 public:
  Encoder(const TokenizerParts& parts, std::string_view text, std::vector<std::int32_t>& out)
      : parts_(parts), text_(text), out_(out) {}

  void encode() {
    if (parts_.reads_characters()) check_utf8();
    parts_.added_first.find(text_, first_);
    for (const AddedTokens::Part& part : first_) {
      if (part.id >= 0) {
        out_.push_back(part.id);
      } else {
        encode_stretch(text_.substr(part.begin, part.end - part.begin), part.begin == 0);
      }
    }
  }

 private:
  void check_utf8() const {
    const std::size_t at = find_invalid_utf8(text_);
    if (at == std::string::npos) return;
    throw InputError({.source = "text to encode",
                      .field = "byte " + std::to_string(at),
                      .expected = "UTF-8",
                      .actual = printable(static_cast<std::uint8_t>(text_[at]))});
  }

  /// Text without added tokens of the first kind.
  void encode_stretch(std::string_view text, bool at_start) {
    std::string normalized;
    if (!parts_.normalizer.empty()) {
      normalized = parts_.normalizer.apply(text, scratch_.pattern);
      text = normalized;
    }
    parts_.added_second.find(text, second_);
    for (const AddedTokens::Part& part : second_) {
      if (part.id >= 0) {
        out_.push_back(part.id);
      } else {
        encode_pieces(text.substr(part.begin, part.end - part.begin), at_start && part.begin == 0);
      }
    }
  }

  void encode_pieces(std::string_view text, bool at_start) {
    parts_.pre_tokenizer.cut(text, at_start, scratch_, pieces_);
    for (const Piece& piece : pieces_) {
      const auto unknown = parts_.bpe.encode(piece.text, out_);
      if (unknown) fail(piece.text, *unknown);
    }
  }

  [[noreturn]] void fail(std::string_view piece, std::size_t at) const {
    const std::string_view unknown =
        piece.substr(at, std::max<std::size_t>(utf8_bytes(piece.substr(at)), 1));
    const bool of_text = std::greater_equal<>()(piece.data(), text_.data()) &&
                         std::less<>()(piece.data(), text_.data() + text_.size());
    const std::size_t offset = static_cast<std::size_t>(piece.data() - text_.data()) + at;
    throw InputError({.source = "text to encode",
                      .field = of_text ? "byte " + std::to_string(offset) : "the normalized text",
                      .expected = parts_.bpe.options().bytes
                                      ? "a byte of the tokenizer's alphabet"
                                      : "a character of the tokenizer's vocabulary",
                      .actual = parts_.bpe.options().bytes || unknown.size() == 1
                                    ? printable(static_cast<std::uint8_t>(unknown[0]))
                                    : "'" + std::string(unknown) + "'"});
  }

  const TokenizerParts& parts_;
  std::string_view text_;
  std::vector<std::int32_t>& out_;
  CutScratch scratch_;
  std::vector<AddedTokens::Part> first_, second_;
  std::vector<Piece> pieces_;
};

}  // namespace

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  std::vector<std::int32_t> out;
  if (add_special_tokens) out = parts_->before;
  Encoder(*parts_, text, out).encode();
  if (add_special_tokens) out.insert(out.end(), parts_->behind.begin(), parts_->behind.end());
  return out;
}

std::vector<std::pair<std::int32_t, std::int32_t>> Tokenizer::merges() const {
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  pairs.reserve(parts_->bpe.merges().size());
  for (const BpeMerge& merge : parts_->bpe.merges()) pairs.emplace_back(merge.left, merge.right);
  return pairs;
}

const std::vector<Tokenizer::Token>& Tokenizer::tokens() const {
  return parts_->tokens;
}

const TokenDecoder& Tokenizer::decoder() const {
  return parts_->decoder;
}

std::string Tokenizer::bytes(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= vocab_size()) continue;
    const Token& token = tokens()[static_cast<std::size_t>(id)];
    if (skip_special && token.special) continue;
    bytes += token.decoded.empty() ? token.bytes
                                   : byte_level_bytes(token.decoded).value_or(token.decoded);
  }
  return bytes;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  TextStream stream(*this, skip_special);
  std::string text = stream.push(ids);
  text += stream.finish();
  return text;
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  const std::int32_t id = parts_->ids.find(token);
  return id < 0 ? std::nullopt : std::optional(id);
}

void Tokenizer::save(const fs::path& directory) const {
  write_file_atomically(directory / kFile, json_);
  if (!config_json_.empty()) write_file_atomically(directory / kConfigFile, config_json_);
}

}  // namespace zeroth
