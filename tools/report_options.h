// The keys of zeroth report.
#pragma once

#include <string>
#include <vector>

namespace zeroth {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string output;
};

template <class Visitor>
void visit_fields(Visitor& v, ReportOptions& c) {
  v("runs", c.runs,
    "directories of grpo, sft, distill or quickstart runs, finished or not; several are compared");
  v("output", c.output,
    "the page; empty = report.html in the directory of the run, of several in the current one");
}

void check(const ReportOptions& options);

}  // namespace zeroth
