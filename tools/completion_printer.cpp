#include "tools/completion_printer.h"

#include <boost/json.hpp>
#include <utility>

#include "rollout/scheduler.h"
#include "system/json.h"

namespace zeroth {
namespace {

boost::json::array numbers(const std::vector<float>& values) {
  boost::json::array array;
  for (const float value : values) array.push_back(static_cast<double>(value));
  return array;
}

}  // namespace

CompletionPrinter::CompletionPrinter(const Tokenizer& tokenizer, CompletionPrinterConfig config,
                                     std::ostream& out)
    : tokenizer_(tokenizer), config_(std::move(config)), out_(out), text_(tokenizer, true) {}

void CompletionPrinter::update(std::span<const Group> groups) {
  while (prompt_ < groups.size()) {
    const std::vector<Completion>& completions = groups[prompt_].completions;
    if (index_ == completions.size()) {
      ++prompt_;
      index_ = 0;
      continue;
    }
    const Completion& completion = completions[index_];
    const bool finished = is_finished(completion, config_.sampling, config_.stop_tokens);
    if (config_.stream) {
      print_new(completion, finished);
    } else if (finished) {
      print_whole(completion);
    }
    if (!finished) return;
    ++index_;
    printed_ = 0;
  }
}

void CompletionPrinter::interrupt() {
  if (printed_ > 0) out_ << text_.finish() << std::endl;
}

void CompletionPrinter::print_whole(const Completion& completion) {
  if (config_.json) {
    print_json(completion);
  } else {
    out_ << tokenizer_.decode(completion.tokens, true);
  }
  out_ << std::endl;
}

void CompletionPrinter::print_json(const Completion& completion) {
  double total = 0.0;
  for (const float logprob : completion.logprobs) total += static_cast<double>(logprob);
  boost::json::object json = {
      {"prompt_index", prompt_},
      {"index", index_},
      {"prompt", config_.prompts[prompt_]},
      {"completion", tokenizer_.decode(completion.tokens, true)},
      {"token_ids", boost::json::array(completion.tokens.begin(), completion.tokens.end())},
      {"logprobs", numbers(completion.logprobs)},
      {"logprob", total}};
  if (!completion.sampling_logprobs.empty())
    json["sampling_logprobs"] = numbers(completion.sampling_logprobs);
  json["finish_reason"] = completion.stop_reason == StopReason::length ? "length" : "stop";
  out_ << write_json(json);
}

void CompletionPrinter::print_new(const Completion& completion, bool finished) {
  out_ << text_.push(std::span(completion.tokens).subspan(printed_));
  printed_ = completion.tokens.size();
  if (finished) out_ << text_.finish() << '\n';
  out_ << std::flush;
}

}  // namespace zeroth
