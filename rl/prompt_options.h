// The keys that say how a question becomes a prompt.
#pragma once

#include <string>
#include <string_view>

namespace zeroth {

/// The prompt template that is the model's own chat template.
inline constexpr std::string_view kChatPrompts = "chat";

/// How questions become prompts.
struct PromptOptions {
  std::string prompt_template = "plain";
  std::string chat_template_path;
  std::string chat_template_kwargs = "{}";
  std::string chat_date;
  std::string chat_python = "python3";

  bool has_chat_prompts() const { return prompt_template == kChatPrompts; }
};

template <class Visitor>
void visit_fields(Visitor& v, PromptOptions& c) {
  v("prompt_template", c.prompt_template,
    "plain, r1_zero, chat (the model's chat template), or a text file that holds {question}");
  v("chat_template_path", c.chat_template_path,
    "of chat: a .jinja file or a model's directory, in place of the model's own template");
  v("chat_template_kwargs", c.chat_template_kwargs,
    "of chat: JSON object of the template's variables");
  v("chat_date", c.chat_date,
    "of chat: what a template is told when it asks, such as 2026-01-02; empty: the day the run "
    "began");
  v("chat_python", c.chat_python, "of chat: Python 3 interpreter with jinja2 3.1.6 or later");
}

}  // namespace zeroth
