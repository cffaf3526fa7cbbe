// Safetensors files read: the header, checked number by number, and the shards of a checkpoint.
#include <algorithm>
#include <boost/json/object.hpp>
#include <cstring>
#include <set>
#include <tuple>
#include <utility>

#include "policy/safetensors.h"
#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // as Hugging Face's own reader
constexpr const char* kMetadataKey = "__metadata__";

struct Entry {
  TensorBytes tensor;  // bytes not set yet
  std::int64_t begin = 0, end = 0;
};

TensorType read_type(const JsonReader& entry) {
  const auto type = tensor_type_named(entry.get_string("dtype"));
  if (!type) entry.fail("dtype", "one of " + tensor_type_names());
  return *type;
}

void read_offsets(const JsonReader& json, std::int64_t data_bytes, Entry& entry) {
  const JsonReader offsets = json.child("data_offsets");
  const auto refuse = [&](const std::string& expected, const std::string& actual) {
    throw InputError({.source = offsets.source(),
                      .field = offsets.path(),
                      .expected = expected,
                      .actual = actual});
  };
  const std::vector<JsonReader> pair = offsets.elements();
  if (pair.size() != 2) offsets.fail("two offsets");
  entry.begin = pair[0].as_int64();
  entry.end = pair[1].as_int64();
  if (entry.begin < 0 || entry.begin > entry.end || entry.end > data_bytes) {
    refuse("a range inside the " + std::to_string(data_bytes) + " bytes of data",
           describe_shape({entry.begin, entry.end}));
  }
  const std::string type(tensor_type_name(entry.tensor.type));
  if (entry.begin % tensor_type_bytes(entry.tensor.type) != 0) {
    refuse("a begin that is a multiple of the bytes of " + type, std::to_string(entry.begin));
  }
  if (tensor_bytes_of(entry.tensor.type, entry.tensor.shape) != entry.end - entry.begin) {
    refuse("the bytes of " + type + " " + describe_shape(entry.tensor.shape),
           std::to_string(entry.end - entry.begin) + " bytes");
  }
}

Entry read_entry(const JsonReader& json, const std::string& name, std::int64_t data_bytes) {
  Entry entry;
  entry.tensor.name = name;
  entry.tensor.type = read_type(json);
  for (const JsonReader& size : json.child("shape").elements()) {
    if (size.as_int64() < 0) size.fail("a size of at least 0");
    entry.tensor.shape.push_back(size.as_int64());
  }
  read_offsets(json, data_bytes, entry);
  return entry;
}

/// Sorted by offset, the entries must tile the data exactly.
void check_tiling(const std::vector<Entry>& entries, std::int64_t data_bytes,
                  const std::string& source) {
  std::int64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected) {
      throw InputError({.source = source,
                        .field = entry.tensor.name + ".data_offsets",
                        .expected = "a begin at " + std::to_string(expected) +
                                    ", where the tensor before it ends",
                        .actual = std::to_string(entry.begin)});
    }
    expected = entry.end;
  }
  if (expected != data_bytes) {
    throw InputError({.source = source,
                      .field = "data",
                      .expected = std::to_string(expected) + " bytes, as the header says",
                      .actual = std::to_string(data_bytes)});
  }
}

std::string_view header_text(std::span<const std::byte> bytes, const std::string& source) {
  std::uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    throw InputError({.source = source,
                      .field = "header length",
                      .expected = "8 bytes",
                      .actual = std::to_string(bytes.size()) + " bytes of file"});
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::size_t room = std::min(kMaxHeaderBytes, bytes.size() - kLengthBytes);
  if (length > room) {
    throw InputError({.source = source,
                      .field = "header length",
                      .expected = "at most " + std::to_string(room),
                      .actual = std::to_string(length)});
  }
  return {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
          static_cast<std::size_t>(length)};
}

/// Where a shard lies. Its name must not lead out of the checkpoint.
fs::path shard_path(const fs::path& directory, const JsonReader& weight_map,
                    const std::string& tensor) {
  const std::string name = weight_map.child(tensor).as_string();
  const fs::path shard = name;
  if (shard.empty() || shard != shard.filename() || shard == "." || shard == ".." ||
      name.find('\0') != std::string::npos) {
    weight_map.fail(tensor, "a file name in the same directory");
  }
  if (!fs::is_regular_file(directory / shard)) {
    weight_map.fail(tensor, "the name of a file that stands beside the index");
  }
  return directory / shard;
}

}  // namespace

SafetensorsContent parse_safetensors(std::span<const std::byte> bytes, const std::string& source) {
  const std::string_view header = header_text(bytes, source);
  const auto data = bytes.subspan(kLengthBytes + header.size());
  const auto data_bytes = static_cast<std::int64_t>(data.size());

  SafetensorsContent content;
  const JsonReader json = JsonReader::parse(header, source, JsonKeys::unique);
  std::vector<Entry> entries;
  for (const std::string& name : json.keys()) {
    const JsonReader value = json.child(name);
    if (name == kMetadataKey) {
      for (const std::string& key : value.keys()) content.metadata[key] = value.get_string(key);
    } else {
      entries.push_back(read_entry(value, name, data_bytes));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.tensor.name) < std::tie(b.begin, b.end, b.tensor.name);
  });
  check_tiling(entries, data_bytes, source);
  for (Entry& entry : entries) {
    entry.tensor.bytes = data.subspan(static_cast<std::size_t>(entry.begin),
                                      static_cast<std::size_t>(entry.end - entry.begin));
    content.tensors.push_back(std::move(entry.tensor));
  }
  return content;
}

SafetensorsFile::SafetensorsFile(const fs::path& path)
    : source_(path.string()), file_(path), content_(parse_safetensors(file_.bytes(), source_)) {
  for (const TensorBytes& tensor : content_.tensors) {
    const std::size_t place = index_.size();
    index_[tensor.name] = place;
  }
}

const TensorBytes* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &content_.tensors[found->second];
}

const TensorBytes& SafetensorsFile::tensor(std::string_view name) const {
  const TensorBytes* found = find(name);
  if (found == nullptr) {
    throw InputError({.source = source_,
                      .field = std::string(name),
                      .expected = "a tensor",
                      .actual = "nothing"});
  }
  return *found;
}

SafetensorsCheckpoint::SafetensorsCheckpoint(const fs::path& directory) {
  const fs::path single = directory / "model.safetensors";
  const fs::path index = directory / "model.safetensors.index.json";
  if (fs::exists(single) || !fs::exists(index)) {
    source_ = single.string();
    add_file(single);
    return;
  }
  source_ = index.string();
  const JsonReader map =
      JsonReader::parse(read_file(index), source_, JsonKeys::unique).child("weight_map");
  std::set<fs::path> opened;
  for (const std::string& name : map.keys()) {
    const fs::path shard = shard_path(directory, map, name);
    if (opened.insert(shard).second) add_file(shard);
  }
  for (const std::string& name : map.keys()) {
    const Found found = find(name);
    const std::string shard = (directory / map.child(name).as_string()).string();
    if (found.tensor == nullptr || *found.source != shard)
      map.fail(name, "a shard that holds the tensor");
  }
}

void SafetensorsCheckpoint::add_file(const fs::path& path) {
  files_.emplace_back(path);
  for (const TensorBytes& tensor : files_.back().tensors()) {
    const auto [place, is_new] = file_of_.try_emplace(tensor.name, files_.size() - 1);
    if (is_new) continue;
    throw InputError({.source = path.string(),
                      .field = tensor.name,
                      .expected = "a tensor that no other shard holds",
                      .actual = "one that " + files_[place->second].source() + " holds, too"});
  }
}

SafetensorsCheckpoint::Found SafetensorsCheckpoint::find(std::string_view name) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end()) return {nullptr, &source_, nullptr};
  const SafetensorsFile& file = files_[found->second];
  return {file.find(name), &file.source(), &file};
}

std::vector<std::string> SafetensorsCheckpoint::names() const {
  std::vector<std::string> names;
  names.reserve(file_of_.size());
  for (const auto& [name, file] : file_of_) names.push_back(name);
  return names;
}

}  // namespace zeroth
