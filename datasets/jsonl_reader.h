// Reads problems from a JSONL file, one record at a time, so that a file larger than memory can be
// walked.
//
// Tolerated: a byte order mark at the start, CRLF, blank lines, a last line without its newline.
// Everything else that is wrong is an InputError whose source is "file:line".
#pragma once

#include <cstddef>
#include <fstream>
#include <istream>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "datasets/columns.h"
#include "datasets/problem.h"

namespace zeroth {

struct JsonlLimits {
  std::size_t max_line_bytes = std::size_t{16} << 20;
};

/// Walks the records of one stream. Errors: broken JSON, a record that is not an object, a missing
/// or mistyped column, bytes that are not UTF-8, a line over the limit, an id seen before, no
/// record at all.
class JsonlReader {
 public:
  /// `in` outlives the reader; `source` is its path in errors. Where the map names no id column,
  /// ids are "file:line" with the path's last part only, so that they do not depend on where the
  /// file lies.
  JsonlReader(std::istream& in, std::string source, ColumnMap columns, JsonlLimits limits = {});

  /// The next problem, or nothing at the end.
  std::optional<Problem> next();

 private:
  bool read_line();
  bool fill_buffer();
  std::string location() const { return source_ + ":" + std::to_string(line_number_); }

  std::istream& in_;
  std::string source_;
  ColumnMap columns_;
  JsonlLimits limits_;
  std::vector<char> buffer_;
  std::size_t buffer_begin_ = 0;  // first unread byte of buffer_
  std::size_t buffer_end_ = 0;    // one past the last
  std::string line_;
  std::size_t line_number_ = 0;
  std::unordered_map<std::string, std::size_t> line_of_id_;
};

/// All problems of a file. A record without an id is named by the file's own name, without its
/// folders, so that ids do not depend on where the file lies. Throws InputError also where the file
/// cannot be read.
std::vector<Problem> read_problems(const std::string& path, const ColumnMap& columns,
                                   JsonlLimits limits = {});

}  // namespace zeroth
