#include "tools/stage_manifest.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <stdexcept>

#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using testing::TemporaryDirectory;

const RunSettings kInputs = {{"seed", "1"}};

struct Notes {
  StageManifest::Note take() {
    return [this](const std::string& note) { text += note + "\n"; };
  }
  bool contain(const std::string& part) const { return text.find(part) != std::string::npos; }
  std::string text;
};

}  // namespace

TEST_CASE("stage manifest: a stage is run once, and again where inputs or files differ",
          "[tools]") {
  const TemporaryDirectory directory;
  int runs = 0;
  const auto run = [&](const RunSettings& inputs, Notes& notes) {
    StageManifest manifest(directory.path(), notes.take());
    return manifest.run("bake", inputs, {"bread"}, [&]() -> boost::json::object {
      write_file_atomically(directory / "bread", "rye");
      return {{"runs", ++runs}};
    });
  };
  Notes notes;
  CHECK(run(kInputs, notes).at("runs").to_number<int>() == 1);
  CHECK(run(kInputs, notes).at("runs").to_number<int>() == 1);
  CHECK(notes.contain("bake: is there"));
  write_file_atomically(directory / "bread", "mould");
  CHECK(run(kInputs, notes).at("runs").to_number<int>() == 2);
  CHECK(notes.contain("bread was changed; done again"));
  CHECK(run({{"seed", "2"}}, notes).at("runs").to_number<int>() == 3);
  CHECK(notes.contain("bake: seed was 1 and is 2; done again"));
}

TEST_CASE("stage manifest: the seconds of an interrupted stage are kept", "[tools]") {
  const TemporaryDirectory directory;
  Notes notes;
  const auto stop = []() -> boost::json::object { throw std::runtime_error("stop"); };
  double before = 0.0;
  {
    StageManifest manifest(directory.path(), notes.take());
    CHECK_THROWS_WITH(manifest.run("bake", kInputs, {}, stop), "stop");
    CHECK(manifest.begun("bake", kInputs));
    CHECK(manifest.finished("bake", kInputs) == nullptr);
    before = manifest.seconds("bake");
    CHECK(before > 0.0);
  }
  StageManifest manifest(directory.path(), notes.take());
  manifest.run("bake", kInputs, {}, []() -> boost::json::object { return {}; });
  CHECK(manifest.seconds("bake") > before);
}

TEST_CASE("stage manifest: why a stage ended is told, also where its seconds cannot be kept",
          "[tools]") {
  const TemporaryDirectory directory;
  const auto place = directory / "run";
  std::filesystem::create_directory(place);
  Notes notes;
  StageManifest manifest(place, notes.take());
  const auto fail = [&]() -> boost::json::object {
    std::filesystem::remove_all(place);  // as a disk that is gone: nothing can be written
    throw std::runtime_error("the oven is cold");
  };
  CHECK_THROWS_WITH(manifest.run("bake", kInputs, {}, fail), "the oven is cold");
  CHECK(notes.contain("bake: its seconds could not be kept"));
}

}  // namespace zeroth
