#include "plsc/train/metrics_log.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "plsc/core/error.h"
#include "support/temp_dir.h"

namespace plsc::train {

using Catch::Matchers::Contains;

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string error_of(const std::string& path) {
  try {
    MetricsLog log(path);
    log.write({{{"step", std::int64_t{1}}}});
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("records are lines with keys in order", "[metrics_log]") {
  const test::TempDir dir;
  MetricsLog log((dir / "metrics.jsonl").string());

  log.write({{{"step", std::int64_t{9007199254740993}}, {"loss", 0.1}, {"name", std::string("a\"b\n\xc3\xbc")}}});
  log.write({{{"loss", std::nan("")}, {"b", std::numeric_limits<double>::infinity()}, {"a", -1e-300}}});

  CHECK(content_of(dir / "metrics.jsonl") ==
        "{\"step\":9007199254740993,\"loss\":0.1,\"name\":\"a\\\"b\\n\xc3\xbc\"}\n"
        "{\"loss\":null,\"b\":null,\"a\":-1e-300}\n");
}

TEST_CASE("text that is no UTF-8 is replaced", "[metrics_log]") {
  const test::TempDir dir;
  MetricsLog log((dir / "metrics.jsonl").string());

  log.write({{{"name", std::string("a\xff")}}});

  CHECK(content_of(dir / "metrics.jsonl") == "{\"name\":\"a\xef\xbf\xbd\"}\n");
}

TEST_CASE("a log is continued behind its last whole line", "[metrics_log]") {
  const test::TempDir dir;
  const std::string whole = "{\"step\":1}\n{\"step\":2}\n";
  for (const std::string& rest : {std::string(), std::string("{\"st"), std::string(10000, 'x')}) {
    const auto path = dir / "metrics.jsonl";
    std::ofstream(path, std::ios::trunc) << whole << rest;

    MetricsLog(path.string()).write({{{"step", std::int64_t{3}}}});

    CHECK(content_of(path) == whole + "{\"step\":3}\n");
  }
}

TEST_CASE("a log that is one partial line starts anew", "[metrics_log]") {
  const test::TempDir dir;
  std::ofstream(dir / "metrics.jsonl") << "{\"st";

  MetricsLog((dir / "metrics.jsonl").string()).write({{{"step", std::int64_t{3}}}});

  CHECK(content_of(dir / "metrics.jsonl") == "{\"step\":3}\n");
}

TEST_CASE("a log that cannot be opened or written is an error", "[metrics_log][error]") {
  const test::TempDir dir;

  CHECK_THAT(error_of((dir / "none/metrics.jsonl").string()),
             Contains("none/metrics.jsonl cannot be opened (No such file or directory)"));
  if (std::filesystem::exists("/dev/full")) {
    CHECK_THAT(error_of("/dev/full"), Contains("Metrics log /dev/full cannot be written (No space left on device)"));
  }
}

}  // namespace plsc::train
