// The key reward_config: parameters of rewards, as JSON or in a file of it.
#pragma once

#include <span>
#include <string>

namespace zeroth {

/// `config` as one line of JSON: itself, or what the .json file that it names holds; empty where it
/// sets nothing. So what a run is a function of holds the parameters and not the name of a file.
/// InputError for what is neither, and for JSON that is not an object of objects.
std::string read_reward_config(const std::string& config);

/// InputError naming the nearest word of `reward_funcs` for a word of `config`, as read, that is
/// none of them.
void check_reward_words(const std::string& config, std::span<const std::string> reward_funcs);

/// The object of `word` in `config`, as read; "{}" where there is none.
std::string parameters_of(const std::string& config, const std::string& word);

}  // namespace zeroth
