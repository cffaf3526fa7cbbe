// The commands under zeroth reward, in the files of their names.
#pragma once

namespace zeroth {

int run_reward_build(int argc, char** argv);
int run_reward_test(int argc, char** argv);

}  // namespace zeroth
