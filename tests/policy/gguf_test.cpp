#include "policy/gguf.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <system_error>

#include "policy/safetensors.h"
#include "system/error.h"
#include "system/file.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using testing::TemporaryDirectory;

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

std::string counted(const std::string& text) {
  return raw(std::uint64_t{text.size()}) + text;
}

std::span<const std::byte> as_bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

GgufContent parse(const std::string& text) {
  return parse_gguf(as_bytes_of(text), "test.gguf");
}

GgufSource source(const std::string& name, GgufType type, std::vector<std::int64_t> shape,
                  const std::vector<float>& values) {
  return {
      .name = name, .type = type, .shape = std::move(shape), .values = [values] { return values; }};
}

// One entry and one f32 tensor [2, 3] of 1 … 6, byte by byte.
std::string small_file() {
  std::string text = "GGUF" + raw(std::uint32_t{3}) + raw(std::uint64_t{1}) + raw(std::uint64_t{1});
  text += counted("answer") + raw(std::uint32_t{4}) + raw(std::uint32_t{42});
  text += counted("w") + raw(std::uint32_t{2}) + raw(std::uint64_t{3}) + raw(std::uint64_t{2}) +
          raw(std::uint32_t{0}) + raw(std::uint64_t{0});
  text.resize((text.size() + 31) / 32 * 32, '\0');
  for (const float value : {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}) text += raw(value);
  text.resize((text.size() + 31) / 32 * 32, '\0');
  return text;
}

std::string written(const std::vector<GgufEntry>& metadata,
                    const std::vector<GgufSource>& tensors) {
  const TemporaryDirectory directory;
  write_gguf(directory / "a.gguf", metadata, tensors);
  return read_file(directory / "a.gguf");
}

// A value of every type, and an array of every type.
std::vector<GgufEntry> every_type() {
  return {{"u8", std::uint8_t{200}},
          {"i8", std::int8_t{-100}},
          {"u16", std::uint16_t{60000}},
          {"i16", std::int16_t{-30000}},
          {"u32", std::uint32_t{4000000000}},
          {"i32", std::int32_t{-2000000000}},
          {"f32", 0.25F},
          {"bool", true},
          {"string", std::string("Ġ東")},
          {"u64", std::uint64_t{1} << 63U},
          {"i64", std::int64_t{-1}},
          {"f64", 1e-300},
          {"u8s", GgufArray(std::vector<std::uint8_t>{1, 2})},
          {"i8s", GgufArray(std::vector<std::int8_t>{-1})},
          {"u16s", GgufArray(std::vector<std::uint16_t>{7})},
          {"i16s", GgufArray(std::vector<std::int16_t>{-7})},
          {"u32s", GgufArray(std::vector<std::uint32_t>{8, 9})},
          {"i32s", GgufArray(std::vector<std::int32_t>{-8})},
          {"f32s", GgufArray(std::vector<float>{0.5F, -2.0F})},
          {"bools", GgufArray(std::vector<bool>{true, false, true})},
          {"strings", GgufArray(std::vector<std::string>{"", "a b"})},
          {"none", GgufArray(std::vector<std::string>{})},
          {"u64s", GgufArray(std::vector<std::uint64_t>{10})},
          {"i64s", GgufArray(std::vector<std::int64_t>{-10})},
          {"f64s", GgufArray(std::vector<double>{0.1})}};
}

std::vector<float> random_values(std::size_t count, unsigned seed, float scale) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = scale * (static_cast<float>(random()) * 0x1p-31F - 1.0F);
  }
  return values;
}

std::vector<float> through(const std::vector<float>& values, GgufType type) {
  const std::vector<std::byte> bytes = encode_gguf(values, type);
  return decode_gguf({.name = "", .type = type, .shape = {}, .bytes = bytes});
}

// The largest |x - x̂| / scale over the blocks.
double worst_in_steps(const std::vector<float>& values) {
  const std::vector<std::byte> bytes = encode_gguf(values, GgufType::q8_0);
  const std::vector<float> back = through(values, GgufType::q8_0);
  double worst = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + i / 32 * 34, 2);
    const auto difference = std::abs(static_cast<double>(values[i]) - static_cast<double>(back[i]));
    if (difference == 0.0) continue;
    worst = std::max(worst, difference / static_cast<double>(float_from_f16(bits)));
  }
  return worst;
}

std::string refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "read";
}

std::string with(const std::string& part, const std::string& replacement) {
  std::string text = small_file();
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), replacement);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("gguf: the bytes of a small file", "[policy]") {
  const std::vector<GgufEntry> metadata = {{"answer", std::uint32_t{42}}};
  CHECK(written(metadata, {source("w", GgufType::f32, {2, 3}, {1, 2, 3, 4, 5, 6})}) ==
        small_file());
}

TEST_CASE("gguf: reads a small file", "[policy]") {
  const std::string text = small_file();
  const GgufContent content = parse(text);
  REQUIRE(content.metadata.size() == 1);
  REQUIRE(content.find("answer") != nullptr);
  CHECK(*content.find("answer") == GgufValue(std::uint32_t{42}));
  CHECK(content.find("question") == nullptr);
  REQUIRE(content.find_tensor("w") != nullptr);
  CHECK(content.find_tensor("v") == nullptr);
  CHECK(content.find_tensor("w")->shape == std::vector<std::int64_t>{2, 3});
  CHECK(decode_gguf(*content.find_tensor("w")) == std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("gguf: a block of q8_0 by hand", "[policy]") {
  std::vector<float> values(32, 0.0F);
  values[0] = 127.0F;  // the scale is 1
  values[1] = -3.4F;
  values[2] = 2.5F;  // a tie, away from zero
  const std::vector<std::byte> bytes = encode_gguf(values, GgufType::q8_0);
  REQUIRE(bytes.size() == 34);
  CHECK(bytes[0] == std::byte{0x00});
  CHECK(bytes[1] == std::byte{0x3C});  // 1.0 in f16
  CHECK(static_cast<std::int8_t>(bytes[2]) == 127);
  CHECK(static_cast<std::int8_t>(bytes[3]) == -3);
  CHECK(static_cast<std::int8_t>(bytes[4]) == 3);
  CHECK(bytes[33] == std::byte{0});
}

TEST_CASE("gguf: what is written is what is read, for every type", "[policy]") {
  const std::vector<GgufEntry> metadata = every_type();
  const std::vector<float> values = random_values(3 * 64, 1, 4.0F);
  const std::vector<float> vector = random_values(5, 2, 1.0F);
  const std::string text = written(metadata, {source("a", GgufType::f32, {3, 64}, values),
                                              source("b", GgufType::f16, {5}, vector),
                                              source("c", GgufType::q8_0, {2, 3, 32}, values),
                                              source("d", GgufType::bf16, {192}, values)});
  const GgufContent content = parse(text);
  REQUIRE(content.metadata.size() == metadata.size());
  for (std::size_t i = 0; i < metadata.size(); ++i) {
    INFO(metadata[i].key);
    CHECK(content.metadata[i].key == metadata[i].key);
    CHECK(content.metadata[i].value == metadata[i].value);
  }
  REQUIRE(content.tensors.size() == 4);
  CHECK(content.tensors[2].shape == std::vector<std::int64_t>{2, 3, 32});
  CHECK(decode_gguf(content.tensors[0]) == values);
  CHECK(decode_gguf(content.tensors[1]) == through(vector, GgufType::f16));
  CHECK(decode_gguf(content.tensors[2]) == through(values, GgufType::q8_0));
  CHECK(decode_gguf(content.tensors[3]) == through(values, GgufType::bf16));
}

TEST_CASE("gguf: a file without tensors and metadata", "[policy]") {
  const GgufContent content = parse(written({}, {}));
  CHECK(content.metadata.empty());
  CHECK(content.tensors.empty());
}

TEST_CASE("gguf: numbers come back within half a step of their type", "[policy]") {
  for (const float scale : {1e-9F, 3e-7F, 1e-4F, 0.02F, 1.0F, 300.0F, 60000.0F}) {
    const std::vector<float> values = random_values(4096, 3, scale);
    INFO(scale);
    CHECK(worst_in_steps(values) <= 0.5 * (1.0 + 1e-5));
    const std::vector<float> half = through(values, GgufType::f16);
    const std::vector<float> brain = through(values, GgufType::bf16);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float size = std::abs(values[i]);
      REQUIRE(std::abs(values[i] - half[i]) <= std::max(0x1p-11F * size, 0x1p-25F));
      REQUIRE(std::abs(values[i] - brain[i]) <= 0x1p-8F * size);
    }
  }
  // A control: the bound is no wider than it has to be.
  CHECK(worst_in_steps(random_values(4096, 3, 1.0F)) > 0.49);
}

TEST_CASE("gguf: a q8_0 block of zeros stays zero", "[policy]") {
  CHECK(through(std::vector<float>(64, 0.0F), GgufType::q8_0) == std::vector<float>(64, 0.0F));
}

TEST_CASE("gguf: numbers that a type cannot hold are the caller's to find", "[policy]") {
  const std::vector<float> large(32, 65536.0F);
  CHECK_THROWS_AS(encode_gguf(large, GgufType::f16), std::invalid_argument);
  CHECK_THROWS_AS(encode_gguf(large, GgufType::q8_0), std::invalid_argument);
  CHECK_NOTHROW(encode_gguf(large, GgufType::bf16));
  CHECK_THROWS_AS(encode_gguf(std::vector<float>(32, NAN), GgufType::f32), std::invalid_argument);
  CHECK_THROWS_AS(encode_gguf(std::vector<float>(32, INFINITY), GgufType::bf16),
                  std::invalid_argument);
  CHECK_THROWS_AS(encode_gguf(std::vector<float>(31), GgufType::q8_0), std::invalid_argument);
}

TEST_CASE("gguf: a caller's misuse of the writer leaves no file", "[policy]") {
  const TemporaryDirectory directory;
  const auto file = directory / "a.gguf";
  const auto one = source("w", GgufType::f32, {2}, {1, 2});
  const std::vector<GgufEntry> twice = {{"a", true}, {"a", false}};
  CHECK_THROWS_AS(write_gguf(file, twice, {}), std::invalid_argument);
  CHECK_THROWS_AS(write_gguf(file, {}, {one, one}), std::invalid_argument);
  CHECK_THROWS_AS(write_gguf(file, {}, {source("w", GgufType::f32, {3}, {1, 2})}),
                  std::invalid_argument);
  CHECK_THROWS_AS(write_gguf(file, {}, {source("w", GgufType::q8_0, {2, 16}, {})}),
                  std::invalid_argument);
  CHECK_THROWS_AS(write_gguf(file, {{"a", GgufArray(std::monostate())}}, {}),
                  std::invalid_argument);
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("gguf: a full disk leaves the file that was there", "[policy]") {
  const TemporaryDirectory directory;
  const auto file = directory / "a.gguf";
  write_gguf(file, {}, {});
  const std::string before = read_file(file);
  {
    const FileSizeLimit limit(1000);
    CHECK_THROWS_AS(
        write_gguf(file, {}, {source("w", GgufType::f32, {1000}, std::vector<float>(1000))}),
        std::system_error);
  }
  CHECK(read_file(file) == before);
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()),
                      std::filesystem::directory_iterator()) == 1);
}

TEST_CASE("gguf: what does not follow the format is refused by name", "[policy]") {
  const std::string whole = small_file();
  CHECK(refusal("") ==
        "test.gguf: magic: expected 4 bytes at byte 0, got 0 up to the end of the file");
  CHECK(contains(refusal("ggml" + whole.substr(4)), "magic: expected GGUF"));
  CHECK(contains(refusal("GGUF" + raw(std::uint32_t{2}) + whole.substr(8)),
                 "version: expected 3, little-endian, got 2"));
  CHECK(contains(refusal(with(raw(std::uint32_t{4}) + raw(std::uint32_t{42}),
                              raw(std::uint32_t{13}) + raw(std::uint32_t{42}))),
                 "answer: expected a value of type 0 to 12"));
  CHECK(contains(refusal(with("answer", "ans\xFFwe")), "expected UTF-8 text"));
  CHECK(contains(refusal(with(counted("answer"), raw(std::uint64_t{1} << 62U) + "answer")),
                 "metadata key 0: expected 4611686018427387904 bytes"));
  const std::string shape = raw(std::uint32_t{2}) + raw(std::uint64_t{3}) + raw(std::uint64_t{2});
  CHECK(contains(
      refusal(with(counted("w") + raw(std::uint32_t{2}), counted("w") + raw(std::uint32_t{5}))),
      "w: expected 1 to 4 dimensions, got 5"));
  CHECK(contains(
      refusal(with(shape, raw(std::uint32_t{2}) + raw(std::uint64_t{3}) + raw(std::uint64_t{0}))),
      "w: expected a dimension from 1"));
  CHECK(contains(refusal(with(shape, raw(std::uint32_t{2}) + raw(std::uint64_t{3}) +
                                         raw(std::uint64_t{1} << 47U))),
                 "w: expected 1688849860263936 bytes of data"));
  CHECK(contains(refusal(with(shape + raw(std::uint32_t{0}), shape + raw(std::uint32_t{13}))),
                 "w: expected a tensor of type 0 (F32), 1 (F16), 2 (Q4_0), 6 (Q5_0), 8 (Q8_0), 12 "
                 "(Q4_K), 14 (Q6_K), 30 (BF16), got 13"));
  CHECK(contains(refusal(with(shape + raw(std::uint32_t{0}), shape + raw(std::uint32_t{8}))),
                 "w: expected a shape of whole blocks of Q8_0, got [2, 3]"));
  CHECK(contains(refusal(with(shape + raw(std::uint32_t{0}) + raw(std::uint64_t{0}),
                              shape + raw(std::uint32_t{0}) + raw(std::uint64_t{32}))),
                 "w: expected the offset 0"));
  CHECK(contains(refusal(whole + std::string(32, '\0')), "data: expected 32 bytes"));
  CHECK(refusal(whole) == "read");
}

TEST_CASE("gguf: names that are there twice, arrays of arrays and odd truth values are refused",
          "[policy]") {
  const std::string head = "GGUF" + raw(std::uint32_t{3}) + raw(std::uint64_t{0});
  const std::string entry = counted("k") + raw(std::uint32_t{0}) + "\x07";
  CHECK(contains(refusal(head + raw(std::uint64_t{2}) + entry + entry), "k: expected one value"));
  const std::string array = counted("k") + raw(std::uint32_t{9});
  CHECK(contains(
      refusal(head + raw(std::uint64_t{1}) + array + raw(std::uint32_t{9}) + raw(std::uint64_t{0})),
      "an array of one but 9, got 9"));
  CHECK(contains(refusal(head + raw(std::uint64_t{1}) + array + raw(std::uint32_t{10}) +
                         raw(std::uint64_t{1} << 61U)),
                 "k: expected at most 0 elements"));
  CHECK(
      contains(refusal(head + raw(std::uint64_t{1}) + counted("k") + raw(std::uint32_t{7}) + "\2"),
               "k: expected a truth value, 0 or 1, got 2"));
  const std::string alignment = counted("general.alignment") + raw(std::uint32_t{4});
  CHECK(contains(refusal(head + raw(std::uint64_t{1}) + alignment + raw(std::uint32_t{24})),
                 "general.alignment: expected a power of two"));
  CHECK(refusal(head + raw(std::uint64_t{1}) + alignment + raw(std::uint32_t{64})) == "read");
}

TEST_CASE("gguf: every part of a file is no file", "[policy]") {
  const std::string whole = written(every_type(), {source("w", GgufType::f32, {2}, {1, 2})});
  const std::size_t end = whole.size() - 24;  // of the tensor; the padding behind it may be missing
  for (std::size_t size = 0; size < end; ++size) {
    INFO(size);
    REQUIRE(refusal(whole.substr(0, size)) != "read");
  }
  CHECK(refusal(whole.substr(0, end)) == "read");
}

TEST_CASE("gguf: damaged files are read or refused", "[policy]") {
  const std::string whole =
      written(every_type(), {source("a", GgufType::q8_0, {2, 32}, random_values(64, 1, 1.0F)),
                             source("b", GgufType::bf16, {3}, {1, 2, 3})});
  int num_read = 0, num_refused = 0;
  for (unsigned seed = 0; seed < 20000; ++seed) {
    const std::string damaged = testing::mutate(whole, seed);
    try {
      for (const GgufTensor& tensor : parse(damaged).tensors) decode_gguf(tensor);
      ++num_read;
    } catch (const InputError&) {
      ++num_refused;
    }
  }
  CHECK(num_read > 500);
  CHECK(num_refused > 5000);
}

}  // namespace zeroth
