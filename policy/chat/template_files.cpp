#include "policy/chat/template_files.h"

#include <optional>

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

using Named = std::map<std::string, ChatTemplates::Text>;

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

// Tokens are texts, or objects whose `content` is one.
void add_tokens(const JsonReader& object, std::map<std::string, std::string>& tokens) {
  for (const char* name : kTokens) {
    if (!object.contains(name)) continue;
    if (!object.has(name)) {
      tokens.erase(name);
      continue;
    }
    const JsonReader token = object.child(name);
    if (!token.value().is_string() && !token.value().is_object())
      token.fail("a token: a text, or an object with its content");
    tokens[name] = token.value().is_string() ? token.as_string() : token.get_string("content");
  }
}

// The tokens of a directory that need have no template.
std::map<std::string, std::string> tokens_of(const fs::path& directory) {
  std::map<std::string, std::string> tokens;
  const auto config = read_object(directory / "tokenizer_config.json");
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
