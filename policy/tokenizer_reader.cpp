#include "policy/tokenizer_reader.h"

#include <algorithm>
#include <string>

#include "policy/byte_level.h"
#include "system/error.h"

namespace zeroth {
namespace {

void require_null(const JsonReader& json, std::string_view key) {
  if (json.has(key)) json.fail(key, "null (a tokenizer with one is not supported)");
}

void require_false(const JsonReader& json, std::string_view key, bool absent_means) {
  if (json.get_bool(key, absent_means)) json.fail(key, "false (true is not supported)");
}

/// Throws unless `key` is an object of the given type.
JsonReader require_type(const JsonReader& json, std::string_view key, const std::string& type) {
  JsonReader part = json.child(key);
  if (part.get_string("type") != type)
    part.fail("type", "\"" + type + "\" (others are not supported)");
  return part;
}

/// A sequence of one is that one.
JsonReader unwrap_sequence(const JsonReader& part, std::string_view list) {
  if (part.value().is_object() && part.get_string("type", "") == "Sequence") {
    const std::vector<JsonReader> elements = part.child(list).elements();
    if (elements.size() == 1) return elements[0];
  }
  return part;
}

/// A merge is "left right" or ["left", "right"].
std::pair<std::string, std::string> split_merge(const JsonReader& merge) {
  if (merge.value().is_string()) {
    const std::string text = merge.as_string();
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      merge.fail("two tokens and a space between them");
    }
    return {text.substr(0, space), text.substr(space + 1)};
  }
  const std::vector<JsonReader> parts = merge.elements();
  if (parts.size() != 2) merge.fail("two tokens");
  return {parts[0].as_string(), parts[1].as_string()};
}

}  // namespace

Tokenizer TokenizerReader::read() {
  check_supported();
  read_tokens();
  read_bytes();
  if (json_.child("model").has("merges")) read_merges(json_.child("model").child("merges"));
  return std::move(tokenizer_);
}

void TokenizerReader::check_supported() const {
  require_null(json_, "truncation");
  require_null(json_, "padding");
  require_null(json_, "normalizer");
  if (json_.has("post_processor")) require_type(json_, "post_processor", "ByteLevel");
  require_type(json_, "decoder", "ByteLevel");

  const JsonReader pre_tokenizer = unwrap_sequence(json_.child("pre_tokenizer"), "pretokenizers");
  if (pre_tokenizer.get_string("type") != "ByteLevel") {
    pre_tokenizer.fail("type", "\"ByteLevel\" (others are not supported)");
  }
  require_false(pre_tokenizer, "add_prefix_space", true);
  require_false(pre_tokenizer, "use_regex", true);

  const JsonReader model = require_type(json_, "model", "BPE");
  require_null(model, "dropout");
  require_null(model, "unk_token");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.get_string(key, "").empty())
      model.fail(key, "null or \"\" (others are not supported)");
  }
  require_false(model, "byte_fallback", false);
  require_false(model, "ignore_merges", false);
}

/// The ids of vocabulary and added tokens together must be 0 … n-1.
void TokenizerReader::read_tokens() {
  const JsonReader vocab = json_.child("model").child("vocab");
  std::vector<JsonReader> added;
  if (json_.has("added_tokens")) added = json_.child("added_tokens").elements();
  const std::size_t most = vocab.keys().size() + added.size();
  tokenizer_.tokens_.resize(most);
  read_vocab(vocab);
  for (const JsonReader& entry : added) read_added(entry);

  std::size_t size =
      tokenizer_.ids_.size();  // below `most` when an added token is in the vocabulary too
  for (std::size_t id = 0; id < most; ++id) {
    const bool there =
        tokenizer_.ids_.contains(tokenizer_.tokens_[id].spelling) &&
        tokenizer_.ids_[tokenizer_.tokens_[id].spelling] == static_cast<std::int32_t>(id);
    if (there != (id < size)) {
      vocab.fail("ids 0 to " + std::to_string(size - 1) + ", each once; id " + std::to_string(id) +
                 (there ? " lies beyond" : " is missing"));
    }
  }
  tokenizer_.tokens_.resize(size);
}

void TokenizerReader::read_vocab(const JsonReader& vocab) {
  for (const std::string& spelling : vocab.keys()) {
    const std::int64_t id = vocab.get_int64(spelling);
    if (id < 0 || id >= static_cast<std::int64_t>(tokenizer_.tokens_.size())) {
      vocab.fail(spelling, "an id below the number of tokens (" +
                               std::to_string(tokenizer_.tokens_.size()) + ")");
    }
    Tokenizer::Token& token = tokenizer_.tokens_[static_cast<std::size_t>(id)];
    if (!token.spelling.empty()) vocab.fail(spelling, "an id that no other token has");
    token.spelling = spelling;
    token.bytes = byte_level_bytes(spelling).value_or(spelling);
    tokenizer_.ids_[spelling] = static_cast<std::int32_t>(id);
  }
}

void TokenizerReader::read_added(const JsonReader& entry) {
  const std::string content = entry.get_string("content");
  if (content.empty()) entry.fail("content", "text");
  for (const char* key : {"single_word", "lstrip", "rstrip"}) require_false(entry, key, false);
  const std::int64_t id = entry.get_int64("id");
  if (id < 0 || id >= static_cast<std::int64_t>(tokenizer_.tokens_.size())) {
    entry.fail("id", "an id below the number of tokens (" +
                         std::to_string(tokenizer_.tokens_.size()) + ")");
  }
  Tokenizer::Token& token = tokenizer_.tokens_[static_cast<std::size_t>(id)];
  const auto known = tokenizer_.ids_.find(content);
  const bool same = known != tokenizer_.ids_.end() && known->second == id && !token.added;
  if (!same && (known != tokenizer_.ids_.end() || !token.spelling.empty())) {
    entry.fail("id", "the id this token has in the vocabulary, or one that no other token has");
  }
  const bool special = entry.get_bool("special");
  token = {.spelling = content,
           .bytes = byte_level_bytes(content).value_or(content),
           .added = true,
           .special = special,
           .normalized = entry.get_bool("normalized", !special)};
  tokenizer_.ids_[content] = static_cast<std::int32_t>(id);

  auto& index = token.normalized ? tokenizer_.added_second_ : tokenizer_.added_first_;
  auto& bucket = index[static_cast<std::uint8_t>(content[0])];
  bucket.push_back(static_cast<std::int32_t>(id));
  std::stable_sort(bucket.begin(), bucket.end(), [&](std::int32_t a, std::int32_t b) {
    return tokenizer_.tokens_[static_cast<std::size_t>(a)].spelling.size() >
           tokenizer_.tokens_[static_cast<std::size_t>(b)].spelling.size();
  });
}

void TokenizerReader::read_bytes() {
  const JsonReader vocab = json_.child("model").child("vocab");
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const std::string character = byte_level_character(static_cast<std::uint8_t>(byte));
    // Only the vocabulary: an added token of one character is matched in the text itself.
    tokenizer_.byte_ids_[byte] = vocab.contains(character) ? tokenizer_.ids_.at(character) : -1;
  }
}

void TokenizerReader::read_merges(const JsonReader& merges) {
  std::int32_t rank = 0;
  for (const JsonReader& merge : merges.elements()) {
    const auto [left, right] = split_merge(merge);
    const std::int32_t result = merge_part(merge, left + right);
    // Of a pair that is there twice `tokenizers` keeps the later rank.
    tokenizer_.merges_[pair_key(merge_part(merge, left), merge_part(merge, right))] = {rank++,
                                                                                       result};
  }
}

std::int32_t TokenizerReader::merge_part(const JsonReader& merge, const std::string& part) const {
  const auto found = tokenizer_.ids_.find(part);
  if (part.empty() || found == tokenizer_.ids_.end()) merge.fail("tokens of the vocabulary");
  return found->second;
}

void TokenizerReader::read_config(const JsonReader& config, Tokenizer& tokenizer) {
  const auto read = [&](const char* key) -> std::optional<std::int32_t> {
    if (!config.has(key)) return std::nullopt;
    const JsonReader token = config.child(key);
    const std::string name =
        token.value().is_object() ? token.get_string("content") : token.as_string();
    const auto id = tokenizer.token_id(name);
    if (!id) config.fail(key, "a token of tokenizer.json");
    return id;
  };
  tokenizer.pad_id_ = read("pad_token");
  tokenizer.bos_id_ = read("bos_token");
  tokenizer.eos_id_ = read("eos_token");
}

}  // namespace zeroth
