// The recorded cases in the folder `grpo` of the directory named by ZEROTH_FIXTURES.
#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace zeroth {

struct Fixture {
  std::string name;  // file name
  boost::json::object json;
};

/// Every grpo/<prefix>*.json, by name; empty when the variable is unset or there is none.
std::vector<Fixture> read_grpo_fixtures(const std::string& prefix);

/// A JSON array of numbers; null becomes NaN.
std::vector<double> numbers(const boost::json::value& array);

}  // namespace zeroth
