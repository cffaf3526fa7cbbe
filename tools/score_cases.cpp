#include "tools/score_cases.h"

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "system/json.h"
#include "tools/cases.h"
#include "tools/commands.h"
#include "tools/printable.h"

namespace zeroth {
namespace {

// One file's counts.
struct FileTally {
  std::string name;
  CaseTally tally;
};

boost::json::object to_json(const CaseTally& tally) {
  return {{"rows", tally.rows},
          {"labelled", tally.labelled},
          {"agree", tally.agree},
          {"disagree", tally.labelled - tally.agree},
          {"false_positives", tally.false_positives},
          {"false_negatives", tally.false_negatives},
          {"disputed", tally.disputed},
          {"disputed_agree", tally.disputed_agree},
          {"unlabelled", tally.unlabelled},
          {"not_understood", tally.not_understood},
          {"errors", tally.broken},
          {"max_micros", tally.max_micros}};
}

void print_summary_json(const std::vector<FileTally>& files, const CaseTally& total,
                        const std::map<std::string, std::size_t>& unknown) {
  boost::json::object by_file;
  for (const FileTally& file : files) by_file[file.name] = to_json(file.tally);
  boost::json::object kinds;
  for (const auto& [kind, count] : unknown) kinds[kind] = count;
  boost::json::object summary = to_json(total);
  summary["not_understood_kinds"] = std::move(kinds);
  summary["files"] = std::move(by_file);
  std::cout << write_json(boost::json::object{{"summary", std::move(summary)}}) << "\n";
}

void print_row(const std::string& name, const CaseTally& t) {
  std::printf("%-36s %6zu %8zu %6zu %7zu %7zu %5zu of %-4zu %9zu %7zu %6zu\n", name.c_str(), t.rows,
              t.labelled, t.agree, t.false_positives, t.false_negatives, t.disputed_agree,
              t.disputed, t.unlabelled, t.not_understood, t.broken);
}

void print_table(const std::vector<FileTally>& files, const CaseTally& total,
                 const std::map<std::string, std::size_t>& unknown) {
  std::printf("%-36s %6s %8s %6s %7s %7s %13s %9s %7s %6s\n", "file", "rows", "labelled", "agree",
              "false +", "false -", "disputed", "no label", "unknown", "errors");
  for (const FileTally& file : files) print_row(file.name, file.tally);
  print_row("total", total);
  for (const auto& [kind, count] : unknown) {
    std::printf("not understood: %zu rows of kind %s\n", count, printable(kind).c_str());
  }
}

// A value for the terminal, long ones cut.
std::string shown(const boost::json::value& value) {
  constexpr std::size_t kMaxShown = 80;
  std::string text = value.is_null() ? "nothing" : write_json(value);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "…";
  return printable(text);
}

// Rows that differ from their label or cannot be read; the others say nothing.
void print_disagreement(const GradedCase& graded) {
  const CaseResult& result = graded.result;
  if (graded.state == GradedCase::State::broken) {
    std::printf("%s: %s\n", printable(graded.where).c_str(), printable(result.why).c_str());
  } else if (result.ok && !*result.ok) {
    std::printf("%s: %s %s: got %s, expected %s: %s%s\n", printable(graded.where).c_str(),
                printable(graded.id).c_str(), printable(result.mode).c_str(),
                shown(result.got).c_str(), shown(result.expected).c_str(),
                printable(result.why).c_str(), graded.is_disputed ? " (disputed)" : "");
  }
}

}  // namespace

int score_cases(const std::string& path, bool json) {
  std::vector<FileTally> files;
  std::vector<GradedCase> differing;
  std::map<std::string, std::size_t> unknown;
  CaseTally total;
  for (const std::filesystem::path& file : case_files(path)) {
    files.push_back({.name = file.lexically_relative(path).string(), .tally = {}});
    if (files.back().name == ".") files.back().name = file.filename().string();
    for (GradedCase& graded : grade_file(file)) {
      files.back().tally.add(graded);
      if (json) std::cout << case_json(graded) << "\n";
      if (graded.state == GradedCase::State::not_understood) ++unknown[graded.result.mode];
      const bool differs = graded.result.ok.has_value() && !*graded.result.ok;
      if (differs || graded.state == GradedCase::State::broken) {
        differing.push_back(std::move(graded));
      }
    }
    total.add(files.back().tally);
  }
  if (json) {
    print_summary_json(files, total, unknown);
  } else {
    for (const GradedCase& graded : differing) print_disagreement(graded);
    if (!differing.empty()) std::printf("\n");
    print_table(files, total, unknown);
  }
  return total.broken > 0 ? kExitFailed : kExitDone;
}

}  // namespace zeroth
