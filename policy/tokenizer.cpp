#include "policy/tokenizer.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <queue>
#include <set>
#include <stdexcept>
#include <tuple>

#include "policy/byte_level.h"
#include "policy/tokenizer_reader.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

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

/// The text decodes to itself, here and in `tokenizers`, whose decoder reads the byte alphabet in
/// added tokens too.
bool decodes_to_itself(const std::string& token) {
  if (find_invalid_utf8(token) != std::string::npos) return false;
  const auto bytes = byte_level_bytes(token);
  return !bytes || *bytes == token;
}

json::object added_token(std::int32_t id, const std::string& content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

json::object byte_level_object() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", false}};
}

json::object bpe_model(json::object vocab) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(vocab)},
          {"merges", json::array()}};
}

/// What transformers' AutoTokenizer needs. Spaces before punctuation are text, not something to
/// clean up.
json::object tokenizer_config(const ByteLevelOptions& options) {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"pad_token", options.pad_token},
          {"bos_token", options.bos_token},
          {"eos_token", options.eos_token},
          {"add_bos_token", false},
          {"add_eos_token", false},
          {"clean_up_tokenization_spaces", false}};
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? path / kFile : path;
  const fs::path config = file.parent_path() / kConfigFile;
  return parse(read_file(file), fs::exists(config) ? read_file(config) : "", file.string());
}

Tokenizer Tokenizer::parse(std::string_view json_text, std::string_view config,
                           const std::string& source) {
  Tokenizer tokenizer = TokenizerReader(JsonReader::parse(json_text, source)).read();
  tokenizer.json_ = json_text;
  tokenizer.config_json_ = config;
  if (!config.empty()) {
    const fs::path beside = fs::path(source).parent_path() / kConfigFile;
    TokenizerReader::read_config(JsonReader::parse(config, beside.string()), tokenizer);
  }
  return tokenizer;
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
    added.push_back(added_token(next_id++, token, special));
  };
  for (const auto& token : {options.pad_token, options.bos_token, options.eos_token})
    add(token, true);
  for (const auto& token : options.added_tokens) add(token, false);

  const json::object file = {{"version", "1.0"},
                             {"truncation", nullptr},
                             {"padding", nullptr},
                             {"added_tokens", std::move(added)},
                             {"normalizer", nullptr},
                             {"pre_tokenizer", byte_level_object()},
                             {"post_processor", nullptr},
                             {"decoder", byte_level_object()},
                             {"model", bpe_model(std::move(vocab))}};
  return parse(write_json(file, JsonLayout::indented) + "\n",
               write_json(tokenizer_config(options), JsonLayout::indented) + "\n", kFile);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> out;
  encode_outside(added_first_, text, 0, out);
  return out;
}

/// Finds the added tokens of `index` in `text` and encodes what lies between them: by the second
/// index after the first, by bytes after the second. `offset` is where `text` begins in the whole.
void Tokenizer::encode_outside(const AddedIndex& index, std::string_view text, std::size_t offset,
                               std::vector<std::int32_t>& out) const {
  std::size_t begin = 0;  // of the stretch without added tokens
  const auto flush = [&](std::size_t end) {
    const std::string_view between = text.substr(begin, end - begin);
    if (&index == &added_first_) {
      encode_outside(added_second_, between, offset + begin, out);
    } else {
      encode_bytes(between, offset + begin, out);
    }
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto& candidates = index[static_cast<std::uint8_t>(text[at])];
    const auto found = std::find_if(candidates.begin(), candidates.end(), [&](std::int32_t id) {
      return text.substr(at).starts_with(tokens_[static_cast<std::size_t>(id)].spelling);
    });
    if (found == candidates.end()) {
      ++at;
      continue;
    }
    flush(at);
    out.push_back(*found);
    at += tokens_[static_cast<std::size_t>(*found)].spelling.size();
    begin = at;
  }
  flush(text.size());
}

void Tokenizer::encode_bytes(std::string_view text, std::size_t offset,
                             std::vector<std::int32_t>& out) const {
  std::vector<std::int32_t> ids(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    ids[i] = byte_ids_[byte];
    if (ids[i] < 0) {
      throw InputError({.source = "text to encode",
                        .field = "byte " + std::to_string(offset + i),
                        .expected = "a byte of the tokenizer's alphabet",
                        .actual = printable(byte)});
    }
  }
  if (!merges_.empty()) apply_merges(ids);
  out.insert(out.end(), ids.begin(), ids.end());
}

/// Merges the pair of lowest rank, leftmost first, until no pair has a merge (Sennrich et al. 2016,
/// arXiv:1508.07909). The symbols are a linked list, the pairs a queue: O(n log n).
void Tokenizer::apply_merges(std::vector<std::int32_t>& ids) const {
  constexpr std::size_t kEnd = static_cast<std::size_t>(-1);
  const std::size_t n = ids.size();
  std::vector<std::size_t> previous(n), next(n);
  for (std::size_t i = 0; i < n; ++i) {
    previous[i] = i == 0 ? kEnd : i - 1;
    next[i] = i + 1 == n ? kEnd : i + 1;
  }
  struct Pair {
    std::int32_t rank;
    std::size_t left;
    std::int32_t left_id, right_id, result;
    bool operator>(const Pair& other) const {
      return std::tie(rank, left) > std::tie(other.rank, other.left);
    }
  };
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> pairs;
  const auto push = [&](std::size_t left) {
    if (left == kEnd || next[left] == kEnd) return;
    const std::int32_t left_id = ids[left], right_id = ids[next[left]];
    const auto found = merges_.find(TokenizerReader::pair_key(left_id, right_id));
    if (found != merges_.end()) {
      pairs.push({found->second.rank, left, left_id, right_id, found->second.result});
    }
  };
  for (std::size_t i = 0; i < n; ++i) push(i);
  while (!pairs.empty()) {
    const Pair pair = pairs.top();
    pairs.pop();
    const std::size_t right = ids[pair.left] == pair.left_id ? next[pair.left] : kEnd;
    if (right == kEnd || ids[right] != pair.right_id)
      continue;  // one of the two was merged meanwhile
    ids[pair.left] = pair.result;
    ids[right] = -1;
    next[pair.left] = next[right];
    if (next[right] != kEnd) previous[next[right]] = pair.left;
    push(previous[pair.left]);
    push(pair.left);
  }
  std::erase(ids, -1);
}

std::vector<std::pair<std::int32_t, std::int32_t>> Tokenizer::merges() const {
  std::vector<std::pair<std::int32_t, std::uint64_t>> ranked;
  ranked.reserve(merges_.size());
  for (const auto& [key, merge] : merges_) ranked.emplace_back(merge.rank, key);
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  pairs.reserve(ranked.size());
  for (const auto& [rank, key] : ranked) pairs.push_back(TokenizerReader::pair_of(key));
  return pairs;
}

std::string Tokenizer::bytes(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= vocab_size()) continue;
    const Token& token = tokens_[static_cast<std::size_t>(id)];
    if (!skip_special || !token.special) bytes += token.bytes;
  }
  return bytes;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  return utf8_lossy(bytes(ids, skip_special));
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

void Tokenizer::save(const fs::path& directory) const {
  write_file_atomically(directory / kFile, json_);
  if (!config_json_.empty()) write_file_atomically(directory / kConfigFile, config_json_);
}

}  // namespace zeroth
