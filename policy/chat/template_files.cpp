#include "policy/chat/template_files.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "policy/byte_level.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                   "pad_token", "cls_token", "mask_token"};
constexpr std::string_view kEnding = ".jinja";
constexpr std::string_view kField = "chat_template";

constexpr std::string_view kExtra = "extra_special_tokens";
constexpr const char* kEndOfText = "<|endoftext|>";

using Named = std::map<std::string, ChatTemplates::Text>;
using Tokens = std::map<std::string, std::string>;

ChatTemplates::Text read_template(const fs::path& file) {
  std::string text = read_file(file);
  if (const std::size_t at = find_invalid_utf8(text); at != std::string_view::npos)
    throw InputError({.source = file.string(),
                      .field = "byte " + std::to_string(at),
                      .expected = "UTF-8 text",
                      .actual = "a byte that is not"});
  return {.source = file.string(), .field = "", .text = std::move(text)};
}

Named templates_in_files(const fs::path& directory) {
  Named named;
  if (const fs::path file = directory / "chat_template.jinja"; fs::exists(file))
    named["default"] = read_template(file);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory / "additional_chat_templates", error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kEnding)) continue;
    named[name.substr(0, name.size() - kEnding.size())] = read_template(entry.path());
  }
  return named;
}

// `chat_template` of a JSON file: a text, or a list of {name, template}.
Named templates_in_field(const JsonReader& config) {
  Named named;
  if (!config.has(kField)) return named;
  const JsonReader field = config.child(kField);
  if (field.value().is_string()) {
    named["default"] = {field.source(), field.path(), field.as_string()};
    return named;
  }
  if (!field.value().is_array()) field.fail("a text, or a list of {name, template}");
  for (const JsonReader& entry : field.elements()) {
    const JsonReader text = entry.child("template");
    named[entry.get_string("name")] = {text.source(), text.path(), text.as_string()};
  }
  return named;
}

std::optional<JsonReader> read_object(const fs::path& file) {
  if (!fs::exists(file)) return std::nullopt;
  const JsonReader object = JsonReader::read(file);
  if (!object.value().is_object()) object.fail("an object");
  return object;
}

// A token is a text, or an object whose `content` is one.
std::optional<std::string> token_of(const JsonReader& token) {
  if (token.value().is_string()) return token.as_string();
  if (token.value().is_object() && token.contains("content")) return token.get_string("content");
  return std::nullopt;
}

// What is named like a token, and the extra tokens that have names.
void add_tokens(const JsonReader& object, Tokens& tokens) {
  for (const std::string& name : object.keys()) {
    if (!name.ends_with("_token")) continue;
    const bool is_known =
        std::find(std::begin(kTokens), std::end(kTokens), name) != std::end(kTokens);
    if (is_known) tokens.erase(name);
    if (!object.has(name)) continue;
    const JsonReader value = object.child(name);
    if (const auto token = token_of(value))
      tokens[name] = *token;
    else if (is_known)
      value.fail("a token: a text, or an object with its content");
  }
  if (!object.has(kExtra) || !object.child(kExtra).value().is_object()) return;
  const JsonReader extra = object.child(kExtra);
  for (const std::string& name : extra.keys()) {
    const auto token = token_of(extra.child(name));
    if (!token) extra.child(name).fail("a token: a text, or an object with its content");
    tokens[name] = *token;
  }
}

// Those that transformers' class has where a file does not name them.
Tokens tokens_of_class(std::string name) {
  static const std::map<std::string, Tokens> kClasses = {
      {"CohereTokenizer",
       {{"unk_token", "<UNK>"},
        {"bos_token", "<BOS_TOKEN>"},
        {"eos_token", "<|END_OF_TURN_TOKEN|>"},
        {"pad_token", "<PAD>"},
        {"cls_token", "<CLS>"},
        {"sep_token", "<SEP>"},
        {"mask_token", "<MASK_TOKEN>"}}},
      {"GPT2Tokenizer",
       {{"unk_token", kEndOfText}, {"bos_token", kEndOfText}, {"eos_token", kEndOfText}}},
      {"GemmaTokenizer",
       {{"unk_token", "<unk>"},
        {"bos_token", "<bos>"},
        {"eos_token", "<eos>"},
        {"pad_token", "<pad>"},
        {"mask_token", "<mask>"}}},
      {"LlamaTokenizer", {{"unk_token", "<unk>"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}}},
      {"Qwen2Tokenizer",
       {{"unk_token", kEndOfText}, {"eos_token", kEndOfText}, {"pad_token", kEndOfText}}}};
  constexpr std::string_view kFast = "Fast";
  if (name.ends_with(kFast)) name.resize(name.size() - kFast.size());
  const auto found = kClasses.find(name);
  return found == kClasses.end() ? Tokens{} : found->second;
}

// A byte-level tokenizer is not of the class that a file calls LlamaTokenizer, whatever it says.
Tokens default_tokens(const JsonReader& config, const fs::path& directory) {
  if (!config.has("tokenizer_class") || !config.child("tokenizer_class").value().is_string())
    return {};
  const std::string name = config.get_string("tokenizer_class");
  const fs::path file = directory / "tokenizer.json";
  const bool is_llama = name.starts_with("LlamaTokenizer");
  const bool is_bytes =
      is_llama && fs::exists(file) && read_file(file).find("\"ByteLevel\"") != std::string::npos;
  return is_bytes ? Tokens{} : tokens_of_class(name);
}

// The tokens of a directory that need have no template.
Tokens tokens_of(const fs::path& directory) {
  const auto config = read_object(directory / "tokenizer_config.json");
  Tokens tokens = config ? default_tokens(*config, directory) : Tokens{};
  if (config) add_tokens(*config, tokens);
  if (!config || !config->has("added_tokens_decoder"))
    if (const auto map = read_object(directory / "special_tokens_map.json"))
      add_tokens(*map, tokens);
  return tokens;
}

Named templates_of(const fs::path& directory) {
  Named named = templates_in_files(directory);
  for (const char* file : {"tokenizer_config.json", "chat_template.json"})
    if (named.empty())
      if (const auto config = read_object(directory / file)) named = templates_in_field(*config);
  return named;
}

}  // namespace

ChatTemplates read_chat_templates(const fs::path& path) {
  if (!fs::is_directory(path))
    return {
        .source = path.string(), .named = {{"default", read_template(path)}}, .special_tokens = {}};
  ChatTemplates templates{
      .source = path.string(), .named = templates_of(path), .special_tokens = tokens_of(path)};
  if (templates.named.empty())
    throw InputError({.source = path.string(),
                      .field = "chat_template",
                      .expected = "one in tokenizer_config.json, or chat_template.jinja",
                      .actual = "neither"});
  return templates;
}

ChatTemplates read_chat_templates(const fs::path& path, const fs::path& model_directory) {
  ChatTemplates templates = read_chat_templates(path);
  if (!fs::is_directory(path)) templates.special_tokens = tokens_of(model_directory);
  return templates;
}

}  // namespace zeroth
