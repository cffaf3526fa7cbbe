// zeroth bench rewards: how fast and how well pairs of answers are graded, beside Math-Verify. File
// by file, turn by turn, each in one process with one thread; the reference is read anew each time
// by both, and the JSON of the cases is in no figure. The peer grades a file once: on hostile
// answers it waits for its timeouts.

#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "system/error.h"
#include "system/json.h"
#include "system/line_process.h"
#include "tools/bench.h"
#include "tools/cases.h"
#include "tools/clock.h"
#include "tools/commands.h"

namespace zeroth {

namespace fs = std::filesystem;

namespace {

constexpr double kSeconds = 0.5;  // that a file is graded again for, at least
constexpr double kMicros = 1e6;

// What one grader made of one file. Times are microseconds of one case.
struct Graded {
  std::size_t rows = 0, labelled = 0, agree = 0, false_positives = 0;
  double rate = 0;  // cases a second
  double p50 = 0, p99 = 0, p999 = 0, max = 0;
};

double share_of(const std::vector<double>& ordered, double share) {
  const auto i = static_cast<std::size_t>(share * static_cast<double>(ordered.size()));
  return ordered[std::min(i, ordered.size() - 1)];
}

// Of the cases with two answers; not labelled where there is none.
Graded grade(const fs::path& file) {
  Graded graded;
  std::vector<double> micros;
  const double begin = monotonic_seconds();
  do {
    CaseTally tally;
    std::size_t rows = 0;
    for (const GradedCase& one : grade_file(file)) {
      if (one.state != GradedCase::State::graded || !one.result.is_verdict) continue;
      micros.push_back(one.result.micros);
      // The peer has no label for what is only meant to end.
      if (one.result.mode != "pathological") tally.add(one);
      ++rows;
    }
    graded = {.rows = rows,
              .labelled = tally.labelled,
              .agree = tally.agree,
              .false_positives = tally.false_positives};
  } while (!micros.empty() && monotonic_seconds() - begin < kSeconds);
  if (micros.empty()) return graded;
  double sum = 0;
  for (const double time : micros) sum += time;
  std::sort(micros.begin(), micros.end());
  graded.rate = static_cast<double>(micros.size()) / sum * kMicros;
  graded.p50 = share_of(micros, 0.5);
  graded.p99 = share_of(micros, 0.99);
  graded.p999 = share_of(micros, 0.999);
  graded.max = micros.back();
  return graded;
}

Graded read_peer(const JsonReader& line) {
  const auto count = [&](const char* name) {
    return static_cast<std::size_t>(line.get_int64(name));
  };
  Graded graded{.rows = count("rows"),
                .labelled = count("labelled"),
                .agree = count("agree"),
                .false_positives = count("false_positives"),
                .p50 = line.get_double("p50"),
                .p99 = line.get_double("p99"),
                .p999 = line.get_double("p999"),
                .max = line.get_double("max")};
  if (graded.rows > 0) graded.rate = static_cast<double>(graded.rows) / line.get_double("seconds");
  return graded;
}

double peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

boost::json::object to_json(const Graded& graded) {
  return {{"cases_per_second", graded.rate},
          {"p50_us", graded.p50},
          {"p99_us", graded.p99},
          {"p999_us", graded.p999},
          {"max_us", graded.max},
          {"labelled", graded.labelled},
          {"agree", graded.agree},
          {"false_positives", graded.false_positives}};
}

void print_header(const std::string& version) {
  std::printf("answers graded beside Math-Verify %s, one thread each, file by file\n\n",
              version.c_str());
  std::printf("%-34s %5s %9s %9s %7s  %9s %9s %9s  %9s %9s %5s %5s\n", "", "rows", "peer/s",
              "zeroth/s", "ratio", "p99.9 ms", "p99.9 us", "max us", "agree", "agree", "wrong",
              "wrong");
  std::printf("%-34s %5s %9s %9s %7s  %9s %9s %9s  %9s %9s %5s %5s\n", "file", "", "", "", "",
              "peer", "zeroth", "zeroth", "peer", "zeroth", "peer", "zeroth");
}

void print_row(const std::string& name, const Graded& peer, const Graded& ours) {
  const auto of = [](const Graded& graded) {
    return std::to_string(graded.agree) + "/" + std::to_string(graded.labelled);
  };
  std::printf("%-34s %5zu %9.1f %9.0f %7.0f  %9.1f %9.1f %9.1f  %9s %9s %5zu %5zu\n", name.c_str(),
              ours.rows, peer.rate, ours.rate, ours.rate / peer.rate, peer.p999 / 1e3, ours.p999,
              ours.max, of(peer).c_str(), of(ours).c_str(), peer.false_positives,
              ours.false_positives);
  std::fflush(stdout);
}

}  // namespace

int bench_rewards(const BenchConfig& config) {
  const std::vector<fs::path> files = case_files(config.cases);
  LineProcess process({config.python, peer_of(config)});
  std::string version;
  double peer_bytes = 0;
  boost::json::array rows;
  for (const fs::path& file : files) {
    const Graded ours = grade(file);
    if (ours.rows == 0) continue;
    process.write_line(fs::absolute(file).string());
    const JsonReader line = JsonReader::parse(process.read_line(), peer_of(config));
    const Graded peer = read_peer(line);
    if (peer.rows != ours.rows) {
      throw InputError({.source = peer_of(config),
                        .field = "rows",
                        .expected = std::to_string(ours.rows) + " graded of " + file.string(),
                        .actual = std::to_string(peer.rows)});
    }
    if (version.empty()) {
      version = line.get_string("version");
      if (!config.json) print_header(version);
    }
    peer_bytes = line.get_double("peak_rss_bytes");
    const std::string name = file.stem().string();
    rows.push_back({{"file", name},
                    {"rows", ours.rows},
                    {"peer", to_json(peer)},
                    {"zeroth", to_json(ours)},
                    {"ratio", ours.rate / peer.rate}});
    if (!config.json) print_row(name, peer, ours);
  }
  if (rows.empty()) {
    throw InputError({.source = config.cases,
                      .field = "",
                      .expected = "a case with \"gold\" and \"pred\" at least",
                      .actual = "none"});
  }
  if (config.json) {
    std::cout << write_json(boost::json::object{{"peer_version", version},
                                                {"files", std::move(rows)},
                                                {"peer_peak_rss_bytes", peer_bytes},
                                                {"zeroth_peak_rss_bytes", peak_rss_bytes()}})
              << "\n";
  } else {
    std::printf("\npeak memory: peer %.0f MiB, zeroth %.0f MiB\n", peer_bytes / 1048576,
                peak_rss_bytes() / 1048576);
  }
  return kExitDone;
}

}  // namespace zeroth
