// zeroth report: one or several runs as a page of HTML.

#include "rl/report.h"

#include <filesystem>
#include <iostream>
#include <vector>

#include "tools/build.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report_options.h"

namespace zeroth {

namespace fs = std::filesystem;

int run_report(int argc, char** argv) {
  ReportOptions config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "report",
               .summary = "runs as one page of HTML that needs no network",
               .positional = "runs"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  const std::vector<fs::path> runs(config.runs.begin(), config.runs.end());
  fs::path output = config.output;
  if (output.empty()) output = runs.size() == 1 ? runs[0] / "report.html" : "report.html";
  if (options.dry_run) {
    std::cout << to_toml_with_provenance(options) << "would write " << output.string() << "\n";
    return kExitDone;
  }
  write_report(runs, output, build_description());
  std::cout << output.string() << "\n";
  return kExitDone;
}

}  // namespace zeroth
