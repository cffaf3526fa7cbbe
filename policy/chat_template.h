// Conversations as the text that a model was taught them in: its chat template, rendered as
// transformers 5.23 renders it.
//
// A template is a program of the model's maker, in Jinja. It runs in jinja2's sandbox, within a
// Python interpreter in the sandbox of system/sandbox.h, which is started once; a rendering has 2
// seconds of a processor, 16 MiB of text and 1 GiB of memory. What a template does to itself is
// the error of that rendering and hurts no other.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/chat/template_files.h"
#include "system/error.h"
#include "system/sandbox.h"

namespace zeroth {

/// InputError naming `key` unless `date` is written as 2026-01-02 or
/// 2026-01-02T15:04:05.
void check_chat_date(const std::string& date, const std::string& key);

struct ChatTemplateHost {
  /// Of strftime_now in a template: 2026-01-02 or 2026-01-02T15:04:05. A run's own, so that it is
  /// the same when it is resumed.
  std::string date;
  std::string python = "python3";  // found in PATH; with jinja2 3.1.6 or later
  /// A program whose command `template-host` is run_template_host (chat/template_host.h).
  std::string program = "/proc/self/exe";
  /// This level, or where it cannot be reached the next below, down to `limits`.
  Isolation sandbox = Isolation::full;
  /// Called about twenty times a second while renderings are waited for; what it throws passes.
  std::function<void()> check_stop = {};
};

/// One rendering. `json` is an object:
///   messages               list of objects, as they are
///   tools, documents       lists of objects, or null
///   add_generation_prompt  whether the beginning of an answer is to follow; false by default
///   continue_final_message true, or the name of a field of the last message: the text ends where
///                          that does
///   kwargs (or chat_template_kwargs), and any field not named here: variables of the template,
///                          before the special tokens
///   chat_template          the name of another of the model's templates, or a template
///   date                   in place of the host's
///   vars                   beside chat_template and date alone: all variables that there are
struct ChatRequest {
  std::string source;  // for errors: "train.jsonl:3"
  std::string json;
};

struct ChatRendering {
  std::string text = {};
  std::optional<InputError::Parts> error = {};
};

class ChatTemplate {
 public:
  /// InputError where there is no such interpreter, its jinja2 is too old, or the date is none.
  ChatTemplate(ChatTemplates templates, ChatTemplateHost host);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// In order, each a text or an error. InputError where the interpreter cannot be started again.
  std::vector<ChatRendering> render(std::span<const ChatRequest> requests);
  /// All of them, or the first error as an InputError.
  std::vector<std::string> texts(std::span<const ChatRequest> requests);

  const ChatTemplates& templates() const { return templates_; }
  /// The level of the sandbox that was reached.
  Isolation isolation() const { return host_.sandbox; }
  /// Interpreters started so far.
  int num_starts() const { return num_starts_; }

 private:
  class Child;

  void start();
  std::size_t render_batch(std::span<const ChatRequest> requests,
                           std::vector<ChatRendering>& renderings);
  ChatRendering read_reply(const std::string& reply, const std::string& source) const;

  ChatTemplates templates_;
  ChatTemplateHost host_;
  std::unique_ptr<Child> child_;  // null: to be started
  int num_starts_ = 0;
};

}  // namespace zeroth
