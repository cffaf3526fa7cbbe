// zeroth tokenize: the ids of texts, and the text of those ids, to be compared with other
// implementations.

#include <boost/json.hpp>
#include <iostream>
#include <iterator>
#include <string>

#include "policy/tokenizer.h"
#include "system/error.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/printable.h"

namespace zeroth {

struct TokenizeConfig {
  std::string tokenizer;
  bool jsonl = false;
  bool add_special_tokens = false;
  bool skip_special_tokens = false;
};

template <class Visitor>
void visit_fields(Visitor& v, TokenizeConfig& c) {
  v("tokenizer", c.tokenizer, "a tokenizer.json, or the directory that holds one");
  v("jsonl", c.jsonl,
    "standard input is lines {\"text\"}, each answered by {\"ids\", \"decoded\"} or {\"error\"}; "
    "else it is one text");
  v("add_special_tokens", c.add_special_tokens,
    "with the tokens that the file's post-processor adds; a line may say it for itself");
  v("skip_special_tokens", c.skip_special_tokens,
    "special tokens give nothing when decoded; a line may say it for itself");
}

void check(const TokenizeConfig& config) {
  if (config.tokenizer.empty()) {
    throw InputError({.source = "tokenize",
                      .field = "tokenizer",
                      .expected = "a tokenizer.json, or the directory that holds one",
                      .actual = "nothing"});
  }
}

namespace {

boost::json::object answer(const Tokenizer& tokenizer, const std::string& text,
                           bool add_special_tokens, bool skip_special_tokens) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text, add_special_tokens);
  return {{"ids", boost::json::array(ids.begin(), ids.end())},
          {"decoded", tokenizer.decode(ids, skip_special_tokens)}};
}

/// kExitWrongInput when a line was refused; the others are answered all the same.
int answer_lines(const Tokenizer& tokenizer, const TokenizeConfig& config) {
  std::size_t number = 0, refused = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const std::string source = "standard input:" + std::to_string(++number);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    boost::json::object out;
    try {
      const JsonReader row = JsonReader::parse(line, source);
      out = answer(tokenizer, row.get_string("text"),
                   row.get_bool("add_special_tokens", config.add_special_tokens),
                   row.get_bool("skip_special_tokens", config.skip_special_tokens));
    } catch (const InputError& error) {
      const bool named = error.parts().source.starts_with(source);
      const std::string text = (named ? "" : source + ": ") + error.what();
      out = {{"error", text}};
      std::cerr << "zeroth: " << printable(text, "") << "\n";
      ++refused;
    }
    std::cout << write_json(out) << "\n";
  }
  return refused > 0 ? kExitWrongInput : kExitDone;
}

}  // namespace

int run_tokenize(int argc, char** argv) {
  TokenizeConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "tokenize",
               .summary = "ids of texts on standard input, and the text of those ids",
               .positional = "tokenizer"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  const Tokenizer tokenizer = Tokenizer::load(config.tokenizer);
  if (options.dry_run) {
    std::cout << "would tokenize with " << tokenizer.vocab_size() << " tokens\n";
    return kExitDone;
  }
  if (config.jsonl) return answer_lines(tokenizer, config);
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  std::cout << write_json(
                   answer(tokenizer, text, config.add_special_tokens, config.skip_special_tokens))
            << "\n";
  return kExitDone;
}

}  // namespace zeroth
