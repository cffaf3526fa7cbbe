// The keys of zeroth reward new, build, test and list.
#pragma once

#include <string>
#include <vector>

#include "rl/config.h"

namespace zeroth {

struct RewardNewConfig {
  std::string name;
  std::string language = "cpp";
  std::string output_dir;
};

template <class Visitor>
void visit_fields(Visitor& v, RewardNewConfig& c) {
  v("name", c.name, "of the reward: lower-case letters, digits and _, a letter first");
  v("language", c.language, "what it is written in", {"cpp", "c", "python", "exec"});
  v("output_dir", c.output_dir, "directory to make for its files; empty = one of its name");
}

struct RewardListConfig {
  std::vector<std::string> reward_funcs;
  std::string reward_python = "python3";
};

template <class Visitor>
void visit_fields(Visitor& v, RewardListConfig& c) {
  v("reward_funcs", c.reward_funcs,
    "FILE.so, python:FILE:FUNCTION and exec:FILE to list beside the rewards of zeroth's own");
  v("reward_python", c.reward_python, "Python 3 interpreter that runs python: rewards");
}

struct RewardBuildConfig {
  std::string directory = ".";
};

template <class Visitor>
void visit_fields(Visitor& v, RewardBuildConfig& c) {
  v("directory", c.directory, "of the reward, as zeroth reward new made it");
}

struct RewardTestConfig : NamedRewardOptions {
  std::string reward;
  std::string items;
};

template <class Visitor>
void visit_fields(Visitor& v, RewardTestConfig& c) {
  v("reward", c.reward,
    "a word of reward_funcs: FILE.so, python:FILE:FUNCTION, exec:FILE or a name");
  v("items", c.items,
    "JSONL file of {prompt, completion, answer, score} to score; empty = items.jsonl beside the "
    "reward's file, where there is one");
  visit_fields(v, static_cast<NamedRewardOptions&>(c));
}

void check(const RewardNewConfig& config);
void check(const RewardBuildConfig& config);
void check(const RewardTestConfig& config);
void check(const RewardListConfig& config);

}  // namespace zeroth
