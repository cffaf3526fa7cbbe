#include "tools/inspect_gguf.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "policy/gguf.h"
#include "system/json.h"
#include "system/utf8.h"
#include "tools/commands.h"
#include "tools/printable.h"
#include "tools/summary.h"

namespace zeroth {
namespace {

constexpr std::size_t kShownElements = 3;  // of an array, and
constexpr std::size_t kShownBytes = 60;    // of a text, in print_text

struct TensorReport {
  const GgufTensor* tensor;
  Summary values;  // of those that are finite
};

struct Report {
  explicit Report(const GgufFile& inspected) : file(inspected) {}
  const GgufFile& file;
  std::int64_t num_parameters = 0;
  std::map<std::string, std::size_t> num_of_type;
  std::vector<TensorReport> tensors;
  std::vector<std::string> problems;
};

Report make_report(const GgufFile& file) {
  Report report(file);
  for (const GgufTensor& tensor : file.content().tensors) {
    const std::vector<float> floats = decode_gguf(tensor);
    std::vector<double> values;
    for (const float value : floats) {
      if (std::isfinite(value)) values.push_back(static_cast<double>(value));
    }
    if (values.size() < floats.size()) {
      report.problems.push_back(tensor.name + ": " + std::to_string(floats.size() - values.size()) +
                                " values are not finite");
    }
    report.num_parameters += static_cast<std::int64_t>(floats.size());
    ++report.num_of_type[std::string(gguf_type_name(tensor.type))];
    report.tensors.push_back({&tensor, values.empty() ? Summary{} : summarize(values)});
  }
  return report;
}

/// JSON has no NaN: such a number is null.
template <class T>
boost::json::value json_of(const T& value) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::isfinite(value) ? boost::json::value(value) : boost::json::value(nullptr);
  } else {
    return boost::json::value(value);
  }
}

boost::json::value json_of_array(const GgufArray& array, std::size_t most) {
  boost::json::array out;
  std::visit(
      [&]<class T>(const T& values) {
        if constexpr (!std::is_same_v<T, std::monostate>) {
          for (std::size_t i = 0; i < std::min(values.size(), most); ++i) {
            out.push_back(json_of<typename T::value_type>(values[i]));
          }
        }
      },
      array);
  return out;
}

boost::json::value json_of_entry(const GgufValue& value, std::size_t most) {
  return std::visit(
      [&]<class T>(const T& held) -> boost::json::value {
        if constexpr (std::is_same_v<T, GgufArray>) {
          return json_of_array(held, most);
        } else {
          return json_of(held);
        }
      },
      value);
}

std::size_t array_size(const GgufArray& array) {
  return std::visit(
      []<class T>(const T& values) -> std::size_t {
        if constexpr (std::is_same_v<T, std::monostate>) {
          return 0;
        } else {
          return values.size();
        }
      },
      array);
}

std::string describe(const GgufValue& value) {
  std::string text = write_json(json_of_entry(value, kShownElements));
  if (text.size() > kShownBytes) text = std::string(utf8_prefix(text, kShownBytes)) + "…";
  text = printable(text);
  const auto* array = std::get_if<GgufArray>(&value);
  return array == nullptr ? text : std::to_string(array_size(*array)) + " values " + text;
}

std::string describe_shape(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  }
  return text + "]";
}

void print_text(const InspectConfig& config, const Report& report) {
  std::cout << config.model_name_or_path << ": GGUF version 3, " << report.file.size() << " bytes, "
            << report.num_parameters << " parameters in " << report.tensors.size() << " tensors (";
  const char* separator = "";
  for (const auto& [type, count] : report.num_of_type) {
    std::cout << separator << count << " " << type;
    separator = ", ";
  }
  std::cout << ")\n";
  for (const GgufEntry& entry : report.file.content().metadata) {
    std::cout << "  " << printable(entry.key) << " = " << describe(entry.value) << "\n";
  }
  std::cout << "\n" << std::flush;
  for (const auto& [tensor, values] : report.tensors) {
    std::printf("%-32s %-5s %-16s mean %10.3e std %10.3e\n", printable(tensor->name).c_str(),
                std::string(gguf_type_name(tensor->type)).c_str(),
                describe_shape(tensor->shape).c_str(), values.mean, values.std);
  }
  std::fflush(stdout);
  for (const std::string& problem : report.problems)
    std::cout << "problem: " << printable(problem) << "\n";
  std::cout << (report.problems.empty() ? "no problems found\n" : "");
}

void print_json(const InspectConfig& config, const Report& report) {
  boost::json::object metadata;
  for (const GgufEntry& entry : report.file.content().metadata) {
    metadata[entry.key] = json_of_entry(entry.value, static_cast<std::size_t>(-1));
  }
  boost::json::array tensors;
  for (const auto& [tensor, values] : report.tensors) {
    tensors.push_back({{"name", tensor->name},
                       {"dtype", gguf_type_name(tensor->type)},
                       {"shape", boost::json::value_from(tensor->shape)},
                       {"mean", values.mean},
                       {"std", values.std}});
  }
  const boost::json::object result = {{"model_name_or_path", config.model_name_or_path},
                                      {"format", "gguf"},
                                      {"bytes", report.file.size()},
                                      {"parameters", report.num_parameters},
                                      {"metadata", std::move(metadata)},
                                      {"tensors", std::move(tensors)},
                                      {"problems", boost::json::value_from(report.problems)}};
  std::cout << write_json(result) << "\n";
}

}  // namespace

bool is_gguf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic(4, '\0');
  return file.read(magic.data(), 4) && magic == "GGUF";
}

int inspect_gguf(const InspectConfig& config) {
  const GgufFile file(config.model_name_or_path);
  const Report report = make_report(file);
  if (config.json) {
    print_json(config, report);
  } else {
    print_text(config, report);
  }
  return report.problems.empty() ? kExitDone : kExitWrongInput;
}

}  // namespace zeroth
