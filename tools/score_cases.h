// zeroth score --cases: agreement with recorded cases, file by file.
#pragma once

#include <string>

namespace zeroth {

/// Grades the rows of a file, or of every *.jsonl below a directory, and prints a line a row
/// (`json`) and a summary, or a table and every disagreement. The exit code: kExitFailed where a
/// row was broken.
int score_cases(const std::string& path, bool json);

}  // namespace zeroth
