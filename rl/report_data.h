// What a report shows of one or several runs, as JSON: read from their directories, which stay as
// they are. No lock is taken, so that a run may be looked at while it goes.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace zeroth {

/// Curves are thinned to this many points; those of more than three runs to fewer.
inline constexpr std::size_t kReportPoints = 1000;

/// Reads each of `directories`: a run's (metrics.jsonl), a distillation's (student-run/), or a
/// quickstart's (summary.json, grpo/, distill/student-run/). `build` says which program writes the
/// report. The object is
///
///   title, build   texts
///   runs     one a metrics.jsonl: name, command, state, lines {step, tokens, seconds}, curves
///            [{at: indices into lines, values: {name: [number or null]}}], one_numerics, seconds
///            {part: total}, completions [{step, records}], config [{key, value, origin}],
///            provenance {key: text}
///   policies one an evaluated policy: run, name, and the numbers of its evaluation and its model
///
/// InputError naming the directory or file:line for one that holds no run, an empty or a damaged
/// metrics.jsonl, and a directory given twice. A torn last line, which a run that goes on writing
/// leaves at times, is passed over and said in `state`.
boost::json::object report_data(std::span<const std::filesystem::path> directories,
                                const std::string& build);

}  // namespace zeroth
