#include "tools/report_options.h"

#include "system/error.h"

namespace zeroth {

void check(const ReportOptions& options) {
  if (options.runs.empty()) {
    throw InputError({.source = "configuration",
                      .field = "runs",
                      .expected = "the directory of a run at least",
                      .actual = "nothing"});
  }
  for (const std::string& run : options.runs) {
    if (!run.empty()) continue;
    throw InputError({.source = "configuration",
                      .field = "runs",
                      .expected = "names of directories",
                      .actual = "an empty one"});
  }
}

}  // namespace zeroth
