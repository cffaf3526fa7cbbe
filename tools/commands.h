// The commands of the zeroth binary: one function each, in the file of its name.
//
// argv[0] is the command's name, argv[1…] its flags. Results go to stdout, everything else to
// stderr. The return value is the exit code; wrong input is thrown as InputError and becomes
// kExitWrongInput in main.cpp.
#pragma once

namespace zeroth {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitWrongInput = 2;
inline constexpr int kExitInterrupted = 130;  // stopped at a resumable point

int run_bench(int argc, char** argv);
int run_chat_template(int argc, char** argv);
int run_distill(int argc, char** argv);
int run_eval(int argc, char** argv);
int run_export(int argc, char** argv);
int run_grpo(int argc, char** argv);
int run_init(int argc, char** argv);
int run_inspect(int argc, char** argv);
int run_logits(int argc, char** argv);
int run_quickstart(int argc, char** argv);
int run_report(int argc, char** argv);
int run_reward(int argc, char** argv);
int run_sample(int argc, char** argv);
int run_score(int argc, char** argv);
int run_sft(int argc, char** argv);
int run_tokenize(int argc, char** argv);
int run_tokenizer(int argc, char** argv);
int run_worker(int argc, char** argv);

}  // namespace zeroth
