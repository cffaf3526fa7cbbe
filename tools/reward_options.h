// The keys of zeroth reward new and zeroth reward list.
#pragma once

#include <string>
#include <vector>

namespace zeroth {

struct RewardNewConfig {
  std::string name;
  std::string language = "cpp";
  std::string output_dir;
};

template <class Visitor>
void visit_fields(Visitor& v, RewardNewConfig& c) {
  v("name", c.name, "of the reward: lower-case letters, digits and _, a letter first");
  v("language", c.language, "what it is written in", {"cpp", "c", "python"});
  v("output_dir", c.output_dir, "directory to make for its files; empty = one of its name");
}

struct RewardListConfig {
  std::vector<std::string> reward_funcs;
  std::string reward_python = "python3";
};

template <class Visitor>
void visit_fields(Visitor& v, RewardListConfig& c) {
  v("reward_funcs", c.reward_funcs,
    "FILE.so and python:FILE:FUNCTION to list beside the rewards of zeroth's own");
  v("reward_python", c.reward_python, "Python 3 interpreter that runs python: rewards");
}

void check(const RewardNewConfig& config);
void check(const RewardListConfig& config);

}  // namespace zeroth
