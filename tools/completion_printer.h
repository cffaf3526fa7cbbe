// Completions on their way to a reader: in the order of prompts and indices, each as text or as one
// JSON object, whole once it is finished or, streaming, token by token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "policy/text_stream.h"
#include "rollout/engine.h"

namespace zeroth {

struct CompletionPrinterConfig {
  bool json = false;
  bool stream = false;  // texts as they come; not with json
  std::vector<std::string> prompts;
  SamplingParams sampling;
  std::vector<std::int64_t> stop_tokens;
};

class CompletionPrinter {
 public:
  /// `tokenizer` and `out` must outlive this.
  CompletionPrinter(const Tokenizer& tokenizer, CompletionPrinterConfig config, std::ostream& out);

  /// What is sampled so far, groups[i] of prompts[i]: prints what is new and due.
  void update(std::span<const Group> groups);

  /// Ends the line of a text that is not finished.
  void interrupt();

 private:
  void print_whole(const Completion& completion);
  void print_json(const Completion& completion);
  void print_new(const Completion& completion, bool finished);

  const Tokenizer& tokenizer_;
  CompletionPrinterConfig config_;
  std::ostream& out_;
  TextStream text_;
  std::size_t prompt_ = 0;   // whose completion comes next
  std::size_t index_ = 0;    // of that completion
  std::size_t printed_ = 0;  // tokens of it
};

}  // namespace zeroth
