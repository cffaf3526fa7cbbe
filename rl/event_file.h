// events.out.tfevents.*: a run's metrics as TensorBoard reads them.
//
// Goal: the file is a function of metrics.jsonl and of nothing else, so that a resumed run has each
// step in it once, whatever happened to either file. Its times are seconds of training
// (TrainingClock): TensorBoard's relative axis shows them, its wall axis begins in 1970. No clock
// is read. Non-goal: anything but scalars.
//
// The format: TFRecord (length, data, checksums) around the protocol buffer tensorflow.Event, of
// which four fields are needed (tensorflow/core/lib/io/record_writer.h, core/util/event.proto).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "rl/metrics.h"
#include "system/file.h"

namespace zeroth {

/// Where a run keeps it. TensorBoard takes every file with "tfevents" in its name.
std::filesystem::path event_file_of(const std::filesystem::path& output_dir);

class EventFile {
 public:
  /// Opens or creates `file` and makes it hold `lines`, those of metrics.jsonl. What is right in it
  /// stays in place, so that a TensorBoard that is reading it goes on.
  EventFile(const std::filesystem::path& file, std::span<const MetricsLine> lines);

  /// Appends a step's metrics and hands them to the system. Values are rounded to float, as the
  /// format has them; std::system_error when the disk is full, with nothing of them left.
  void append(std::int64_t step, std::span<const Metric> metrics);

  void sync() { file_.sync(); }

 private:
  AppendFile file_;
  TrainingClock clock_;
};

/// The record that an event file begins with.
std::string file_version_record();
/// The record of one step's scalars; `wall_time` in seconds.
std::string scalars_record(double wall_time, std::int64_t step, std::span<const Metric> metrics);

/// CRC-32C (RFC 3720, B.4).
std::uint32_t crc32c(std::string_view bytes);

}  // namespace zeroth
