// zeroth tokenizer train.
#pragma once

namespace zeroth {

int run_tokenizer_train(int argc, char** argv);

}  // namespace zeroth
