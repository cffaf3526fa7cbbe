// zeroth chat-template: conversations as the text that a model's template makes of them, to be
// compared with other implementations.

#include <boost/json.hpp>
#include <iostream>
#include <iterator>
#include <string>

#include "policy/chat_template.h"
#include "system/error.h"
#include "system/json.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/printable.h"

namespace zeroth {

struct ChatTemplateConfig {
  std::string chat_template;
  bool jsonl = false;
  std::string date;
  std::string python = "python3";
};

template <class Visitor>
void visit_fields(Visitor& v, ChatTemplateConfig& c) {
  v("chat_template", c.chat_template, "a .jinja file, or a model's directory");
  v("jsonl", c.jsonl,
    "standard input is lines {\"messages\", \"tools\"?, \"documents\"?, "
    "\"add_generation_prompt\"?, "
    "\"continue_final_message\"?, \"kwargs\"?, \"date\"?}, each answered by {\"text\"} or "
    "{\"error\"}; else it is one such object, answered by its text");
  v("date", c.date,
    "what a template is told when it asks: 2026-01-02 or 2026-01-02T15:04:05; empty: now");
  v("python", c.python, "Python 3 interpreter with jinja2 3.1.6 or later");
}

void check(const ChatTemplateConfig& config) {
  const auto require = [](const std::string& key, const std::string& value,
                          const std::string& expected) {
    if (value.empty())
      throw InputError(
          {.source = "chat-template", .field = key, .expected = expected, .actual = "nothing"});
  };
  require("chat_template", config.chat_template, "a .jinja file, or a model's directory");
  require("python", config.python, "a program");
  if (!config.date.empty()) check_chat_date(config.date, "date");
}

namespace {

/// kExitWrongInput when a line was refused; the others are answered all the same.
int answer_lines(ChatTemplate& chat_template) {
  std::size_t number = 0, refused = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ChatRequest request{.source = "standard input:" + std::to_string(++number), .json = line};
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const ChatRendering rendering = chat_template.render({&request, 1})[0];
    if (rendering.error) {
      const std::string text = InputError(*rendering.error).what();
      std::cout << write_json(boost::json::object{{"error", text}}) << "\n";
      std::cerr << "zeroth: " << printable(text, "") << "\n";
      ++refused;
    } else {
      std::cout << write_json(boost::json::object{{"text", rendering.text}}) << "\n";
    }
  }
  return refused > 0 ? kExitWrongInput : kExitDone;
}

}  // namespace

int run_chat_template(int argc, char** argv) {
  ChatTemplateConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "chat-template",
               .summary = "conversations on standard input as a model's template has them",
               .positional = "chat_template"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  ChatTemplates templates = read_chat_templates(config.chat_template);
  const std::string date = config.date.empty() ? local_time() : config.date;
  ChatTemplate chat_template(std::move(templates), {.date = date, .python = config.python});
  if (options.dry_run) {
    std::cout << "would render";
    for (const auto& [name, text] : chat_template.templates().named) std::cout << " " << name;
    std::cout << " in a sandbox of level " << isolation_name(chat_template.isolation()) << "\n";
    return kExitDone;
  }
  if (config.jsonl) return answer_lines(chat_template);
  const ChatRequest request{.source = "standard input",
                            .json = {std::istreambuf_iterator<char>(std::cin), {}}};
  std::cout << chat_template.texts({&request, 1})[0];
  return kExitDone;
}

}  // namespace zeroth
