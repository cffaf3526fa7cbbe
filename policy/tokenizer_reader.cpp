#include "policy/tokenizer_reader.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <string>

#include "policy/byte_level.h"
#include "policy/tokenizer/pipeline_reader.h"
#include "system/error.h"

namespace zeroth {
namespace {

void require_null(const JsonReader& json, std::string_view key) {
  if (json.has(key)) json.fail(key, "null (a tokenizer with one is not supported)");
}

/// Files of the first versions leave the type out; a model with merges is this one.
JsonReader bpe_model(const JsonReader& json) {
  JsonReader model = json.child("model");
  if (model.get_string("type", model.has("merges") ? "BPE" : "") != "BPE")
    model.fail("type", "\"BPE\" (others are not supported)");
  return model;
}

std::string_view view(const boost::json::string& text) {
  return {text.data(), text.size()};
}

/// The two parts of a merge, which is "left right" or ["left", "right"]; false for anything else.
bool split_merge(const boost::json::value& merge, std::string_view& left, std::string_view& right) {
  if (const auto* text = merge.if_string()) {
    const std::string_view whole = view(*text);
    const std::size_t space = whole.find(' ');
    if (space == std::string::npos || whole.find(' ', space + 1) != std::string::npos) return false;
    left = whole.substr(0, space);
    right = whole.substr(space + 1);
    return true;
  }
  const auto* parts = merge.if_array();
  if (parts == nullptr || parts->size() != 2 || !(*parts)[0].is_string() ||
      !(*parts)[1].is_string()) {
    return false;
  }
  left = view((*parts)[0].get_string());
  right = view((*parts)[1].get_string());
  return true;
}

}  // namespace

std::shared_ptr<const TokenizerParts> TokenizerReader::read() {
  require_null(json_, "truncation");
  require_null(json_, "padding");
  const JsonReader model = bpe_model(json_);
  BpeOptions options = read_options(model);
  PipelineReader pipeline(json_);
  pipeline.read_normalizer(parts_->normalizer);
  options.bytes = pipeline.read_pre_tokenizer(parts_->pre_tokenizer) &&
                  options.continuing_subword_prefix.empty() && options.end_of_word_suffix.empty();
  if (!options.bytes) pipeline.spell_out_bytes(parts_->pre_tokenizer);
  pipeline.read_decoder(parts_->decoder);
  read_tokens(model);
  pipeline.read_post_processor(parts_->tokens.size(), parts_->before, parts_->behind);

  std::int32_t unk_id = -1;
  if (const std::string unk = model.get_string("unk_token", ""); !unk.empty()) {
    unk_id = model_ids_.find(unk);
    if (unk_id < 0) model.fail("unk_token", "a token of the vocabulary");
  }
  std::vector<BpeMerge> merges = read_merges(model, options);
  parts_->bpe = Bpe(std::move(options), vocab_, std::move(model_ids_), std::move(merges), unk_id);
  return parts_;
}

BpeOptions TokenizerReader::read_options(const JsonReader& model) const {
  if (model.has("dropout") && model.get_double("dropout") != 0) {
    model.fail("dropout", "null or 0 (merges that are left out by chance are not supported)");
  }
  return {.ignore_merges = model.get_bool("ignore_merges", false),
          .byte_fallback = model.get_bool("byte_fallback", false),
          .fuse_unk = model.get_bool("fuse_unk", false),
          .continuing_subword_prefix = model.get_string("continuing_subword_prefix", ""),
          .end_of_word_suffix = model.get_string("end_of_word_suffix", "")};
}

/// The ids of vocabulary and added tokens together must be 0 … n-1.
void TokenizerReader::read_tokens(const JsonReader& model) {
  const JsonReader vocab = model.child("vocab");
  if (!vocab.value().is_object()) vocab.fail("an object");
  std::vector<JsonReader> added;
  if (json_.has("added_tokens")) added = json_.child("added_tokens").elements();
  const std::size_t most = vocab.value().get_object().size() + added.size();
  parts_->tokens.resize(most);
  taken_.resize(most);
  parts_->ids.reserve(most);
  read_vocab(vocab);
  for (const JsonReader& entry : added) read_added(entry);
  // Fewer than `most` when an added token is in the vocabulary too.
  for (std::size_t id = 0; id < most; ++id) {
    if (taken_[id] == (id < num_tokens_)) continue;
    vocab.fail("ids 0 to " + std::to_string(num_tokens_ - 1) + ", each once; id " +
               std::to_string(id) + (taken_[id] ? " lies beyond" : " is missing"));
  }
  parts_->tokens.resize(num_tokens_);
  // The tokens stay where they are from here on.
  for (BpeToken& token : vocab_) {
    const Tokenizer::Token& made = parts_->tokens[static_cast<std::size_t>(token.id)];
    token.spelling = made.spelling;
    token.bytes = made.bytes;
  }
  index_added(added);
}

std::size_t TokenizerReader::token_at(const JsonReader& entry, std::string_view key,
                                      std::int64_t id) const {
  if (id < 0 || id >= static_cast<std::int64_t>(parts_->tokens.size())) {
    entry.fail(key,
               "an id below the number of tokens (" + std::to_string(parts_->tokens.size()) + ")");
  }
  return static_cast<std::size_t>(id);
}

void TokenizerReader::read_vocab(const JsonReader& vocab) {
  const boost::json::object& entries = vocab.value().get_object();
  vocab_.reserve(entries.size());
  model_ids_.reserve(entries.size());
  for (const auto& entry : entries) {
    const std::string_view spelling(entry.key().data(), entry.key().size());
    const std::int64_t* id = entry.value().if_int64();
    const std::size_t at =
        token_at(vocab, spelling, id != nullptr ? *id : vocab.get_int64(spelling));
    if (taken_[at]) vocab.fail(spelling, "an id that no other token has");
    taken_[at] = true;
    ++num_tokens_;
    Tokenizer::Token& token = parts_->tokens[at];
    token.spelling = spelling;
    token.bytes = byte_level_bytes(spelling).value_or(token.spelling);
    vocab_.push_back(
        {.spelling = token.spelling, .bytes = {}, .id = static_cast<std::int32_t>(at)});
    model_ids_.insert(token.spelling, static_cast<std::int32_t>(at));
    parts_->ids.insert(token.spelling, static_cast<std::int32_t>(at));
  }
}

void TokenizerReader::read_added(const JsonReader& entry) {
  const std::string content = entry.get_string("content");
  if (content.empty()) entry.fail("content", "text");
  const std::size_t at = token_at(entry, "id", entry.get_int64("id"));
  const auto id = static_cast<std::int32_t>(at);
  Tokenizer::Token& token = parts_->tokens[at];
  const std::int32_t known = parts_->ids.find(content);
  if (known != (taken_[at] ? id : -1) || token.added) {
    entry.fail("id", "the id this token has in the vocabulary, or one that no other token has");
  }
  token.added = true;
  token.special = entry.get_bool("special");
  token.normalized = entry.get_bool("normalized", !token.special);
  if (taken_[at]) return;
  taken_[at] = true;
  ++num_tokens_;
  token.spelling = content;
  token.bytes = byte_level_bytes(content).value_or(content);
  parts_->ids.insert(token.spelling, id);
}

/// Special tokens first: where two have the same text once normalized, `tokenizers` takes the
/// first.
void TokenizerReader::index_added(const std::vector<JsonReader>& added) {
  PatternScratch scratch;
  std::vector<std::pair<std::int32_t, std::string>> normalized;
  for (const bool special : {true, false}) {
    for (const JsonReader& entry : added) {
      const auto id = static_cast<std::int32_t>(entry.get_int64("id"));
      const Tokenizer::Token& token = parts_->tokens[static_cast<std::size_t>(id)];
      if (token.special != special) continue;
      AddedToken made{.content = token.spelling,
                      .id = id,
                      .single_word = entry.get_bool("single_word", false),
                      .lstrip = entry.get_bool("lstrip", false),
                      .rstrip = entry.get_bool("rstrip", false)};
      if (made.single_word || made.lstrip || made.rstrip) parts_->added_take_space = true;
      if (token.normalized && !parts_->normalizer.empty()) {
        made.content = parts_->normalizer.apply(made.content, scratch);
        normalized.emplace_back(id, made.content);
      }
      if (made.content.empty())
        entry.fail("content", "text that the normalizer leaves something of");
      (token.normalized ? parts_->added_second : parts_->added_first).add(std::move(made));
    }
  }
  for (const auto& [id, text] : normalized) {
    parts_->tokens[static_cast<std::size_t>(id)].decoded = text;
  }
}

std::vector<BpeMerge> TokenizerReader::read_merges(const JsonReader& model,
                                                   const BpeOptions& options) const {
  std::vector<BpeMerge> merges;
  if (!model.has("merges")) return merges;
  const JsonReader list = model.child("merges");
  if (!list.value().is_array()) list.fail("an array");
  const boost::json::array& entries = list.value().get_array();
  merges.reserve(entries.size());
  MergeTable seen;
  seen.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto* text = entries[i].if_string();
    if (text != nullptr && text->starts_with("#version")) continue;
    const BpeMerge merge = read_merge(list, i, options);
    if (!seen.insert(merge, static_cast<std::int32_t>(i))) {
      list.elements()[i].fail("a pair that is there once");
    }
    merges.push_back(merge);
  }
  return merges;
}

BpeMerge TokenizerReader::read_merge(const JsonReader& merges, std::size_t index,
                                     const BpeOptions& options) const {
  std::string_view left, right;
  const auto fail = [&](const char* expected) { merges.elements()[index].fail(expected); };
  if (!split_merge(merges.value().get_array()[index], left, right)) {
    fail("two tokens: [\"left\", \"right\"] or \"left right\"");
  }
  const std::string& prefix = options.continuing_subword_prefix;
  if (!prefix.empty() && (!right.starts_with(prefix) || right.size() == prefix.size())) {
    fail("a second token that continues a word");
  }
  if (left.empty() || right.empty()) fail("tokens that are not empty");
  const std::string result = std::string(left) + std::string(right.substr(prefix.size()));
  const BpeMerge merge{.left = model_ids_.find(left),
                       .right = model_ids_.find(right),
                       .result = model_ids_.find(result)};
  if (merge.left < 0 || merge.right < 0) fail("tokens of the vocabulary");
  if (merge.result < 0) fail("a pair that makes a token of the vocabulary");
  return merge;
}

}  // namespace zeroth
