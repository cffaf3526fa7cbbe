#include "policy/safetensors.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <stdexcept>

#include "system/error.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using testing::TemporaryDirectory;

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

/// A file of `header` and then `data`, as the format lays them out.
void write_raw(const std::filesystem::path& path, const std::string& header,
               const std::string& data) {
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  write_file_atomically(path, file + header + data);
}

std::string error_of(const std::string& header, const std::string& data) {
  const TemporaryDirectory dir;
  write_raw(dir / "x.safetensors", header, data);
  try {
    const SafetensorsFile file(dir / "x.safetensors");
  } catch (const InputError& error) {
    return error.what();
  }
  return "(no error)";
}

TEST_CASE("safetensors: a file by hand", "[policy]") {
  const TemporaryDirectory dir;
  write_raw(
      dir / "x.safetensors",
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I32","shape":[],"data_offsets":[4,8]},)"
      R"("a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})",
      std::string("\x80\x3f\x00\xc0\xff\xff\xff\xff", 8));
  const SafetensorsFile file(dir / "x.safetensors");
  CHECK(file.metadata().at("format") == "pt");
  REQUIRE(file.tensors().size() == 2);
  CHECK(file.tensors()[0].name == "a");
  std::vector<float> a(2);
  copy_to_float(file.tensor("a"), a, file.source());
  CHECK(a == std::vector<float>{1.0F, -2.0F});
  std::vector<std::int64_t> b(1);
  copy_to_int64(file.tensor("b"), b, file.source());
  CHECK(b[0] == -1);
  CHECK(file.find("c") == nullptr);
  CHECK_THROWS_AS(file.tensor("c"), InputError);
  CHECK_THROWS_WITH(copy_to_float(file.tensor("b"), a, "x"), Catch::Contains("1 elements"));
  std::vector<float> one(1);
  CHECK_THROWS_WITH(copy_to_float(file.tensor("b"), one, "x"),
                    "x: b.dtype: expected F64, F32, BF16, F16, F8_E4M3 or F8_E5M2, got I32");
}

TEST_CASE("safetensors: what is written reads back, wide types first, data aligned", "[policy]") {
  const TemporaryDirectory dir;
  const std::vector<float> f32 = {1.5F, -0.0F, 3e38F, 1e-45F};
  const std::vector<std::uint16_t> bf16 = {0x3F80, 0xC000, 0x0001};
  const std::vector<std::int64_t> i64 = {std::numeric_limits<std::int64_t>::min(), 7};
  const std::vector<std::uint8_t> u8 = {1, 2, 255};
  const std::vector<float> none;
  write_safetensors(
      dir / "x.safetensors",
      {{.name = "bytes", .type = TensorType::u8, .shape = {3}, .bytes = bytes_of(u8)},
       {.name = "z", .type = TensorType::f32, .shape = {2, 2}, .bytes = bytes_of(f32)},
       {.name = "half", .type = TensorType::bf16, .shape = {3, 1}, .bytes = bytes_of(bf16)},
       {.name = "empty", .type = TensorType::f32, .shape = {0, 4}, .bytes = bytes_of(none)},
       {.name = "ints", .type = TensorType::i64, .shape = {2}, .bytes = bytes_of(i64)}},
      {{"step", "40"}});
  const SafetensorsFile file(dir / "x.safetensors");
  std::vector<std::string> names;
  for (const TensorBytes& tensor : file.tensors()) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"ints", "empty", "z", "half", "bytes"});
  CHECK(file.metadata().at("step") == "40");
  for (const auto& [name, bytes] :
       {std::pair("bytes", bytes_of(u8)), std::pair("z", bytes_of(f32)),
        std::pair("half", bytes_of(bf16)), std::pair("ints", bytes_of(i64))}) {
    CAPTURE(name);
    const auto got = file.tensor(name).bytes;
    CHECK(std::vector(got.begin(), got.end()) == std::vector(bytes.begin(), bytes.end()));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, read_file(dir / "x.safetensors").data(), 8);
  CHECK(length % 8 == 0);
}

TEST_CASE("safetensors: the writer refuses two of a name and bytes that do not fit", "[policy]") {
  const TemporaryDirectory dir;
  const std::vector<float> x = {1.0F, 2.0F};
  const TensorBytes good{.name = "x", .type = TensorType::f32, .shape = {2}, .bytes = bytes_of(x)};
  TensorBytes bad = good;
  bad.shape = {3};
  CHECK_THROWS_AS(write_safetensors(dir / "a", {good, good}), std::invalid_argument);
  CHECK_THROWS_AS(write_safetensors(dir / "a", {bad}), std::invalid_argument);
  bad = good;
  bad.name = "__metadata__";
  CHECK_THROWS_AS(write_safetensors(dir / "a", {bad}), std::invalid_argument);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("safetensors: a header that lies is named", "[policy]") {
  const std::string four(4, '\0');
  const auto entry = [](const std::string& name, const std::string& type, const std::string& shape,
                        const std::string& offsets) {
    return "\"" + name + R"(":{"dtype":")" + type + R"(","shape":[)" + shape +
           R"(],"data_offsets":[)" + offsets + "]}";
  };
  CHECK(error_of("{" + entry("a", "F32", "1", "0,4") + "}", four) == "(no error)");
  CHECK_THAT(error_of("{" + entry("a", "F33", "1", "0,4") + "}", four), Catch::Contains("a.dtype"));
  CHECK_THAT(error_of("{" + entry("a", "F32", "2", "0,4") + "}", four),
             Catch::Contains("the bytes of F32 [2]"));
  CHECK_THAT(error_of("{" + entry("a", "F32", "-1", "0,4") + "}", four),
             Catch::Contains("a.shape[0]"));
  CHECK_THAT(error_of("{" + entry("a", "F32", "4611686018427387904,4", "0,4") + "}", four),
             Catch::Contains("the bytes of"));
  CHECK_THAT(error_of("{" + entry("a", "F32", "2", "0,8") + "}", four),
             Catch::Contains("inside the 4 bytes"));
  CHECK_THAT(error_of("{" + entry("a", "F32", "0", "4,0") + "}", four),
             Catch::Contains("a.data_offsets"));
  CHECK_THAT(error_of("{" + entry("a", "U8", "1", "3,4") + "}", four),
             Catch::Contains("a begin at 0"));
  CHECK_THAT(
      error_of("{" + entry("a", "U8", "3", "0,3") + "," + entry("b", "U8", "2", "2,4") + "}", four),
      Catch::Contains("b.data_offsets: expected a begin at 3"));
  CHECK_THAT(error_of("{" + entry("a", "U8", "3", "0,3") + "}", four),
             Catch::Contains("expected 3 bytes"));
  CHECK_THAT(error_of("{\"a\": 1}", four), Catch::Contains("an object"));
  CHECK_THAT(error_of("{\"a\"", four), Catch::Contains("valid JSON"));
}

TEST_CASE("safetensors: a file shorter than its header says is wrong input", "[policy]") {
  const TemporaryDirectory dir;
  write_file_atomically(dir / "x", "1234");
  CHECK_THROWS_WITH(SafetensorsFile(dir / "x"), Catch::Contains("header length: expected 8 bytes"));
  write_file_atomically(dir / "x", std::string(8, '\xff') + "{}");
  CHECK_THROWS_WITH(SafetensorsFile(dir / "x"),
                    Catch::Contains("header length: expected at most 2"));
}

TEST_CASE("safetensors: damaged files parse or are an InputError", "[policy]") {
  const TemporaryDirectory dir;
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const std::vector<std::uint8_t> y = {1, 2, 3};
  write_safetensors(dir / "good",
                    {{.name = "x", .type = TensorType::f32, .shape = {2, 3}, .bytes = bytes_of(x)},
                     {.name = "y", .type = TensorType::u8, .shape = {3}, .bytes = bytes_of(y)}});
  const std::string good = read_file(dir / "good");
  int num_parsed = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::string damaged = testing::mutate(std::string_view(good).substr(8), seed);
    std::uint64_t length = good[0] & 0xFF;
    if (seed % 3 == 0) length += seed % 7 - 3;  // the length itself
    std::string file(8, '\0');
    std::memcpy(file.data(), &length, 8);
    { std::ofstream(dir / "damaged", std::ios::binary) << file << damaged; }
    try {
      const SafetensorsFile parsed(dir / "damaged");
      for (const TensorBytes& tensor : parsed.tensors()) {  // every byte must be inside the mapping
        unsigned sum = 0;
        for (const std::byte b : tensor.bytes) sum += static_cast<unsigned>(b);
        REQUIRE(sum <= 255 * tensor.bytes.size());
      }
      ++num_parsed;
    } catch (const InputError&) {
    }
  }
  CHECK(num_parsed > 0);
  CHECK(num_parsed < 400);
}

TEST_CASE("safetensors: shards are found through the index", "[policy]") {
  const TemporaryDirectory dir;
  const std::vector<float> x = {1, 2}, y = {3};
  write_safetensors(dir / "model-1.safetensors",
                    {{.name = "x", .type = TensorType::f32, .shape = {2}, .bytes = bytes_of(x)}});
  write_safetensors(dir / "model-2.safetensors",
                    {{.name = "y", .type = TensorType::f32, .shape = {1}, .bytes = bytes_of(y)}});
  const auto index = [&](const std::string& y_shard) {
    write_file_atomically(
        dir / "model.safetensors.index.json",
        R"({"weight_map": {"x": "model-1.safetensors", "y": ")" + y_shard + "\"}}");
    return SafetensorsCheckpoint(dir.path());
  };
  const SafetensorsCheckpoint checkpoint = index("model-2.safetensors");
  CHECK(checkpoint.names() == std::vector<std::string>{"x", "y"});
  CHECK(checkpoint.find("y").tensor->shape == std::vector<std::int64_t>{1});
  CHECK_THAT(*checkpoint.find("y").source, Catch::EndsWith("model-2.safetensors"));
  CHECK(checkpoint.find("z").tensor == nullptr);
  CHECK_THROWS_WITH(index("model-1.safetensors"), Catch::Contains("weight_map.y"));
  CHECK_THROWS_WITH(index("../x.safetensors"),
                    Catch::Contains("a file name in the same directory"));
  CHECK_THROWS_WITH(index("absent.safetensors"), Catch::Contains("absent.safetensors"));
  const TemporaryDirectory none;
  CHECK_THROWS_WITH(SafetensorsCheckpoint(none.path()), Catch::Contains("model.safetensors"));
}

TEST_CASE("safetensors: every fp16 value becomes the float of its sign, exponent and fraction",
          "[policy]") {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  std::vector<float> floats(halves.size());
  copy_to_float({.name = "h", .type = TensorType::f16, .shape = {65536}, .bytes = bytes_of(halves)},
                floats, "x");
  int num_wrong = 0;
  for (std::size_t i = 0; i < floats.size(); ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31), fraction = static_cast<int>(i & 1023);
    const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                            : exponent == 31
                                ? std::numeric_limits<float>::infinity()
                                : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    const bool is_nan = exponent == 31 && fraction != 0;
    const float expected = i < 32768 ? magnitude : -magnitude;
    num_wrong +=
        is_nan ? !std::isnan(floats[i])
               : std::bit_cast<std::uint32_t>(floats[i]) != std::bit_cast<std::uint32_t>(expected);
  }
  CHECK(num_wrong == 0);
}

}  // namespace
}  // namespace zeroth
