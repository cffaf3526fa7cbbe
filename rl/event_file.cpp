#include "rl/event_file.h"

#include <algorithm>
#include <bit>
#include <boost/crc.hpp>
#include <cmath>
#include <limits>

namespace zeroth {
namespace {

// Protocol buffers: a field's number, shifted past its wire type.
constexpr std::uint64_t kVarint = 0;
constexpr std::uint64_t kFixed64 = 1;
constexpr std::uint64_t kLengthDelimited = 2;
constexpr std::uint64_t kFixed32 = 5;

constexpr std::uint64_t key(std::uint64_t field, std::uint64_t wire_type) {
  return field << 3U | wire_type;
}

// tensorflow.Event, tensorflow.Summary and tensorflow.Summary.Value
constexpr std::uint64_t kWallTime = key(1, kFixed64);
constexpr std::uint64_t kStep = key(2, kVarint);
constexpr std::uint64_t kFileVersion = key(3, kLengthDelimited);
constexpr std::uint64_t kSummary = key(5, kLengthDelimited);
constexpr std::uint64_t kValue = key(1, kLengthDelimited);
constexpr std::uint64_t kTag = key(1, kLengthDelimited);
constexpr std::uint64_t kSimpleValue = key(2, kFixed32);

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) out += static_cast<char>(value | 0x80U);
  out += static_cast<char>(value);
}

// Little-endian.
template <class Bits>
void put_fixed(std::string& out, Bits bits) {
  for (unsigned shift = 0; shift < 8 * sizeof bits; shift += 8)
    out += static_cast<char>(bits >> shift & 0xFFU);
}

void put_bytes(std::string& out, std::uint64_t field, std::string_view bytes) {
  put_varint(out, field);
  put_varint(out, bytes.size());
  out += bytes;
}

float as_float(double value) {
  if (std::isnan(value)) return std::numeric_limits<float>::quiet_NaN();
  if (std::abs(value) > static_cast<double>(std::numeric_limits<float>::max()))
    return std::copysign(std::numeric_limits<float>::infinity(),
                         static_cast<float>(value > 0 ? 1 : -1));
  return static_cast<float>(value);
}

// What metrics.jsonl keeps of a value: null for anything that is not finite.
double as_logged(double value) {
  return std::isfinite(value) ? value : std::numeric_limits<double>::quiet_NaN();
}

// TFRecord keeps checksums so that a checksum of data with checksums in it still says something.
std::uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8U;
}

std::string record(std::string_view data) {
  std::string out;
  put_fixed(out, static_cast<std::uint64_t>(data.size()));
  put_fixed(out, masked_crc32c(out));
  out += data;
  put_fixed(out, masked_crc32c(data));
  return out;
}

std::string event(double wall_time) {
  std::string out;
  put_varint(out, kWallTime);
  put_fixed(out, std::bit_cast<std::uint64_t>(wall_time));
  return out;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

std::string file_version_record() {
  std::string data = event(0.0);
  put_bytes(data, kFileVersion, "brain.Event:2");
  return record(data);
}

std::string scalars_record(double wall_time, std::int64_t step, std::span<const Metric> metrics) {
  std::string summary;
  for (const Metric& metric : metrics) {
    std::string value;
    put_bytes(value, kTag, metric.name);
    put_varint(value, kSimpleValue);
    put_fixed(value, std::bit_cast<std::uint32_t>(as_float(as_logged(metric.value))));
    put_bytes(summary, kValue, value);
  }
  std::string data = event(wall_time);
  put_varint(data, kStep);
  put_varint(data, static_cast<std::uint64_t>(step));
  put_bytes(data, kSummary, summary);
  return record(data);
}

std::filesystem::path event_file_of(const std::filesystem::path& output_dir) {
  return output_dir / "events.out.tfevents.0.zeroth";
}

EventFile::EventFile(const std::filesystem::path& file, std::span<const MetricsLine> lines)
    : file_(file) {
  std::string expected = file_version_record();
  for (const MetricsLine& line : lines)
    expected += scalars_record(clock_.after(line.step, line.metrics), line.step, line.metrics);
  const std::string actual = read_file(file);
  const auto [differs, _] =
      std::mismatch(expected.begin(), expected.end(), actual.begin(), actual.end());
  const auto same = static_cast<std::size_t>(differs - expected.begin());
  file_.truncate(same);
  file_.append(std::string_view(expected).substr(same));
}

void EventFile::append(std::int64_t step, std::span<const Metric> metrics) {
  file_.append(scalars_record(clock_.after(step, metrics), step, metrics));
}

}  // namespace zeroth
