#include "policy/safetensors.h"

#include <sys/stat.h>

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
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

TEST_CASE("safetensors: a name that stands twice and a tensor beside its grid are refused",
          "[policy]") {
  const std::string entry = R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  CHECK_THAT(error_of("{\"a\":" + entry + ",\"a\":" + entry + "}", "12"),
             Catch::Contains("\"a\" twice in an object"));
  CHECK_THAT(
      error_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "12"),
      Catch::Contains("\"dtype\" twice in an object"));
  CHECK_THAT(error_of(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}})",
                      "1234567"),
             Catch::Contains(
                 "b.data_offsets: expected a begin that is a multiple of the bytes of F32, got 3"));
}

TEST_CASE("safetensors: lengths that no file has are refused before anything is reserved",
          "[policy]") {
  const TemporaryDirectory dir;
  const auto error_of_length = [&](std::uint64_t length, std::uintmax_t file_bytes) {
    std::string head(8, '\0');
    std::memcpy(head.data(), &length, 8);
    write_file_atomically(dir / "x", head + "{");
    std::filesystem::resize_file(dir / "x", file_bytes);  // sparse
    try {
      const SafetensorsFile file(dir / "x");
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("(no error)");
  };
  for (const std::uint64_t length :
       {std::uint64_t{1} << 63U, ~std::uint64_t{0}, (std::uint64_t{1} << 63U) - 1}) {
    CHECK_THAT(
        error_of_length(length, 1000),
        Catch::Contains("header length: expected at most 992, got " + std::to_string(length)));
  }
  // A header of 100 MB is read where it is one, and refused where it is more or none.
  CHECK_THAT(error_of_length(100'000'001, 200'000'000),
             Catch::Contains("header length: expected at most 100000000, got 100000001"));
  CHECK_THAT(error_of_length(100'000'000, 200'000'000), Catch::Contains("valid JSON"));
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
  const TemporaryDirectory none;
  CHECK_THROWS_WITH(SafetensorsCheckpoint(none.path()), Catch::Contains("model.safetensors"));
}

/// A directory with two shards, and the error of an index over them.
struct Shards {
  Shards() {
    std::filesystem::create_directory(dir / "model");
    write("one.safetensors", {"x"});
    write("two.safetensors", {"y", "z"});
  }
  void write(const std::string& shard, const std::vector<std::string>& names) const {
    const std::vector<float> values = {1, 2};
    std::vector<TensorBytes> tensors;
    for (const std::string& name : names)
      tensors.push_back({.name = name, .shape = {2}, .bytes = bytes_of(values)});
    write_safetensors(dir / "model" / shard, tensors);
  }
  SafetensorsCheckpoint open(const std::string& weight_map) const {
    write_file_atomically(dir / "model" / "model.safetensors.index.json",
                          "{\"weight_map\": " + weight_map + "}");
    return SafetensorsCheckpoint(dir / "model");
  }
  std::string error_of(const std::string& weight_map) const {
    try {
      open(weight_map);
    } catch (const InputError& error) {
      return error.what();
    }
    return "(no error)";
  }
  TemporaryDirectory dir;
};

TEST_CASE("safetensors: a shard is a plain name of a file in the directory", "[policy]") {
  const Shards shards;
  CHECK(shards.error_of(R"({"x": "one.safetensors", "y": "two.safetensors"})") == "(no error)");
  std::filesystem::copy_file(shards.dir / "model/one.safetensors", shards.dir / "one.safetensors");
  std::filesystem::create_directory(shards.dir / "model/sub");
  for (const std::string name :
       {"../one.safetensors", "sub/../one.safetensors", "./one.safetensors", "sub/", ".", "..", "",
        "/etc/passwd", "one.safetensors\\u0000"}) {
    INFO(name);
    CHECK_THAT(
        shards.error_of("{\"x\": \"" + name + "\"}"),
        Catch::Contains("model.safetensors.index.json: weight_map.x: expected a file name in "
                        "the same directory"));
  }
  REQUIRE(mkfifo((shards.dir / "model/pipe").c_str(), 0600) == 0);
  for (const std::string name : {"absent.safetensors", "sub", "pipe"}) {
    CHECK_THAT(shards.error_of("{\"x\": \"" + name + "\"}"),
               Catch::Contains("weight_map.x: expected the name of a file that stands beside the "
                               "index, got \"" +
                               name + "\""));
  }
  CHECK_THAT(shards.error_of(R"({"x": 3})"), Catch::Contains("weight_map.x: expected a string"));
  CHECK_THAT(shards.error_of("[]"), Catch::Contains("weight_map: expected an object"));
}

TEST_CASE("safetensors: a shard may be a link, as in the hub's cache", "[policy]") {
  const Shards shards;
  std::filesystem::create_directory(shards.dir / "blobs");
  std::filesystem::rename(shards.dir / "model/one.safetensors", shards.dir / "blobs/0a1b");
  std::filesystem::create_symlink("../blobs/0a1b", shards.dir / "model/one.safetensors");
  const SafetensorsCheckpoint checkpoint = shards.open(R"({"x": "one.safetensors"})");
  CHECK(checkpoint.find("x").tensor->shape == std::vector<std::int64_t>{2});
}

TEST_CASE("safetensors: what shards hold beside the index is not passed over", "[policy]") {
  const Shards shards;
  CHECK(shards.open(R"({"x": "one.safetensors", "y": "two.safetensors"})").names() ==
        std::vector<std::string>{"x", "y", "z"});
  CHECK_THAT(shards.error_of(R"({"x": "two.safetensors"})"),
             Catch::Contains("weight_map.x: expected a shard that holds the tensor"));
  CHECK_THAT(shards.error_of(R"({"x": "one.safetensors", "x": "one.safetensors"})"),
             Catch::Contains("\"x\" twice in an object"));
  shards.write("two.safetensors", {"x", "y"});
  CHECK_THAT(shards.error_of(R"({"x": "one.safetensors", "y": "two.safetensors"})"),
             Catch::Contains("two.safetensors: x: expected a tensor that no other shard holds") &&
                 Catch::Contains("one.safetensors"));
}

TEST_CASE("safetensors: numbers written in another type are those that are rounded first",
          "[policy]") {
  const TemporaryDirectory dir;
  std::mt19937 random(5);
  std::vector<float> values(70'001);  // more than a thread takes at a time
  for (float& value : values) value = std::ldexp(static_cast<float>(random()), -33);
  std::vector<std::uint16_t> bf16, f16;
  for (const float value : values) {
    bf16.push_back(bf16_from_float(value));
    f16.push_back(f16_from_float(value));
  }
  write_safetensors(
      dir / "bytes",
      {{.name = "a", .type = TensorType::bf16, .shape = {70'001}, .bytes = bytes_of(bf16)},
       {.name = "b", .type = TensorType::f32, .shape = {70'001}, .bytes = bytes_of(values)},
       {.name = "c", .type = TensorType::f16, .shape = {1, 70'001}, .bytes = bytes_of(f16)}});
  write_safetensors(
      dir / "floats",
      std::vector<TensorFloats>{
          {.name = "a", .type = TensorType::bf16, .shape = {70'001}, .values = values},
          {.name = "b", .type = TensorType::f32, .shape = {70'001}, .values = values},
          {.name = "c", .type = TensorType::f16, .shape = {1, 70'001}, .values = values}});
  CHECK(read_file(dir / "floats") == read_file(dir / "bytes"));
  CHECK_THROWS_AS(
      write_safetensors(dir / "x",
                        std::vector<TensorFloats>{{.name = "a", .shape = {3}, .values = values}}),
      std::invalid_argument);
  CHECK_THROWS_AS(write_safetensors(dir / "x", std::vector<TensorFloats>{{.name = "a",
                                                                          .type = TensorType::i8,
                                                                          .shape = {70'001},
                                                                          .values = values}}),
                  std::invalid_argument);
  CHECK_FALSE(std::filesystem::exists(dir / "x"));
}

TEST_CASE("safetensors: the types of the format, and their bytes", "[policy]") {
  for (const auto& [name, bytes] : std::map<std::string, std::int64_t>{{"U64", 8},
                                                                       {"I64", 8},
                                                                       {"F64", 8},
                                                                       {"C64", 8},
                                                                       {"F32", 4},
                                                                       {"U32", 4},
                                                                       {"I32", 4},
                                                                       {"BF16", 2},
                                                                       {"F16", 2},
                                                                       {"U16", 2},
                                                                       {"I16", 2},
                                                                       {"F8_E8M0", 1},
                                                                       {"F8_E4M3", 1},
                                                                       {"F8_E5M2", 1},
                                                                       {"I8", 1},
                                                                       {"U8", 1},
                                                                       {"BOOL", 1}}) {
    INFO(name);
    REQUIRE(tensor_type_named(name));
    CHECK(tensor_type_name(*tensor_type_named(name)) == name);
    CHECK(tensor_type_bytes(*tensor_type_named(name)) == bytes);
  }
  CHECK_FALSE(tensor_type_named("F33"));
  CHECK(tensor_bytes_of(TensorType::f32, {3, 0}) == 0);
  CHECK_FALSE(tensor_bytes_of(TensorType::f32, {std::int64_t{1} << 62U}));
}

TEST_CASE("safetensors: doubles are read rounded", "[policy]") {
  const std::vector<double> doubles = {0.1, -2.0, 1e300};
  std::vector<float> floats(3);
  copy_to_float({.name = "d", .type = TensorType::f64, .shape = {3}, .bytes = bytes_of(doubles)},
                floats, "x");
  CHECK(floats[0] == 0.1F);
  CHECK(floats[1] == -2.0F);
  CHECK(std::isinf(floats[2]));
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
