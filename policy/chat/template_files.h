// Where a model's chat templates are, and the special tokens that they write: what a checkpoint
// directory says in tokenizer_config.json and beside it.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace zeroth {

struct ChatTemplates {
  struct Text {
    std::string source;  // file
    std::string field;   // in it; empty for a file that is the template
    std::string text;
  };
  std::string source;                                 // directory or file
  std::map<std::string, Text> named;                  // "default", "tool_use", …; not empty
  std::map<std::string, std::string> special_tokens;  // by name: bos_token, …
};

/// Of a file that is a template, or of a directory: chat_template.jinja ("default") and
/// additional_chat_templates/NAME.jinja; where there is none of them, `chat_template` of
/// tokenizer_config.json, a text or a list of {name, template}; or else of chat_template.json.
/// The tokens are what tokenizer_config.json names NAME_token or within extra_special_tokens, with
/// those of special_tokens_map.json before them where the first has no added_tokens_decoder, and
/// those of the tokenizer_class behind them, as transformers has it.
/// InputError names what is missing, wrong or not UTF-8.
ChatTemplates read_chat_templates(const std::filesystem::path& path);

/// The same of a template that stands for a model's own: a file's tokens are those of the model.
ChatTemplates read_chat_templates(const std::filesystem::path& path,
                                  const std::filesystem::path& model_directory);

}  // namespace zeroth
