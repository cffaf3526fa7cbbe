// zeroth tokenizer: train one.

#include <iostream>
#include <string>
#include <string_view>

#include "system/error.h"
#include "tools/commands.h"
#include "tools/tokenizer_train.h"

namespace zeroth {
namespace {

constexpr std::string_view kUsage =
    "zeroth tokenizer: tokenizers for models from scratch\n\n"
    "usage: zeroth tokenizer train FILE… --output_dir DIRECTORY   learn one from text\n\n"
    "It says more with --help. zeroth tokenize gives the ids of texts.\n";

}  // namespace

int run_tokenizer(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "--help";
  if (what == "train") return run_tokenizer_train(argc - 1, argv + 1);
  if (what == "--help" || what == "-h") {
    std::cout << kUsage;
    return kExitDone;
  }
  throw InputError({.source = "zeroth tokenizer",
                    .field = "",
                    .expected = "train",
                    .actual = std::string(what)});
}

}  // namespace zeroth
