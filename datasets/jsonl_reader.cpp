#include "datasets/jsonl_reader.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <boost/json.hpp>

#include "system/error.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr std::size_t kBufferBytes = 1 << 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The bytes of the UTF-8 character at the start of `text`, or 0 where there is none (RFC 3629: no
// overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead < 0xC2   ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;
  if (lead == 0xED && byte(1) > 0x9F) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

std::size_t first_invalid_utf8(std::string_view text) {
  std::size_t position = 0;
  while (position < text.size()) {
    const std::size_t length = character_bytes(text.substr(position));
    if (length == 0) return position;
    position += length;
  }
  return std::string_view::npos;
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

json::object parse_record(const std::string& line, const std::string& source) {
  const std::size_t invalid = first_invalid_utf8(line);
  if (invalid != std::string_view::npos) {
    throw InputError({.source = source,
                      .field = "",
                      .expected = "UTF-8",
                      .actual = "another byte at column " + std::to_string(invalid + 1)});
  }
  json::parser parser;
  json::error_code error;
  const std::size_t parsed = parser.write_some(line, error);
  if (!error && parsed < line.size()) {
    const bool only_space = line.find_first_not_of(" \t", parsed) == std::string::npos;
    if (!only_space) error = json::error::extra_data;
  }
  if (error) {
    throw InputError({.source = source,
                      .field = "",
                      .expected = "a JSON object",
                      .actual = "broken JSON at column " + std::to_string(parsed + 1) + " (" +
                                error.message() + ")"});
  }
  json::value value = parser.release();
  if (value.is_object()) return std::move(value.get_object());
  throw InputError({.source = source,
                    .field = "",
                    .expected = "a JSON object",
                    .actual = std::string(json::to_string(value.kind()))});
}

}  // namespace

JsonlReader::JsonlReader(std::istream& in, std::string source, ColumnMap columns,
                         JsonlLimits limits)
    : in_(in),
      source_(std::move(source)),
      columns_(std::move(columns)),
      limits_(limits),
      buffer_(kBufferBytes) {}

bool JsonlReader::fill_buffer() {
  in_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  buffer_begin_ = 0;
  buffer_end_ = static_cast<std::size_t>(in_.gcount());
  if (in_.bad()) {
    throw InputError({.source = location(),
                      .field = "",
                      .expected = "a readable file",
                      .actual = "a read error"});
  }
  return buffer_end_ > 0;
}

// Copies bytes up to the next newline into line_; false at the end of the stream.
bool JsonlReader::read_line() {
  line_.clear();
  ++line_number_;
  bool any = false;
  while (buffer_begin_ < buffer_end_ || fill_buffer()) {
    any = true;
    const char* begin = buffer_.data() + buffer_begin_;
    const std::size_t available = buffer_end_ - buffer_begin_;
    const void* newline = std::memchr(begin, '\n', available);
    const std::size_t taken =
        newline == nullptr ? available
                           : static_cast<std::size_t>(static_cast<const char*>(newline) - begin);
    if (line_.size() + taken > limits_.max_line_bytes) {
      throw InputError(
          {.source = location(),
           .field = "",
           .expected = "a line of at most " + std::to_string(limits_.max_line_bytes) + " bytes",
           .actual = "a longer one"});
    }
    line_.append(begin, taken);
    buffer_begin_ += taken + (newline == nullptr ? 0 : 1);
    if (newline != nullptr) break;
  }
  if (line_number_ == 1 && line_.starts_with(kByteOrderMark)) line_.erase(0, kByteOrderMark.size());
  if (line_.ends_with('\r')) line_.pop_back();
  return any;
}

std::optional<Problem> JsonlReader::next() {
  while (read_line()) {
    if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
    Problem problem = problem_from_record(parse_record(line_, location()), columns_, location());
    if (columns_.id.empty()) problem.id = file_name(source_) + ":" + std::to_string(line_number_);
    const auto [earlier, is_new] = line_of_id_.emplace(problem.id, line_number_);
    if (!is_new) {
      throw InputError(
          {.source = location(),
           .field = columns_.id,
           .expected = "an id not seen before",
           .actual = problem.id + ", the id of line " + std::to_string(earlier->second)});
    }
    return problem;
  }
  if (line_of_id_.empty()) {
    throw InputError({.source = source_,
                      .field = "",
                      .expected = "at least one record",
                      .actual = "an empty file"});
  }
  return std::nullopt;
}

std::vector<Problem> read_problems(const std::string& path, const ColumnMap& columns,
                                   JsonlLimits limits) {
  const auto fail = [&](const std::string& reason) {
    throw InputError(
        {.source = path, .field = "", .expected = "a readable file", .actual = reason});
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) fail("a folder");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(errno == 0 ? "none" : std::generic_category().message(errno));

  JsonlReader reader(in, path, columns, limits);
  std::vector<Problem> problems;
  while (std::optional<Problem> problem = reader.next()) {
    problems.push_back(std::move(*problem));
  }
  return problems;
}

}  // namespace zeroth
