// Chat templates of tests, with an interpreter where there is one.
#pragma once

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "policy/chat_template.h"
#include "system/json.h"
#include "tests/support/python_with_jinja.h"

namespace zeroth::testing {

inline const std::string& chat_python() {
  static const std::string python = python_with_jinja();
  return python;
}

/// Whether a test is to pass without having tested, which it says.
inline bool without_jinja() {
  if (chat_python().empty()) WARN("skipped: no python with jinja2 3.1.6 (tools/setup --readers)");
  return chat_python().empty();
}

inline ChatTemplateHost chat_host(std::string date = "2026-01-02T15:04:05") {
  return {.date = std::move(date), .python = chat_python(), .program = ZEROTH_TEMPLATE_CHILD};
}

/// One template that is called t.jinja.
inline ChatTemplates one_template(const std::string& text) {
  return {.source = "t.jinja",
          .named = {{"default", {.source = "t.jinja", .field = "", .text = text}}},
          .special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}}};
}

inline std::string rendered(ChatTemplate& chat, const std::string& json) {
  const ChatRequest request{.source = "in:1", .json = json};
  const ChatRendering rendering = chat.render({&request, 1})[0];
  return rendering.error ? "error: " + std::string(InputError(*rendering.error).what())
                         : rendering.text;
}

/// A conversation of one message, rendered by a template that the request brings.
inline std::string rendered_by(ChatTemplate& chat, const std::string& text) {
  return rendered(
      chat, write_json(boost::json::object{{"messages", {{{"role", "user"}, {"content", "hi"}}}},
                                           {"chat_template", text}}));
}

}  // namespace zeroth::testing
